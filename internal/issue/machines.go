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
	// minAge is how old a machine without a reference must be: some providers tag a machine only
	// after they have made it.
	minAge = 5 * time.Minute
	// stuckAfter is how long a provider may take to end a machine before it is an issue.
	stuckAfter = time.Hour
	// priceTolerance is how far two equal hourly prices may differ: some providers state whole
	// cents for one and fractions for the other.
	priceTolerance = money.USD / 200
)

// Owner is a deployment that has, or may have, a machine.
type Owner struct {
	Deployment id.ID
	// MachineID is the provider's id of its machine, "" if that is not known yet.
	MachineID string
	// EndingSince is set once the machine is to end, and Ended once its deployment has.
	EndingSince *time.Time
	Ended       bool
	// CostPrice is what the provider asked for an hour when the deployment was created.
	CostPrice money.Micros
}

// Machines are a provider's machines, sorted by owner.
type Machines struct {
	// Own are the owners' machines that are not ending.
	Own map[id.ID]provider.Machine
	// Strays are the references with the form of a deployment id that no owner has.
	Strays []id.ID
	// Found is what is wrong with the others.
	Found []Sighting

	byReference map[id.ID][]provider.Machine
}

// SortMachines sorts a provider's list. The owners must have been read after it. It depends on
// nothing but its arguments.
func SortMachines(list []provider.Machine, owners []Owner, now time.Time) *Machines {
	s := &Machines{Own: map[id.ID]provider.Machine{}, byReference: map[id.ID][]provider.Machine{}}
	for _, m := range list {
		same := func(o provider.Machine) bool { return o.ID == m.ID }
		switch {
		case m.State == provider.MachineTerminating || m.State == provider.MachineGone:
		case !m.Reference.Valid(id.Deployment):
			s.addUnmanaged(m, now)
		case !slices.ContainsFunc(s.byReference[m.Reference], same): // a list may name a machine twice
			s.byReference[m.Reference] = append(s.byReference[m.Reference], m)
		}
	}
	owned := map[id.ID]bool{}
	for _, o := range owners {
		owned[o.Deployment] = true
		s.addOwner(o, now)
	}
	for reference := range s.byReference {
		if !owned[reference] {
			s.Strays = append(s.Strays, reference)
		}
	}
	slices.Sort(s.Strays)
	return s
}

func (s *Machines) addUnmanaged(m provider.Machine, now time.Time) {
	if !m.CreatedAt.IsZero() && now.Sub(m.CreatedAt) < minAge {
		return
	}
	s.Found = append(s.Found, Sighting{
		Kind: UnmanagedMachine, UpstreamID: m.ID, Reference: m.Reference,
		Detail: "Billet did not create this machine. It may belong to another system in the same provider account, " +
			"so Billet leaves it alone.",
	})
}

// addOwner takes an owner's machine, and what is wrong with it that reconciling does not resolve.
func (s *Machines) addOwner(o Owner, now time.Time) {
	machines := s.byReference[o.Deployment]
	own := max(0, slices.IndexFunc(machines, func(m provider.Machine) bool { return m.ID == o.MachineID }))
	if len(machines) > 0 {
		s.Own[o.Deployment] = machines[own]
	}
	if o.Ended && len(machines) > 0 { // reopened, or not ended yet: an existing issue stays open
		s.Found = append(s.Found, Sighting{
			Kind: UndeadMachine, UpstreamID: machines[own].ID, Reference: o.Deployment, Known: true,
		})
	}
	if o.EndingSince != nil {
		if now.Sub(*o.EndingSince) > stuckAfter {
			s.Found = append(s.Found, Sighting{
				Kind: StuckTermination, UpstreamID: o.MachineID, Reference: o.Deployment, Deployment: o.Deployment,
				Detail: fmt.Sprintf("The provider has not confirmed the end of this machine since %s. "+
					"Billet asks again; the tenant is not charged.",
					o.EndingSince.Truncate(time.Second).Format(time.RFC3339)),
			})
		}
		return // Terminate, with their reference, ends one after the other
	}
	if len(machines) > 0 {
		s.comparePrice(o, machines[own])
	}
	for i, m := range machines {
		if i != own {
			s.Found = append(s.Found, Sighting{
				Kind: DuplicateMachine, UpstreamID: m.ID, Reference: o.Deployment, Deployment: o.Deployment,
				Detail: "The provider has a second machine under the reference of a deployment. Billet cannot end " +
					"it alone: Terminate takes the reference, which is also the tenant's machine's.",
			})
		}
	}
}

