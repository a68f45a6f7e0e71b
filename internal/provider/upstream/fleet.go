package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Fleet is an account's machines at a cloud that knows them by ids of its own, and ours by a mark that it was given: it answers for
// references from complete lists, and makes at most one machine of each. It is safe for concurrent use.
type Fleet struct {
	c     FleetConfig
	now   func() time.Time
	list  *List[provider.Machine]
	turns Turns
	told  Once

	mu     sync.Mutex
	made   map[id.ID]birth
	ended  map[string]time.Time             // machines whose end the cloud has taken, and that a list may show as they were before
	states map[string]provider.MachineState // the last that was understood, by machine id
}

// FleetConfig is what an adapter says of its cloud's machines. All but Get is required.
type FleetConfig struct {
	Account Account
	// PollEvery is Info's: Machine is answered from a list that is at most half as old.
	PollEvery time.Duration
	// SettleTime is Info's: a machine that was made so recently need not be listed yet.
	SettleTime time.Duration
	// List returns every machine of the account, or an error.
	List func(ctx context.Context) ([]Seen, error)
	// Get returns one machine by the cloud's id, KindNotFound where there is none. Nil where the list shows at once what was made.
	Get func(ctx context.Context, machine string) (Seen, error)
	// End ends one machine by the cloud's id. KindNotFound where there is none is a success.
	End func(ctx context.Context, machine string) error
}

// Seen is a machine as the cloud shows it. State is "" where the cloud's word for it is not known.
type Seen struct {
	provider.Machine
	// Word is the cloud's own for the state.
	Word string
}

type birth struct {
	machine string
	at      time.Time
}

// NewFleet returns a Fleet. It panics where something is missing.
func NewFleet(c FleetConfig) *Fleet {
	if c.PollEvery <= 0 || c.SettleTime <= 0 || c.List == nil || c.End == nil {
		panic("upstream: NewFleet needs PollEvery, SettleTime, List and End")
	}
	if c.Account.Log == nil {
		c.Account.Log = slog.New(slog.DiscardHandler)
	}
	if c.Account.Now == nil {
		c.Account.Now = time.Now
	}
	f := &Fleet{c: c, now: c.Account.Now, made: map[id.ID]birth{}, ended: map[string]time.Time{}, states: map[string]provider.MachineState{}}
	f.list = NewList(c.Account.Now, f.fetch)
	return f
}

