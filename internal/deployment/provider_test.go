package deployment_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// simulated is every interface that the simulated Voltage Park has.
type simulated interface {
	provider.Provider
	provider.Rebooter
	provider.Powerer
	provider.Reinstaller
	provider.VolumeProvider
}

// fakeProvider is the simulated Voltage Park with the faults that a test sets, before or after the
// effect of a call.
type fakeProvider struct {
	simulated
	mu sync.Mutex

	launchErr    error // Launch returns it and launches nothing
	answerErr    error // Launch returns it although it launched
	terminateErr error // Terminate returns it and terminates nothing
	// changeMachine changes what Launch, Machine and Machines return.
	changeMachine func(provider.Machine) (provider.Machine, error)
	changeInfo    func(*provider.Info)
	extra         []provider.Machine // on the list beside the machines that exist
	price         money.Micros       // of every offer; 0 for its own
	launchLimit   time.Duration      // of every offer; 0 for the provider's
	settleTime    time.Duration
	pollEvery     time.Duration // 0 for its own
	takesHostKey  bool
	singleKey     bool     // of every offer
	rescues       bool     // machines of every offer
	inRescue      bool     // every machine is
	forgotten     []string // by ForgetKey
	network       *network // nil for one that never fails

	onLaunch   func(reference id.ID)     // at every Launch
	nextInfo   func()                    // before the next Info
	nextLaunch func()                    // before the next Launch
	nextList   func(ctx context.Context) // before the next Machines

	lastLaunch provider.LaunchRequest
	calls      map[string]int
	unbounded  map[string]bool // calls that came without a time limit
}

func newFakeProvider(s simulated) *fakeProvider {
	return &fakeProvider{simulated: s, calls: map[string]int{}, unbounded: map[string]bool{}}
}

// failure is a provider's error of that kind.
func failure(kind provider.Kind) error { return &provider.Error{Kind: kind} }

// launchFails has each launch fail.
func launchFails(kind provider.Kind) func(p *fakeProvider) {
	return func(p *fakeProvider) { p.launchErr = failure(kind) }
}

// terminateFails has each termination fail.
func terminateFails(kind provider.Kind) func(p *fakeProvider) {
	return func(p *fakeProvider) { p.terminateErr = failure(kind) }
}

// inState has each machine be in that state.
func inState(state provider.MachineState) func(p *fakeProvider) {
	return func(p *fakeProvider) {
		p.changeMachine = func(m provider.Machine) (provider.Machine, error) {
			m.State = state
			return m, nil
		}
	}
}

// network fails at random: a request or its answer is lost, or the process that waits for the
// answer is killed.
type network struct {
	mu   sync.Mutex
	rng  *rand.Rand
	down bool
}

// killer is the context key of the function that kills the run that a call belongs to.
type killer struct{}

var errLost = &provider.Error{Kind: provider.KindUnavailable, Cause: errors.New("connection reset")}

// call makes a call over the network. A call whose process is killed arrives all the same.
func (n *network) call(ctx context.Context, f func(ctx context.Context) error) error {
	if n == nil {
		return f(ctx)
	}
	n.mu.Lock()
	drawn := 100
	if n.down {
		drawn = n.rng.IntN(100)
	}
	n.mu.Unlock()
	kill, killable := ctx.Value(killer{}).(context.CancelFunc)
	switch {
	case drawn < 4 && killable:
		kill()
	case drawn >= 4 && drawn < 12:
		return errLost
	}
	err := f(context.WithoutCancel(ctx))
	if drawn >= 12 && drawn < 20 {
		return errLost
	}
	return err
}

// soldOut draws whether another customer took the last machine.
func (n *network) soldOut() bool {
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down && n.rng.IntN(5) == 0
}

