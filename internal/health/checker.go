package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/crypto/ssh"
)

const (
	// atOnce is how many machines one process checks at a time before they run, and laterAtOnce
	// how many that run. Tenants have those in their hands, and must not delay the others.
	atOnce, laterAtOnce = 8, 2
	// ofAccount and laterOfAccount are how many of them one account has, so that its machines that
	// hang do not delay those of others.
	ofAccount, laterOfAccount = 2, 1
	// launchTime is the longest check of a machine that does not run yet.
	launchTime = 3 * time.Minute
	// nodesAtOnce is how many nodes of a machine are checked at a time.
	nodesAtOnce = 32
	// maxReason is the most bytes of a reason.
	maxReason = 300
)

// ErrBusy means that this process checks as many machines as it may, of this account or in all.
var ErrBusy = errors.New("health: too many checks at once")

// Checker runs checks. Its zero value is not usable.
type Checker struct {
	launched, later slots // of machines that are checked now
	judge           func(output []byte, level gpucheck.Level, of gpucheck.Expected) gpucheck.Report
}

// NewChecker returns a Checker.
func NewChecker() *Checker {
	return &Checker{
		launched: slots{most: atOnce, each: ofAccount}, later: slots{most: laterAtOnce, each: laterOfAccount},
		judge: gpucheck.Judge,
	}
}

// slots are how many checks run at a time, in all and of one account.
type slots struct {
	mu         sync.Mutex
	most, each int
	all        int
	of         map[id.ID]int
}

// take takes one, and reports whether there is one.
func (s *slots) take(account id.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.most || s.of[account] >= s.each {
		return false
	}
	if s.of == nil {
		s.of = map[id.ID]int{}
	}
	s.all++
	s.of[account]++
	return true
}

func (s *slots) release(account id.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[account]--; s.of[account] == 0 {
		delete(s.of, account)
	}
}

// connectTime is how long a check may take beside what runs on the machine.
const connectTime = 30 * time.Second

// Request is what to check.
type Request struct {
	// Account is whose machine it is.
	Account id.ID
	Nodes   []Target
	// Key is the private key, in OpenSSH's format.
	Key   string
	Level gpucheck.Level
	// Expected is what each node should have.
	Expected gpucheck.Expected
	// Launch is whether the machine does not run yet.
	Launch bool
	// Within is how long the check may take, in real time; 0 for as long as its level needs.
	Within time.Duration
}

// Check runs a check on every node of a machine. The error is ErrBusy, or the context's. Whatever
// is wrong with the machine, or on the way to it, is part of the result.
func (c *Checker) Check(ctx context.Context, req Request) (Result, error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return Result{}, err
	}
	slots := &c.later
	if req.Launch {
		slots = &c.launched
	}
	if !slots.take(req.Account) {
		return Result{}, ErrBusy
	}
	defer slots.release(req.Account)
	signer, err := ssh.ParsePrivateKey([]byte(req.Key))
	if err != nil {
		return NotChecked("Billet's key for this machine can't be read."), nil
	}
	within := req.Level.Bound() + connectTime
	if req.Launch {
		within = min(within, launchTime)
	}
	// Nodes over nodesAtOnce wait for others.
	within *= time.Duration(max(1, (len(req.Nodes)+nodesAtOnce-1)/nodesAtOnce))
	if req.Within > 0 {
		within = min(within, req.Within)
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	nodes := make([]Node, len(req.Nodes))
	each(len(nodes), func(i int) { nodes[i] = c.node(limited, i, req, signer) })
	return combine(nodes), ctx.Err()
}

// node checks one node.
func (c *Checker) node(ctx context.Context, i int, req Request, signer ssh.Signer) Node {
	n := Node{Index: i, Report: gpucheck.Report{
		Level: req.Level, Verdict: gpucheck.NotChecked, Checks: []gpucheck.Check{}, GPUs: []gpucheck.GPU{},
	}}
	out, err := run(ctx, req.Nodes[i], signer, "sh -s", gpucheck.Script(req.Level), gpucheck.MaxOutput)
	if err != nil {
		n.Reason = why(err)
		return n
	}
	n.take(c.judge(out, req.Level, req.Expected), req.Expected.GPUCount)
	return n
}

// RemoveKey removes the key from every node. It returns nil once all of them refuse it.
func (c *Checker) RemoveKey(ctx context.Context, nodes []Target, key string) error {
	signer, err := ssh.ParsePrivateKey([]byte(key))
	if err != nil {
		return err
	}
	errs := make([]error, len(nodes))
	each(len(nodes), func(i int) {
		if err := removeKey(ctx, nodes[i], signer); err != nil {
			errs[i] = fmt.Errorf("node %d: %w", i, err)
		}
	})
	return errors.Join(errs...)
}

// each calls f for 0 to n−1, a few at a time.
func each(n int, f func(i int)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, nodesAtOnce)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	all.Wait()
}

// why returns why a node was not checked, for its tenant. An error of the network may name
// addresses of this server, so its text is not shown.
func why(err error) string {
	for _, own := range []error{errRefused, errHostKey, errTooLong, errNoKnown} {
		if errors.Is(err, own) {
			return sentence(own)
		}
	}
	var netErr net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &netErr) && netErr.Timeout():
		return "The check didn't finish in time."
	case errors.Is(err, provider.ErrPrivateAddress):
		return "The machine's address isn't on the Internet."
	default:
		return "The machine couldn't be reached over SSH."
	}
}

// sentence makes a sentence of an error's text.
func sentence(err error) string {
	text := err.Error()
	return string(text[0]-'a'+'A') + text[1:] + "."
}
