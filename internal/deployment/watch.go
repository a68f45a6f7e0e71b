package deployment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/finding"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	// watchEvery is how often a provider's list of machines is compared with ours.
	watchEvery = time.Minute
	// lookedUp is how many deployments one query looks up.
	lookedUp = 100
	// verified is how many machines that should not be there are asked for themselves by one look.
	verified = 20
	// young is how long a machine without a reference is left out: some upstreams tag a machine after they have made it.
	young = 5 * time.Minute
	// stuckAfter is how long a provider may take to end a machine before an operator is told.
	stuckAfter = time.Hour
)

// watched are the kinds of findings that Watch reports.
var watched = []finding.Kind{
	finding.UnownedMachine, finding.OutlivedMachine, finding.DoubleMachine, finding.ForeignMachine, finding.LostMachine, finding.StuckTerminate,
}

// StartWatching leaves a job behind for each provider that compares its machines with ours for ever.
func (s *Service) StartWatching(ctx context.Context) error {
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, p := range s.c.Providers.All() {
			if err := s.c.Jobs.Enqueue(ctx, tx, KindWatch, job.Subject("provider", p.Info().Slug), tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Watch compares the machines that a provider has with the deployments that should have one, in one call
// upstream however many there are. What differs is looked at: a machine that is gone, was switched off or on, or outlived its
// deployment. What nobody owns becomes a finding.
//
// Our records are read after the list: an intent is committed before its launch, so whatever is on the list is in them.
func (s *Service) Watch(ctx context.Context, subject id.ID) (job.Outcome, error) {
	slug := strings.TrimPrefix(string(subject), "provider/")
	p, known := s.c.Providers.Get(slug)
	if !known {
		return job.Done(), nil // taken out of the configuration
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	machines, err := p.Machines(ask)
	if err != nil {
		return job.Outcome{}, fmt.Errorf("list the machines of %s: %w", slug, err)
	}
	c, err := s.compare(ctx, slug, machines)
	if err != nil {
		return job.Outcome{}, err
	}
	outlived := s.verify(ctx, p, c.outlived)
	again := job.At(s.c.Clock.Now().Add(watchEvery))
	if len(c.differ)+len(outlived)+len(c.found) == 0 {
		live, err := s.c.Findings.Live(ctx, s.c.DB, slug, watched)
		if err != nil || !live {
			return again, err
		}
	}
	return again, s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		reopened, err := reopen(ctx, tx, slug, outlived)
		if err != nil {
			return err
		}
		found := slices.Clone(c.found)
		for _, d := range reopened {
			found = append(found, finding.Sighting{
				Kind: finding.OutlivedMachine, UpstreamID: c.upstream[d][0].ID, Reference: d, Deployment: d,
				Detail: "The machine is there although the provider had confirmed the end of its deployment's; it is ended again.",
			})
		}
		if err := s.c.Findings.Report(ctx, tx, slug, watched, found); err != nil {
			return err
		}
		for _, d := range append(reopened, c.differ...) {
			if err := s.c.Jobs.Enqueue(ctx, tx, KindReconcile, d, tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
}

// comparison is what differs between a provider's list and our records.
type comparison struct {
	upstream map[id.ID][]provider.Machine // those that are not ending, by reference
	// differ are deployments to be looked at, outlived those that have ended and whose machine is on the list.
	differ, outlived []id.ID
	found            []finding.Sighting
}

func (s *Service) compare(ctx context.Context, slug string, machines []provider.Machine) (comparison, error) {
	c := comparison{upstream: map[id.ID][]provider.Machine{}}
	now := s.c.Clock.Now()
	for _, m := range machines {
		switch {
		case m.State == provider.MachineTerminating || m.State == provider.MachineGone:
		case !m.Reference.Valid(id.Deployment):
			if m.CreatedAt.IsZero() || now.Sub(m.CreatedAt) >= young {
				c.found = append(c.found, finding.Sighting{
					Kind: finding.ForeignMachine, UpstreamID: m.ID, Reference: m.Reference,
					Detail: "The provider has a machine that Billet did not make. It may be somebody else's in the same account, and is left alone.",
				})
			}
		case !slices.ContainsFunc(c.upstream[m.Reference], func(o provider.Machine) bool { return o.ID == m.ID }): // a list may name one twice
			c.upstream[m.Reference] = append(c.upstream[m.Reference], m)
		}
	}
	ours, err := seen(ctx, s.c.DB, slug)
	if err != nil {
		return c, err
	}
	owned := map[id.ID]bool{}
	for _, o := range ours {
		owned[o.id] = true
		there := c.upstream[o.id]
		own := max(0, slices.IndexFunc(there, func(m provider.Machine) bool { return m.ID == o.machineID }))
		if o.status.Alive() && (len(there) == 0 || differs(o, there[own])) {
			c.differ = append(c.differ, o.id)
		}
		c.found = append(c.found, o.findings(there, own, now)...)
	}
	var strays []id.ID
	for reference := range c.upstream {
		if !owned[reference] {
			strays = append(strays, reference)
		}
	}
	slices.Sort(strays)
	at, err := providersOf(ctx, s.c.DB, strays)
	if err != nil {
		return c, err
	}
	for _, reference := range strays {
		o := finding.Sighting{Kind: finding.UnownedMachine, UpstreamID: c.upstream[reference][0].ID, Reference: reference}
		switch other, exists := at[reference]; {
		case exists && other == slug:
			c.outlived = append(c.outlived, reference)
			continue
		case exists: // where two slugs are one account, it is that deployment's own
			o.Deployment, o.Detail = reference, "The machine has the reference of a deployment here whose provider is "+other+"."
		default:
			o.Endable, o.Detail = true, "The machine has a reference like ours, and there is no such deployment here."
		}
		c.found = append(c.found, o)
	}
	return c, nil
}

// findings are what is wrong with the machines of one deployment beyond what a look mends; own is its own among them.
func (o sight) findings(there []provider.Machine, own int, now time.Time) (found []finding.Sighting) {
	ending := o.status == StatusTerminating || o.status.Final()
	if ending && len(there) > 0 && o.status.Final() { // reopened, or not ended yet: a finding that there is goes on
		found = append(found, finding.Sighting{Kind: finding.OutlivedMachine, Reference: o.id, Known: true})
	}
	if ending && o.endingSince != nil && now.Sub(*o.endingSince) > stuckAfter {
		found = append(found, finding.Sighting{
			Kind: finding.StuckTerminate, UpstreamID: o.machineID, Reference: o.id, Deployment: o.id,
			Detail: "The provider has refused to end the machine, or not confirmed its end, since " + o.endingSince.Truncate(time.Second).Format(time.RFC3339) + ". It is asked again; the tenant does not pay for it.",
		})
	}
	if ending {
		return found // Terminate, with their reference, ends one after the other
	}
	for i, m := range there {
		if i != own {
			found = append(found, finding.Sighting{
				Kind: finding.DoubleMachine, UpstreamID: m.ID, Reference: o.id, Deployment: o.id,
				Detail: "The provider has a second machine under the reference of a deployment. Billet cannot end it alone: Terminate takes the reference, which is the tenant's machine's too.",
			})
		}
	}
	return found
}

// verify returns those whose machine is really there: a list may be older than the end. What it does not come to is on the next list.
func (s *Service) verify(ctx context.Context, p provider.Provider, outlived []id.ID) (there []id.ID) {
	for _, d := range outlived[:min(verified, len(outlived))] {
		m, err := look(ctx, p, d)
		if err == nil && m.State != provider.MachineTerminating && m.State != provider.MachineGone {
			there = append(there, d)
		}
	}
	return there
}

func lostMachine(x row) finding.Sighting {
	return finding.Sighting{
		Kind: finding.LostMachine, UpstreamID: x.machineID, Reference: x.ID, Deployment: x.ID,
		Detail: "The provider does not know the machine of this deployment any more, which ran. The rest of its hour was refunded.",
	}
}

func differs(o sight, m provider.Machine) bool {
	switch o.status {
	case StatusRunning:
		return m.State != provider.MachineReady || m.Address != o.address || m.SSHPort != o.sshPort
	case StatusStopped:
		return m.State != provider.MachineOff
	}
	return false // on its way: its own job looks at it
}
