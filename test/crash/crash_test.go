package crash_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

var (
	rounds = flag.Int("rounds", 0, "crashes on each engine; by default enough to meet every step once")
	seed   = flag.Uint64("seed", 0, "decides everything that is left to chance; by default the time")
	offset = flag.Int(
		"offset", 0,
		"how many rounds lie before the first, which decides at which steps it crashes; a failure prints it",
	)
)

const (
	// perHistory is the number of rounds of one data directory, perCheck the number between two
	// checks.
	perHistory, perCheck = 24, 12
	// random is the number of rounds with a kill at a random moment per pass over the steps.
	random = 5
	// patience is how long a round waits, in real time, until the server has reached its step. On a
	// slow machine it waits longer, until the clock has arrived often enough, or for so many times.
	patience, journeys, patiences = 45 * time.Second, 15, 5
	// tries is how often a step that was not reached in time is repeated at the end.
	tries = 3
)

// plan is the list of steps at which a run crashes. One pass covers every step once.
type plan struct {
	steps  []string
	random int
}

func (c cloud) plan() plan {
	if *rounds == 0 && c.short != nil {
		return plan{c.short, 2}
	}
	// The suite has no mail server, service credits or GPU checks: TestCrashLosesNoMail and
	// TestLostMachineIsCredited of test/e2e cover the first, TestRacks those of own servers, and
	// TestKilledGPUCheck of test/e2e kills checks. The secret key is replaced by a command, which
	// TestKilledRotation of test/e2e kills.
	others := func(step string) bool {
		return step == crashpoint.MailAfterCall || step == crashpoint.ServiceCreditBeforeCommit ||
			step == crashpoint.ServiceCreditAfterCommit || strings.HasPrefix(step, "rack-") ||
			strings.HasPrefix(step, "health.") || strings.HasPrefix(step, "secret-key.")
	}
	return plan{slices.DeleteFunc(slices.Clone(crashpoint.All), others), random}
}

func (p plan) pass() int { return len(p.steps) + p.random }

func TestCrash(t *testing.T) {
	base := *seed
	if base == 0 {
		base = uint64(time.Now().UnixMicro())
	}
	for _, c := range clouds {
		t.Run(c.name, func(t *testing.T) {
			if c.serve != nil {
				needsPort22(t)
			}
			t.Parallel()
			t.Run("sqlite", func(t *testing.T) {
				histories(t, c, base, func(*testing.T) []string { return nil })
			})
			t.Run("postgres", func(t *testing.T) {
				dbtest.PostgresURL(t) // skips without a server
				histories(
					t, c, base,
					func(t *testing.T) []string { return []string{"--database-url", dbtest.PostgresURL(t)} },
				)
			})
		})
	}
}

// histories runs as many histories as the rounds need, each on its own database.
func histories(t *testing.T, c cloud, base uint64, database func(*testing.T) []string) {
	t.Parallel()
	all, p := *rounds, c.plan()
	if all == 0 {
		all = p.pass()
	}
	total := tally{steps: p.steps, hits: map[string]int{}, answers: map[string]int{}}
	for done, n := 0, uint64(0); done < all && !t.Failed(); n++ {
		some := min(perHistory, all-done)
		t.Run(fmt.Sprintf("seed-%d", base+n), func(t *testing.T) {
			h := begin(t, c, base+n, database(t))
			defer func() { total.add(h.tally) }()
			defer func() { h.explain(some, *offset+done) }()
			for round := 0; round < some && !t.Failed(); round++ {
				h.round(p.at(*offset + done + round))
				if round == some-1 || round%perCheck == perCheck-1 {
					h.check(round)
				}
			}
			if done+some < all || all < p.pass() {
				return
			}
			for _, step := range p.steps { // a busy machine may have kept the server from reaching it
				for try := 0; try < tries && total.hits[step]+h.hits[step] == 0 && !t.Failed(); try++ {
					h.round(step)
				}
			}
			if h.rounds > some {
				h.check(h.rounds)
			}
		})
		done += some
	}
	t.Logf("%s", total)
	for _, step := range p.steps {
		if total.hits[step] == 0 && all >= p.pass() && !t.Failed() {
			t.Errorf("in %d rounds the server was never killed at %s", all, step)
		}
	}
}

