package issue

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The deployments of these tests, and one that exists nowhere.
const (
	dep1    id.ID = "dep_01nddkjc7b1ayf090ch1z5kt0t"
	dep2    id.ID = "dep_01nddkjc7b1ayf090ch1z5kt0v"
	unknown id.ID = "dep_01nddkjc7b1ayf090ch1z5kt0w"
)

// withoutDetail compares sightings by everything but their text.
var withoutDetail = cmpopts.IgnoreFields(Sighting{}, "Detail")

func TestSortMachines(t *testing.T) {
	t.Parallel()
	now := time.Date(2028, time.March, 1, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	machine := func(machineID string, reference id.ID) provider.Machine {
		return provider.Machine{ID: machineID, Reference: reference, State: provider.MachineReady}
	}
	aged := func(d time.Duration) provider.Machine {
		m := machine("up-9", "theirs")
		m.CreatedAt = now.Add(-d)
		return m
	}
	costs := func(m provider.Machine, hourly money.Micros) provider.Machine { m.HourlyCost = hourly; return m }
	state := func(m provider.Machine, s provider.MachineState) provider.Machine { m.State = s; return m }
	unmanaged := Sighting{Kind: UnmanagedMachine, UpstreamID: "up-9", Reference: "theirs"}
	duplicate := func(upstreamID string) Sighting {
		return Sighting{Kind: DuplicateMachine, UpstreamID: upstreamID, Reference: dep1, Deployment: dep1}
	}
	mismatch := Sighting{Kind: PriceMismatch, UpstreamID: "up-1", Reference: dep1, Deployment: dep1}
	stuck := Sighting{Kind: StuckTermination, UpstreamID: "up-1", Reference: dep1, Deployment: dep1}
	undead := Sighting{Kind: UndeadMachine, UpstreamID: "up-1", Reference: dep1, Known: true}
	for name, c := range map[string]struct {
		list   []provider.Machine
		owners []Owner
		own    map[id.ID]string // the machines' ids
		strays []id.ID
		found  []Sighting
	}{
		"nothing": {own: map[id.ID]string{}},
		"an owner's machine": {
			list:   []provider.Machine{machine("up-1", dep1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1"}, {Deployment: dep2}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
		"its id is not known yet": {
			list:   []provider.Machine{machine("up-1", dep1)},
			owners: []Owner{{Deployment: dep1}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
		"a list that names a machine twice": {
			list:   []provider.Machine{machine("up-1", dep1), machine("up-1", dep1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1"}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
		"a second machine before the owner's": {
			list:   []provider.Machine{machine("up-2", dep1), machine("up-1", dep1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1"}},
			own:    map[id.ID]string{dep1: "up-1"}, found: []Sighting{duplicate("up-2")},
		},
		"a second and a third machine after the owner's": {
			list:   []provider.Machine{machine("up-1", dep1), machine("up-2", dep1), machine("up-3", dep1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1"}},
			own:    map[id.ID]string{dep1: "up-1"}, found: []Sighting{duplicate("up-2"), duplicate("up-3")},
		},
		"machines without an owner": {
			list:   []provider.Machine{machine("up-2", unknown), machine("up-1", dep2)},
			own:    map[id.ID]string{},
			strays: []id.ID{dep2, unknown},
		},
		"machines that are ending": {
			list: []provider.Machine{
				state(machine("up-1", dep1), provider.MachineTerminating),
				state(machine("up-2", unknown), provider.MachineGone),
			},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1"}},
			own:    map[id.ID]string{},
		},
		"a machine of another system": {
			list: []provider.Machine{machine("up-9", "theirs")}, own: map[id.ID]string{}, found: []Sighting{unmanaged},
		},
		"one that may get its reference yet": {
			list: []provider.Machine{aged(minAge - time.Second)}, own: map[id.ID]string{},
		},
		"one that is too old for that": {
			list: []provider.Machine{aged(minAge)}, own: map[id.ID]string{}, found: []Sighting{unmanaged},
		},
		"a machine whose deployment has ended": {
			list:   []provider.Machine{machine("up-1", dep1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", Ended: true, EndingSince: before(time.Minute)}},
			own:    map[id.ID]string{dep1: "up-1"}, found: []Sighting{undead},
		},
		"a deployment that has ended": {
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", Ended: true, EndingSince: before(time.Minute)}},
			own:    map[id.ID]string{},
		},
		"an end that takes an hour": {
			list:   []provider.Machine{machine("up-1", dep1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", EndingSince: before(stuckAfter)}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
		"an end that takes longer, of two machines": {
			list:   []provider.Machine{machine("up-1", dep1), machine("up-2", dep1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", EndingSince: before(stuckAfter + time.Second)}},
			own:    map[id.ID]string{dep1: "up-1"}, found: []Sighting{stuck},
		},
		"the price of the offer": {
			list:   []provider.Machine{costs(machine("up-1", dep1), money.USD)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", CostPrice: money.USD}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
		"a price that differs by rounding": {
			list:   []provider.Machine{costs(machine("up-1", dep1), money.USD+priceTolerance-1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", CostPrice: money.USD}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
		"a higher price": {
			list:   []provider.Machine{costs(machine("up-1", dep1), money.USD+priceTolerance)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", CostPrice: money.USD}},
			own:    map[id.ID]string{dep1: "up-1"}, found: []Sighting{mismatch},
		},
		"a lower price": {
			list:   []provider.Machine{costs(machine("up-1", dep1), money.USD-priceTolerance)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", CostPrice: money.USD}},
			own:    map[id.ID]string{dep1: "up-1"}, found: []Sighting{mismatch},
		},
		"a price that is not stated": {
			list:   []provider.Machine{machine("up-1", dep1)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", CostPrice: money.USD}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
		"an offer whose cost is unknown": {
			list:   []provider.Machine{costs(machine("up-1", dep1), money.USD)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1"}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
		"a negative price": {
			list:   []provider.Machine{costs(machine("up-1", dep1), -money.USD)},
			owners: []Owner{{Deployment: dep1, MachineID: "up-1", CostPrice: money.USD}},
			own:    map[id.ID]string{dep1: "up-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := SortMachines(c.list, c.owners, now)
			own := map[id.ID]string{}
			for d, m := range s.Own {
				own[d] = m.ID
			}
			if diff := cmp.Diff(c.own, own); diff != "" {
				t.Errorf("own machines (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.strays, s.Strays); diff != "" {
				t.Errorf("strays (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.found, s.Found, withoutDetail); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
}

// A stray is this provider's to end again, another provider's, or an orphan.
func TestMachines_Resolve(t *testing.T) {
	t.Parallel()
	const dep3 id.ID = "dep_01nddkjc7b1ayf090ch1z5kt0x"
	s := SortMachines([]provider.Machine{
		{ID: "up-1", Reference: dep1, State: provider.MachineReady},
		{ID: "up-2", Reference: dep2, State: provider.MachineReady},
		{ID: "up-3", Reference: dep3, State: provider.MachineReady},
		{ID: "up-4", Reference: dep3, State: provider.MachineReady},
	}, nil, time.Now())
	outlived := s.Resolve("voltage-park", map[id.ID]string{dep1: "voltage-park", dep2: "hyper-1"})
	if diff := cmp.Diff([]id.ID{dep1}, outlived); diff != "" {
		t.Errorf("outlived (-want +got):\n%s", diff)
	}
	want := []Sighting{
		{Kind: OrphanedMachine, UpstreamID: "up-2", Reference: dep2, Deployment: dep2},
		{Kind: OrphanedMachine, UpstreamID: "up-3", Reference: dep3, Endable: true},
		{Kind: UndeadMachine, UpstreamID: "up-1", Reference: dep1, Deployment: dep1},
	}
	if diff := cmp.Diff(want, s.With(outlived), withoutDetail); diff != "" {
		t.Errorf("sightings (-want +got):\n%s", diff)
	}
	if n := len(s.Found); n != 2 {
		t.Errorf("With added to Found: %d sightings", n)
	}
}

func TestMachines_RefusePrivate(t *testing.T) {
	t.Parallel()
	for address, refused := range map[string]bool{
		"": false, "8.8.8.8": false, "2001:4860:4860::8888": false,
		"127.0.0.1": true, "10.0.0.1": true, "169.254.169.254": true, "::1": true, "fd00::1": true,
	} {
		m := provider.Machine{ID: "up-1", Reference: dep1, State: provider.MachineReady, Address: address}
		s := SortMachines([]provider.Machine{m}, []Owner{{Deployment: dep1, MachineID: "up-1"}}, time.Now())
		s.RefusePrivate()
		var want []Sighting
		if refused {
			want = []Sighting{{Kind: PrivateAddress, UpstreamID: "up-1", Reference: dep1, Deployment: dep1}}
		}
		if diff := cmp.Diff(want, s.Found, withoutDetail); diff != "" {
			t.Errorf("%q (-want +got):\n%s", address, diff)
		}
	}
}