// comparePrice compares what the provider states for the machine with what its offer cost.
func (s *Machines) comparePrice(o Owner, m provider.Machine) {
	difference := m.HourlyCost - o.CostPrice
	if m.HourlyCost <= 0 || o.CostPrice <= 0 || difference > -priceTolerance && difference < priceTolerance {
		return
	}
	s.Found = append(s.Found, Sighting{
		Kind: PriceMismatch, UpstreamID: m.ID, Reference: o.Deployment, Deployment: o.Deployment,
		Detail: fmt.Sprintf(
			"The provider states %s/hr for this machine, but its offer cost %s/hr when the deployment was "+
				"created. Costs and margins use the stated price.",
			m.HourlyCost,
			o.CostPrice,
		),
	})
}

// RefusePrivate adds the owners' machines whose addresses are not on the Internet.
func (s *Machines) RefusePrivate() {
	for _, d := range slices.Sorted(maps.Keys(s.Own)) {
		if m := s.Own[d]; m.Address != "" && !m.Public() {
			s.Found = append(s.Found, Sighting{
				Kind: PrivateAddress, UpstreamID: m.ID, Reference: d, Deployment: d,
				Detail: "The provider states a loopback, private or other special address for this machine. " +
					"Billet does not connect to it, and does not show it to the tenant.",
			})
		}
	}
}

// Resolve decides what the strays are, given the provider of each that is a deployment here. It
// returns those of this provider, whose machine outlived them.
func (s *Machines) Resolve(slug string, providers map[id.ID]string) (outlived []id.ID) {
	for _, reference := range s.Strays {
		o := Sighting{Kind: OrphanedMachine, UpstreamID: s.byReference[reference][0].ID, Reference: reference}
		switch other, exists := providers[reference]; {
		case exists && other == slug:
			outlived = append(outlived, reference)
			continue
		case exists: // if two slugs are one provider account, it is that deployment's own
			o.Deployment = reference
			o.Detail = "The machine has the reference of a deployment here whose provider is " + other + "."
		default:
			o.Endable = true
			o.Detail = "The machine has a Billet reference, but no such deployment exists here."
		}
		s.Found = append(s.Found, o)
	}
	return outlived
}

// With returns what was found, and the deployments whose machine outlived its confirmed end.
func (s *Machines) With(outlived []id.ID) []Sighting {
	all := slices.Clone(s.Found)
	for _, d := range outlived {
		all = append(all, Sighting{
			Kind: UndeadMachine, UpstreamID: s.byReference[d][0].ID, Reference: d, Deployment: d,
			Detail: "The machine still exists although the provider confirmed its end. Billet ends it again.",
		})
	}
	return all
}

// GPUsFailed is the sighting of a machine whose GPUs failed a check, at its launch or later.
func GPUsFailed(deployment id.ID, machineID, reason string, launch bool) Sighting {
	when := "while the tenant had root"
	if launch {
		when = "at launch"
	}
	return Sighting{
		Kind: FailedGPUs, UpstreamID: machineID, Reference: deployment, Deployment: deployment,
		Detail: Plain("The GPUs of this machine failed a check " + when + ": " + reason),
	}
}

// Lost is the sighting of a machine that the provider no longer knows.
func Lost(deployment id.ID, machineID string) Sighting {
	return Sighting{
		Kind: LostMachine, UpstreamID: machineID, Reference: deployment, Deployment: deployment,
		Detail: "The provider no longer knows the machine of this running deployment. " +
			"The rest of its hour was refunded.",
	}
}