func (f *Fleet) fetch(ctx context.Context) ([]provider.Machine, error) {
	begun := f.now()
	all, err := f.c.List(ctx)
	if err != nil {
		return nil, Looking(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.ended, func(_ string, at time.Time) bool { return at.Before(begun) })
	machines, known := make([]provider.Machine, 0, len(all)), make(map[string]bool, len(all))
	for _, seen := range all {
		m := f.understood(ctx, seen)
		known[m.ID] = true
		if m.State != provider.MachineGone {
			machines = append(machines, m)
		}
		if b, young := f.made[m.Reference]; young && b.machine == m.ID {
			delete(f.made, m.Reference)
		}
	}
	f.grow()
	for _, b := range f.made {
		known[b.machine] = true
	}
	for machine := range f.states {
		if !known[machine] {
			delete(f.states, machine)
		}
	}
	return machines, nil
}

// grow takes those out of made that ought to be listed by now. f.mu is held.
func (f *Fleet) grow() {
	for reference, b := range f.made {
		if f.now().Sub(b.at) >= f.c.SettleTime {
			delete(f.made, reference)
		}
	}
}

// understood gives a machine whose word is not known the state that it had. f.mu is held.
func (f *Fleet) understood(ctx context.Context, seen Seen) provider.Machine {
	m := seen.Machine
	if m.State == "" {
		f.told.Warn(ctx, f.c.Account.Log, "the cloud says a word for a machine's state that is not known; the machine keeps the state that it had", "provider", f.c.Account.Slug, "word", fmt.Sprintf("%.80q", seen.Word))
		if m.State = f.states[m.ID]; m.State == "" {
			m.State = provider.MachineProvisioning
		}
	}
	if m.State == provider.MachineReady && m.Address == "" {
		m.State = provider.MachineProvisioning
	}
	f.states[m.ID] = m.State
	return m
}

// recent returns a list that is at most so old, with the ends that it does not show yet.
func (f *Fleet) recent(ctx context.Context, age time.Duration) ([]provider.Machine, error) {
	all, err := f.list.Recent(ctx, age)
	if err != nil {
		return nil, err
	}
	all = slices.Clone(all)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, m := range all {
		if _, ended := f.ended[m.ID]; ended {
			all[i].State, all[i].Detail = provider.MachineTerminating, ""
		}
	}
	return all, nil
}

// of returns the one machine of the reference in the list: the one that is not ending, where others are.
func of(all []provider.Machine, reference id.ID) (m provider.Machine, found bool, err error) {
	live := 0
	for _, o := range all {
		if o.Reference != reference {
			continue
		}
		ending := o.State == provider.MachineTerminating
		if !ending {
			live++
		}
		if !found || !ending {
			m, found = o, true
		}
	}
	if live > 1 {
		return m, true, unavailable(fmt.Errorf("the cloud has %d machines of the reference %s", live, reference))
	}
	return m, found, nil
}

// young returns the machine that was just made of the reference and need not be listed yet. Until it must be, that the cloud
// does not know it is no answer.
func (f *Fleet) young(ctx context.Context, reference id.ID) (m provider.Machine, found bool, err error) {
	f.mu.Lock()
	f.grow()
	b, found := f.made[reference]
	f.mu.Unlock()
	if !found || f.c.Get == nil {
		return m, false, nil
	}
	seen, err := f.c.Get(ctx, b.machine)
	if err != nil {
		return m, true, Looking(err)
	}
	if seen.ID != b.machine {
		return m, true, unavailable(errors.New("asked for a machine, the cloud showed another"))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m = f.understood(ctx, seen)
	m.Reference = reference
	return m, m.State != provider.MachineGone, nil
}

// Machine answers as provider.Provider's.
func (f *Fleet) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	return f.find(ctx, reference, f.c.PollEvery/2)
}

func (f *Fleet) find(ctx context.Context, reference id.ID, age time.Duration) (provider.Machine, error) {
	all, err := f.recent(ctx, age)
	if err != nil {
		return provider.Machine{}, err
	}
	m, found, err := of(all, reference)
	if !found && err == nil {
		m, found, err = f.young(ctx, reference)
	}
	switch {
	case err != nil:
		return provider.Machine{}, err
	case !found:
		return provider.Machine{}, &provider.Error{Kind: provider.KindNotFound}
	}
	return m, nil
}

// Machines answers as provider.Provider's.
func (f *Fleet) Machines(ctx context.Context) ([]provider.Machine, error) {
	return f.recent(ctx, 0)
}

// Launch returns the machine of the reference, made by create where there is none. create sends one request that makes a machine and
// returns the cloud's id of it; what it asks before must make none.
func (f *Fleet) Launch(ctx context.Context, reference id.ID, create func(ctx context.Context) (machine string, err error)) (provider.Machine, error) {
	done, err := f.turns.Take(ctx, reference)
	if err != nil {
		return provider.Machine{}, err
	}
	defer done()
	if m, err := f.find(ctx, reference, 0); err == nil || provider.KindOf(err) != provider.KindNotFound {
		return m, err
	}
	machine, err := create(ctx)
	f.list.Forget(ctx)
	if err == nil && machine == "" {
		err = unavailable(errors.New("the cloud did not say which machine it made"))
	}
	if err != nil {
		return provider.Machine{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made[reference] = birth{machine, f.now()}
	f.states[machine] = provider.MachineProvisioning
	return provider.Machine{ID: machine, Reference: reference, State: provider.MachineProvisioning, CreatedAt: f.now()}, nil
}

// Do acts on the machine of the reference, which may be up to PollEvery/2 behind; KindNotFound where there is none.
func (f *Fleet) Do(ctx context.Context, reference id.ID, act func(ctx context.Context, m provider.Machine) error) error {
	m, err := f.Machine(ctx, reference)
	if err != nil {
		return err
	}
	defer f.list.Forget(ctx)
	return act(ctx, m)
}

// Terminate answers as provider.Provider's, for every machine of the reference.
func (f *Fleet) Terminate(ctx context.Context, reference id.ID) error {
	done, err := f.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	// What a list has can be ended, or is ending, however old the list is; that there is nothing to end, only a new one says.
	living, there, err := f.living(ctx, reference, f.c.PollEvery/2)
	if err == nil && !there {
		living, _, err = f.living(ctx, reference, 0)
	}
	if err != nil {
		return err
	}
	var failed error
	for _, machine := range living {
		if err := f.c.End(ctx, machine); err != nil && provider.KindOf(err) != provider.KindNotFound {
			failed = errors.Join(failed, err)
			continue
		}
		f.mu.Lock()
		f.ended[machine] = f.now()
		f.mu.Unlock()
	}
	if failed != nil {
		f.list.Forget(ctx)
		if provider.KindOf(failed) == provider.KindRejected { // some clouds refuse to end what is ending
			if left, _, err := f.living(ctx, reference, 0); err == nil && len(left) == 0 {
				failed = nil
			}
		}
	}
	if failed != nil {
		return failed
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.made, reference)
	return nil
}

// living returns the ids of the machines of the reference that are not ending, and whether there are any, ending or not.
func (f *Fleet) living(ctx context.Context, reference id.ID, age time.Duration) (living []string, there bool, err error) {
	all, err := f.recent(ctx, age)
	if err != nil {
		return nil, false, err
	}
	for _, m := range all {
		if m.Reference != reference {
			continue
		}
		if there = true; m.State != provider.MachineTerminating {
			living = append(living, m.ID)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grow()
	if b, young := f.made[reference]; young && !there {
		living, there = append(living, b.machine), true
	}
	return living, there, nil
}