func (n *network) repair() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// set changes the fields while calls may be under way.
func (p *fakeProvider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// list has the list of machines name these, too.
func (p *fakeProvider) list(machines ...provider.Machine) { p.set(func() { p.extra = machines }) }

// changeReady changes the machines that are ready.
func (p *fakeProvider) changeReady(change func(m *provider.Machine)) {
	p.set(func() {
		p.changeMachine = func(m provider.Machine) (provider.Machine, error) {
			if m.State == provider.MachineReady {
				change(&m)
			}
			return m, nil
		}
	})
}

func (p *fakeProvider) count(ctx context.Context, call string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[call]++
	if _, bounded := ctx.Deadline(); !bounded {
		p.unbounded[call] = true
	}
}

// next runs a hook once, without the lock.
func (p *fakeProvider) next(hook *func()) {
	p.mu.Lock()
	f := *hook
	*hook = nil
	p.mu.Unlock()
	if f != nil {
		f()
	}
}

func (p *fakeProvider) Info() provider.Info {
	p.next(&p.nextInfo)
	i := p.simulated.Info()
	if p.pollEvery > 0 {
		i.PollEvery = p.pollEvery
	}
	i.SettleTime = p.settleTime
	if p.changeInfo != nil {
		p.changeInfo(&i)
	}
	return i
}

func (p *fakeProvider) TakesHostKey(string) bool { return p.takesHostKey }

func (p *fakeProvider) Offers(ctx context.Context) ([]provider.Offer, error) {
	out, err := p.simulated.Offers(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range out {
		if p.price != 0 {
			out[i].HourlyPrice = p.price
		}
		out[i].LaunchLimit = p.launchLimit
		out[i].Capabilities.SingleKey = out[i].Capabilities.SingleKey || p.singleKey
		out[i].Capabilities.Rescue = p.rescues
	}
	return out, err
}

func (p *fakeProvider) Launch(ctx context.Context, r provider.LaunchRequest) (m provider.Machine, err error) {
	p.next(&p.nextLaunch)
	if p.network.soldOut() {
		return m, &provider.Error{Kind: provider.KindNoCapacity}
	}
	p.count(ctx, "launch")
	p.mu.Lock()
	refused, lost := p.launchErr, p.answerErr
	p.lastLaunch = r
	if p.onLaunch != nil {
		p.onLaunch(r.Reference)
	}
	p.mu.Unlock()
	if refused != nil {
		return m, refused
	}
	err = p.network.call(ctx, func(ctx context.Context) error {
		m, err = p.simulated.Launch(ctx, r)
		return err
	})
	if err == nil && lost != nil {
		return provider.Machine{}, lost
	}
	return p.changed(m, err)
}

func (p *fakeProvider) Machine(ctx context.Context, reference id.ID) (m provider.Machine, err error) {
	p.count(ctx, "machine")
	err = p.network.call(ctx, func(ctx context.Context) error {
		m, err = p.simulated.Machine(ctx, reference)
		return err
	})
	return p.changed(m, err)
}

func (p *fakeProvider) Machines(ctx context.Context) ([]provider.Machine, error) {
	p.count(ctx, "machines")
	p.mu.Lock()
	first, out := p.nextList, slices.Clone(p.extra)
	p.nextList = nil
	p.mu.Unlock()
	if first != nil {
		first(ctx)
	}
	all, err := p.simulated.Machines(ctx)
	for _, m := range all {
		if m, err := p.changed(m, nil); err == nil {
			out = append(out, m)
		}
	}
	return out, err
}

func (p *fakeProvider) changed(m provider.Machine, err error) (provider.Machine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.Rescue = p.inRescue
	if err != nil || p.changeMachine == nil {
		return m, err
	}
	return p.changeMachine(m)
}

func (p *fakeProvider) Terminate(ctx context.Context, reference id.ID) error {
	p.count(ctx, "terminate")
	p.mu.Lock()
	refused := p.terminateErr
	p.mu.Unlock()
	if refused != nil {
		return refused
	}
	return p.network.call(ctx, func(ctx context.Context) error { return p.simulated.Terminate(ctx, reference) })
}

func (p *fakeProvider) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	p.count(ctx, "reinstall")
	return p.simulated.Reinstall(ctx, reference, operatingSystem)
}

// Rescue implements provider.Rescuer.
func (p *fakeProvider) Rescue(ctx context.Context, _ id.ID) error {
	p.count(ctx, "rescue")
	p.set(func() { p.inRescue = true })
	return nil
}

// EndRescue implements provider.Rescuer.
func (p *fakeProvider) EndRescue(ctx context.Context, _ id.ID) error {
	p.count(ctx, "end-rescue")
	p.set(func() { p.inRescue = false })
	return nil
}

func (p *fakeProvider) Reboot(ctx context.Context, reference id.ID) error {
	p.count(ctx, "reboot")
	return p.network.call(ctx, func(ctx context.Context) error { return p.simulated.Reboot(ctx, reference) })
}

func (p *fakeProvider) AttachVolume(ctx context.Context, v, d id.ID) error {
	return p.network.call(ctx, func(ctx context.Context) error { return p.simulated.AttachVolume(ctx, v, d) })
}

func (p *fakeProvider) DetachVolume(ctx context.Context, v id.ID) error {
	return p.network.call(ctx, func(ctx context.Context) error { return p.simulated.DetachVolume(ctx, v) })
}

// ForgetKey implements provider.KeyForgetter. It always fails, which must change nothing.
func (p *fakeProvider) ForgetKey(_ context.Context, line string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgotten = append(p.forgotten, line)
	return errors.New("the cloud does not answer")
}
