package upstream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Fleet is an account's machines at a cloud that knows them by ids of its own, and ours by a mark
// that they were given. It answers for references from complete lists, and creates at most one
// machine for each. It is safe for concurrent use.
type Fleet struct {
	c        FleetConfig
	now      func() time.Time
	list     *List[provider.Machine]
	locks    KeyedLock
	warnings WarnOnce

	mu      sync.Mutex
	created map[id.ID]creation
	ended   map[string]time.Time             // whose end the cloud accepted, and a list may not show yet
	states  map[string]provider.MachineState // the last known, by machine id
}

// FleetConfig is how an adapter reads and ends its cloud's machines. All fields but Get are
// required.
type FleetConfig struct {
	Account Account
	// PollEvery is Info's: Machine is answered from a list that is at most half as old.
	PollEvery time.Duration
	// SettleTime is Info's: a machine that was created so recently need not be listed yet.
	SettleTime time.Duration
	// List returns every machine of the account, or an error.
	List func(ctx context.Context) ([]Observed, error)
	// Get returns one machine by the cloud's id, KindNotFound where there is none. Nil where the
	// list shows at once what was created.
	Get func(ctx context.Context, machine string) (Observed, error)
	// End ends one machine by the cloud's id. KindNotFound counts as success.
	End func(ctx context.Context, machine string) error
}

// Observed is a machine as the cloud shows it. State is "" where its Status is unknown to us.
type Observed struct {
	provider.Machine
	// Status is the cloud's own word for the state.
	Status string
}

// creation is a machine that was just created.
type creation struct {
	machine string
	at      time.Time
}

// NewFleet returns a Fleet. It panics where a required field is missing.
func NewFleet(c FleetConfig) *Fleet {
	if c.PollEvery <= 0 || c.SettleTime <= 0 || c.List == nil || c.End == nil {
		panic("upstream: NewFleet needs PollEvery, SettleTime, List and End")
	}
	c.Account = c.Account.withDefaults()
	f := &Fleet{
		c: c, now: c.Account.Now, created: map[id.ID]creation{}, ended: map[string]time.Time{},
		states: map[string]provider.MachineState{},
	}
	f.list = NewList(f.now, f.fetch)
	return f
}

