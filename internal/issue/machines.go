package issue

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	// young is how long a machine without a reference is left out: some upstreams tag a machine after they have made it.
	young = 5 * time.Minute
	// stuckAfter is how long a provider may take to end a machine before an operator is told.
	stuckAfter = time.Hour
)

// MachineKinds are the kinds of issues about machines.
var MachineKinds = []Kind{OrphanedMachine, UndeadMachine, DuplicateMachine, UnmanagedMachine, LostMachine, StuckTermination, PriceMismatch, PrivateAddress}

// Owner is a deployment that has, or may have, a machine.
type Owner struct {
	Deployment id.ID
	// MachineID is the provider's name of its machine, "" where that is not known yet.
	MachineID string
	// EndingSince is set once the machine is to end, and Ended once its deployment has.
	EndingSince *time.Time
	Ended       bool
	// CostPrice is what the provider asked for an hour when the deployment was made.
	CostPrice money.Micros
}

// Machines are a provider's machines, sorted by whom they belong to.
type Machines struct {
	// Own are the owners' machines that are not ending.
	Own map[id.ID]provider.Machine
	// Strays are the references like ours that no owner has.
	Strays []id.ID
	// Found is what is wrong with the others.
	Found []Sighting

	upstream map[id.ID][]provider.Machine
}

// SortMachines sorts a provider's list. The owners must have been read after it.
func SortMachines(list []provider.Machine, owners []Owner, now time.Time) *Machines {
	s := &Machines{Own: map[id.ID]provider.Machine{}, upstream: map[id.ID][]provider.Machine{}}
	for _, m := range list {
		switch {
		case m.State == provider.MachineTerminating || m.State == provider.MachineGone:
		case !m.Reference.Valid(id.Deployment):
			if m.CreatedAt.IsZero() || now.Sub(m.CreatedAt) >= young {
				s.Found = append(s.Found, Sighting{
					Kind: UnmanagedMachine, UpstreamID: m.ID, Reference: m.Reference,
					Detail: "The provider has a machine that Billet did not make. It may be somebody else's in the same account, and is left alone.",
				})
			}
		case !slices.ContainsFunc(s.upstream[m.Reference], func(o provider.Machine) bool { return o.ID == m.ID }): // a list may name one twice
			s.upstream[m.Reference] = append(s.upstream[m.Reference], m)
		}
	}
	owned := map[id.ID]bool{}
	for _, o := range owners {
		owned[o.Deployment] = true
		s.own(o, now)
	}
	for reference := range s.upstream {
		if !owned[reference] {
			s.Strays = append(s.Strays, reference)
		}
	}
	slices.Sort(s.Strays)
	return s
}

// own takes what one owner has, and what is wrong with it beyond what a look mends.
func (s *Machines) own(o Owner, now time.Time) {
	there := s.upstream[o.Deployment]
	own := max(0, slices.IndexFunc(there, func(m provider.Machine) bool { return m.ID == o.MachineID }))
	if len(there) > 0 {
		s.Own[o.Deployment] = there[own]
	}
	if o.Ended && len(there) > 0 { // reopened, or not ended yet: a issue that there is goes on
		s.Found = append(s.Found, Sighting{Kind: UndeadMachine, UpstreamID: there[own].ID, Reference: o.Deployment, Known: true})
	}
	if o.EndingSince != nil {
		if now.Sub(*o.EndingSince) > stuckAfter {
			s.Found = append(s.Found, Sighting{
				Kind: StuckTermination, UpstreamID: o.MachineID, Reference: o.Deployment, Deployment: o.Deployment,
				Detail: "The provider has refused to end the machine, or not confirmed its end, since " + o.EndingSince.Truncate(time.Second).Format(time.RFC3339) + ". It is asked again; the tenant does not pay for it.",
			})
		}
		return // Terminate, with their reference, ends one after the other
	}
	if len(there) > 0 {
		s.price(o, there[own])
	}
	for i, m := range there {
		if i != own {
			s.Found = append(s.Found, Sighting{
				Kind: DuplicateMachine, UpstreamID: m.ID, Reference: o.Deployment, Deployment: o.Deployment,
				Detail: "The provider has a second machine under the reference of a deployment. Billet cannot end it alone: Terminate takes the reference, which is the tenant's machine's too.",
			})
		}
	}
}

// rounding is how far two prices of an hour may be apart that are the same: some providers state
// whole cents for the one and fractions for the other.
const rounding = money.USD / 200

// price compares what the provider states for the machine with what its offer cost.
func (s *Machines) price(o Owner, m provider.Machine) {
	difference := m.HourlyCost - o.CostPrice
	if m.HourlyCost <= 0 || o.CostPrice <= 0 || difference > -rounding && difference < rounding {
		return
	}
	s.Found = append(s.Found, Sighting{
		Kind: PriceMismatch, UpstreamID: m.ID, Reference: o.Deployment, Deployment: o.Deployment,
		Detail: fmt.Sprintf("The provider states %s/h for this machine; its offer had %s/h when the deployment was made. Costs and margins count what it states.", m.HourlyCost, o.CostPrice),
	})
}

// RefusePrivate adds the owners' machines whose addresses are not on the Internet.
func (s *Machines) RefusePrivate() {
	for _, d := range slices.Sorted(maps.Keys(s.Own)) {
		if m := s.Own[d]; m.Address != "" && !m.Public() {
			s.Found = append(s.Found, Sighting{
				Kind: PrivateAddress, UpstreamID: m.ID, Reference: d, Deployment: d,
				Detail: "The provider states an address for this machine that is loopback, private or of another special network. Billet does not connect to it, and no tenant is told of it.",
			})
		}
	}
}

// Resolve says what the strays are, given at which provider each of those that are deployments here is, and returns those at
// this one: their machine had ended.
func (s *Machines) Resolve(slug string, at map[id.ID]string) (outlived []id.ID) {
	for _, reference := range s.Strays {
		o := Sighting{Kind: OrphanedMachine, UpstreamID: s.upstream[reference][0].ID, Reference: reference}
		switch other, exists := at[reference]; {
		case exists && other == slug:
			outlived = append(outlived, reference)
			continue
		case exists: // where two slugs are one account, it is that deployment's own
			o.Deployment, o.Detail = reference, "The machine has the reference of a deployment here whose provider is "+other+"."
		default:
			o.Endable, o.Detail = true, "The machine has a reference like ours, and there is no such deployment here."
		}
		s.Found = append(s.Found, o)
	}
	return outlived
}

// With returns what was found, together with the deployments whose machine is there although its end was confirmed.
func (s *Machines) With(outlived []id.ID) []Sighting {
	all := slices.Clone(s.Found)
	for _, d := range outlived {
		all = append(all, Sighting{
			Kind: UndeadMachine, UpstreamID: s.upstream[d][0].ID, Reference: d, Deployment: d,
			Detail: "The machine is there although the provider had confirmed the end of its deployment's; it is ended again.",
		})
	}
	return all
}

// Lost is the sighting of a machine that the provider does not know any more.
func Lost(deployment id.ID, machineID string) Sighting {
	return Sighting{
		Kind: LostMachine, UpstreamID: machineID, Reference: deployment, Deployment: deployment,
		Detail: "The provider does not know the machine of this deployment any more, which ran. The rest of its hour was refunded.",
	}
}