// explain logs how to repeat a failed history of that many rounds.
func (h *history) explain(some, from int) {
	if !h.t.Failed() {
		return
	}
	repeat := fmt.Sprintf("go test ./test/crash -run '%s' -seed %d", path.Dir(h.t.Name()), h.seed)
	if *rounds > 0 {
		repeat += fmt.Sprintf(" -rounds %d -offset %d", some, from)
	}
	h.t.Logf("in round %d of this history; to make the same decisions again: %s", h.rounds-1, repeat)
}

// tally counts what happened in a run.
type tally struct {
	steps                                   []string // steps to reach
	hits, answers                           map[string]int
	rounds, kills, missed, checks           int
	advances, troubles                      int
	travel                                  time.Duration
	asked, lost, retried, replayed          int64
	deployments, volumes, machines, charges int
	told, toldAgain                         int
	payments, automatic, refunds, disputes  int
	eventsTold, eventsLost, payTroubles     int
}

func (t *tally) add(o tally) {
	for k, n := range o.hits {
		t.hits[k] += n
	}
	for k, n := range o.answers {
		t.answers[k] += n
	}
	t.advances, t.troubles, t.travel = t.advances+o.advances, t.troubles+o.troubles, t.travel+o.travel
	t.rounds, t.kills, t.missed, t.checks = t.rounds+o.rounds, t.kills+o.kills, t.missed+o.missed, t.checks+o.checks
	t.asked, t.lost, t.retried, t.replayed = t.asked+o.asked, t.lost+o.lost, t.retried+o.retried, t.replayed+o.replayed
	t.deployments, t.volumes = t.deployments+o.deployments, t.volumes+o.volumes
	t.machines, t.charges = t.machines+o.machines, t.charges+o.charges
	t.told, t.toldAgain = t.told+o.told, t.toldAgain+o.toldAgain
	t.payments, t.automatic = t.payments+o.payments, t.automatic+o.automatic
	t.refunds, t.disputes = t.refunds+o.refunds, t.disputes+o.disputes
	t.eventsTold, t.eventsLost = t.eventsTold+o.eventsTold, t.eventsLost+o.eventsLost
	t.payTroubles += o.payTroubles
}

func (t tally) String() string {
	var b strings.Builder
	fmt.Fprintf(
		&b, "%d rounds: %d crashes at steps, %d at random moments, %d steps not reached in time; %d checks\n",
		t.rounds, t.hitCount(), t.kills, t.missed, t.checks,
	)
	fmt.Fprintf(
		&b,
		"%d requests, of which %d had no answer, %d were asked again after it, %d answers were compared with the "+
			"first\n",
		t.asked,
		t.lost,
		t.retried,
		t.replayed,
	)
	fmt.Fprintf(
		&b, "at the last checks: %d deployments, %d of them with a machine, %d volumes, %d hours charged\n",
		t.deployments, t.machines, t.volumes, t.charges,
	)
	fmt.Fprintf(&b, "%d events were told to webhooks, and %d times one again\n", t.told, t.toldAgain)
	fmt.Fprintf(
		&b, "at the last checks: %d payments, %d of them automatic, %d refunds, %d disputes; %d times an event of "+
			"Stripe was accepted, %d were lost, %d troubles of Stripe\n",
		t.payments, t.automatic, t.refunds, t.disputes, t.eventsTold, t.eventsLost, t.payTroubles,
	)
	for _, step := range t.steps {
		fmt.Fprintf(&b, "  %-30s %d\n", step, t.hits[step])
	}
	if t.troubles > 0 {
		fmt.Fprintf(&b, "the cloud had %d troubles\n", t.troubles)
	}
	fmt.Fprintf(
		&b, "the clock was moved %d times, which took %s; the answers:\n", t.advances,
		t.travel.Round(time.Millisecond),
	)
	for _, k := range slices.Sorted(maps.Keys(t.answers)) {
		fmt.Fprintf(&b, "  %6d %s\n", t.answers[k], k)
	}
	return b.String()
}