func (f *Fleet) fetch(ctx context.Context) ([]provider.Machine, error) {
	begun := f.now()
	all, err := f.c.List(ctx)
	if err != nil {
		return nil, ListError(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.ended, func(_ string, at time.Time) bool { return at.Before(begun) })
	machines, known := make([]provider.Machine, 0, len(all)), make(map[string]bool, len(all))
	for _, observed := range all {
		m := f.resolveState(ctx, observed)
		known[m.ID] = true
		if m.State != provider.MachineGone {
			machines = append(machines, m)
		}
		if c, recent := f.created[m.Reference]; recent && c.machine == m.ID {
			delete(f.created, m.Reference)
		}
	}
	f.expireCreated()
	for _, c := range f.created {
		known[c.machine] = true
	}
	maps.DeleteFunc(f.states, func(machine string, _ provider.MachineState) bool { return !known[machine] })
	return machines, nil
}

// expireCreated forgets the creations that must be listed by now. f.mu is held.
func (f *Fleet) expireCreated() {
	now := f.now()
	maps.DeleteFunc(f.created, func(_ id.ID, c creation) bool { return now.Sub(c.at) >= f.c.SettleTime })
}

// resolveState gives a machine of unknown status the state that it had. f.mu is held.
func (f *Fleet) resolveState(ctx context.Context, observed Observed) provider.Machine {
	m := observed.Machine
	if m.State == "" {
		f.warnings.UnknownStatus(ctx, f.c.Account, "machine", observed.Status)
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

// recent returns a list that is at most that old. Machines whose end was accepted since are shown
// as terminating.
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

// pick returns the one machine of the reference in the list, preferring one that is not ending.
func pick(all []provider.Machine, reference id.ID) (m provider.Machine, found bool, err error) {
	active := 0
	for _, o := range all {
		if o.Reference != reference {
			continue
		}
		ending := o.State == provider.MachineTerminating
		if !ending {
			active++
		}
		if !found || !ending {
			m, found = o, true
		}
	}
	if active > 1 {
		return m, true, Unavailable("the cloud has %d machines with the reference %s", active, reference)
	}
	return m, found, nil
}

// justCreated returns the machine that was just created for the reference and need not be listed
// yet. Until it must be listed, a cloud that does not know it has not answered.
func (f *Fleet) justCreated(ctx context.Context, reference id.ID) (m provider.Machine, found bool, err error) {
	f.mu.Lock()
	f.expireCreated()
	c, found := f.created[reference]
	f.mu.Unlock()
	if !found || f.c.Get == nil {
		return m, false, nil
	}
	observed, err := f.c.Get(ctx, c.machine)
	if err != nil {
		return m, true, ListError(err)
	}
	if observed.ID != c.machine {
		return m, true, Unavailable("the cloud returned machine %.80q instead of %s", observed.ID, c.machine)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m = f.resolveState(ctx, observed)
	m.Reference = reference
	return m, m.State != provider.MachineGone, nil
}

// Machine implements provider.Provider.
func (f *Fleet) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	return f.find(ctx, reference, f.c.PollEvery/2)
}

func (f *Fleet) find(ctx context.Context, reference id.ID, age time.Duration) (provider.Machine, error) {
	all, err := f.recent(ctx, age)
	if err != nil {
		return provider.Machine{}, err
	}
	m, found, err := pick(all, reference)
	if !found && err == nil {
		m, found, err = f.justCreated(ctx, reference)
	}
	switch {
	case err != nil:
		return provider.Machine{}, err
	case !found:
		return provider.Machine{}, &provider.Error{Kind: provider.KindNotFound}
	}
	return m, nil
}

// Machines implements provider.Provider.
func (f *Fleet) Machines(ctx context.Context) ([]provider.Machine, error) {
	return f.recent(ctx, 0)
}

// CreateOnce returns the machine of the reference, or creates it with create where there is none.
// create sends one request that creates a machine, and returns the cloud's id of it. Requests
// before that one must create none.
func (f *Fleet) CreateOnce(
	ctx context.Context, reference id.ID, create func(ctx context.Context) (machine string, err error),
) (provider.Machine, error) {
	find := func(ctx context.Context) (provider.Machine, error) { return f.find(ctx, reference, 0) }
	return CreateOnce(ctx, &f.locks, reference, find, func(ctx context.Context) (provider.Machine, error) {
		machine, err := create(ctx)
		f.list.Forget()
		if err == nil && machine == "" {
			err = Unavailable("the cloud did not state the id of the machine that it created")
		}
		if err != nil {
			return provider.Machine{}, err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		now := f.now()
		f.created[reference] = creation{machine, now}
		f.states[machine] = provider.MachineProvisioning
		return provider.Machine{
			ID: machine, Reference: reference, State: provider.MachineProvisioning, CreatedAt: now,
		}, nil
	})
}

// Act calls act with the machine of the reference, which may be up to PollEvery/2 old;
// KindNotFound where there is none.
func (f *Fleet) Act(
	ctx context.Context, reference id.ID, act func(ctx context.Context, m provider.Machine) error,
) error {
	m, err := f.Machine(ctx, reference)
	if err != nil {
		return err
	}
	defer f.list.Forget()
	return act(ctx, m)
}

// Terminate implements provider.Provider. It ends every machine of the reference.
func (f *Fleet) Terminate(ctx context.Context, reference id.ID) error {
	return f.locks.Do(ctx, reference, func() error {
		// What a list shows can be ended, however old the list is. Only a fresh list shows that
		// there is nothing to end.
		active, exists, err := f.active(ctx, reference, f.c.PollEvery/2)
		if err == nil && !exists {
			active, _, err = f.active(ctx, reference, 0)
		}
		if err == nil {
			err = f.endAll(ctx, active)
		}
		if provider.IsKind(err, provider.KindRejected) { // some clouds refuse to end what is ending
			if left, _, again := f.active(ctx, reference, 0); again == nil && len(left) == 0 {
				err = nil
			}
		}
		if err != nil {
			return err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.created, reference)
		return nil
	})
}

// endAll ends the machines. It tries each, and returns what failed.
func (f *Fleet) endAll(ctx context.Context, machines []string) (failed error) {
	for _, machine := range machines {
		if err := IgnoreNotFound(f.c.End(ctx, machine)); err != nil {
			failed = errors.Join(failed, err)
			f.list.Forget()
			continue
		}
		f.mu.Lock()
		f.ended[machine] = f.now()
		f.mu.Unlock()
	}
	return failed
}

// active returns the ids of the reference's machines that are not ending, and whether there are
// any, ending or not.
func (f *Fleet) active(
	ctx context.Context, reference id.ID, age time.Duration,
) (active []string, exists bool, err error) {
	all, err := f.recent(ctx, age)
	if err != nil {
		return nil, false, err
	}
	for _, m := range all {
		if m.Reference != reference {
			continue
		}
		if exists = true; m.State != provider.MachineTerminating {
			active = append(active, m.ID)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expireCreated()
	if c, recent := f.created[reference]; recent && !exists {
		active, exists = append(active, c.machine), true
	}
	return active, exists, nil
}