func (t tally) hitCount() (n int) {
	for _, k := range t.hits {
		n += k
	}
	return n
}

// at returns the step at which a round crashes, or "" for a random moment. Every pass covers every
// step, in another order each time.
func (p plan) at(round int) string {
	pass := p.pass()
	order := rand.New(rand.NewPCG(uint64(round/pass), 1)).Perm(pass)
	if i := order[round%pass]; i < len(p.steps) {
		return p.steps[i]
	}
	return ""
}

// round is one life of the server: it starts, gets work, and is killed at the step or at a random
// moment.
func (h *history) round(step string) {
	h.t.Helper()
	round := h.rounds
	h.rounds++
	rng := rand.New(rand.NewPCG(h.seed, uint64(round)))
	var env []string
	if step != "" {
		env = []string{fmt.Sprintf("%s=%s:%d", crashpoint.Variable, step, 1+rng.IntN(times(step)))}
	}
	moment := time.Duration(5+rng.IntN(395)) * time.Millisecond
	killAfter := time.Duration(0)
	if step == "" && rng.IntN(2) == 0 { // from its start, so possibly before it answers
		killAfter = moment
	}
	if rng.IntN(2) == 0 {
		h.stayDown(time.Minute + time.Duration(rng.Int64N(int64(2*time.Hour))))
	}
	before := h.tally
	answers := h.server.TryRestart(killAfter, env...)
	var work sync.WaitGroup
	if answers {
		dead := h.server.Ended()
		for _, tn := range h.tenants {
			for k := range tn.keys {
				work.Go(func() { newWorker(h, tn, k, round, dead).run() })
			}
		}
		for _, tn := range h.tenants[1:] {
			work.Go(func() { newPayer(h, tn, round, dead).run() })
		}
		work.Go(func() { h.courier(round, dead) })
		work.Go(func() { h.disturbPayments(round, dead) })
		work.Go(func() { h.moveClock(round, dead) })
		if h.fake != nil {
			work.Go(func() { h.disturb(round, dead) })
		}
	}
	late := false
	if step == "" && killAfter == 0 {
		late = h.late(moment)
	} else {
		for n := 0; !late && n < patiences && h.late(patience); n++ {
			late = h.arrivals()-before.advances >= journeys || n+1 == patiences
		}
	}
	if late {
		h.server.Kill()
	}
	work.Wait()
	h.ended()
	switch {
	case !h.server.Killed():
		h.t.Fatalf("the server ended by itself in round %d:\n%s", round, h.server.Log())
	case step == "":
		h.kills++
	case late:
		h.missed++
		h.t.Logf(
			"round %d: %s was not reached in %d requests and %d journeys of the clock; the end of its log:\n%s",
			round,
			env[0],
			h.asked-before.asked,
			h.advances-before.advances,
			tail(h.server.Log(), 6),
		)
	default:
		h.hits[step]++
	}
}

// late waits for the server's end, and reports whether it did not come.
func (h *history) late(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-h.server.Ended():
		return false
	case <-timer.C:
		return true
	}
}

func (h *history) arrivals() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.advances
}

// times returns up to how often a step is passed before the crash: frequent steps are tested in
// many situations.
func times(step string) int {
	most := 6
	switch step {
	case crashpoint.JobBeforeFinish:
		most = 120
	case crashpoint.ReplayBeforeFinish, crashpoint.ReplayAfterCommit:
		most = 25
	case crashpoint.WebhookAfterCall:
		most = 60
	case crashpoint.ChargeBeforeCommit, crashpoint.ChargeAfterCommit:
		most = 2
	}
	if *rounds == 0 {
		most = max(1, most/4)
	}
	return most
}
