package deployment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
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
)

// StartWatching leaves a job behind for each provider that compares its machines with ours for ever.
func (s *Service) StartWatching(ctx context.Context) error {
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, p := range s.c.Providers.All() {
			if err := s.c.Jobs.Enqueue(ctx, tx, job.Nobody, KindWatch, job.Subject("provider", p.Info().Slug), tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Watch compares the machines that a provider has with the deployments that should have one, in one call
// upstream however many there are. What differs is looked at: a machine that is gone, was switched off or on, or outlived its
// deployment. What nobody owns becomes a issue.
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
	ours, err := seen(ctx, s.c.DB, slug)
	if err != nil {
		return job.Outcome{}, err
	}
	owners := make([]issue.Owner, len(ours))
	for i, o := range ours {
		owners[i] = issue.Owner{Deployment: o.id, MachineID: o.machineID, EndingSince: o.endingSince, Ended: o.status.Final(), AgreedCost: o.agreedCost}
	}
	sorted := issue.SortMachines(machines, owners, s.c.Clock.Now())
	if !p.Info().PrivateAddresses {
		sorted.RefusePrivate()
	}
	differ := map[id.ID]id.ID{} // and their accounts
	for _, o := range ours {
		if m, there := sorted.Own[o.id]; o.status.Alive() && (!there || differs(o, m)) {
			differ[o.id] = o.account
		}
	}
	at, err := providersOf(ctx, s.c.DB, sorted.Strays)
	if err != nil {
		return job.Outcome{}, err
	}
	outlived := s.verify(ctx, p, sorted.Resolve(slug, at))
	again := job.At(s.c.Clock.Now().Add(watchEvery))
	if len(differ)+len(outlived)+len(sorted.Found) == 0 {
		live, err := s.c.Issues.Live(ctx, s.c.DB, slug, issue.MachineKinds)
		if err != nil || !live {
			return again, err
		}
	}
	return again, s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		reopened, err := reopen(ctx, tx, slug, outlived)
		if err != nil {
			return err
		}
		again := slices.Sorted(maps.Keys(reopened))
		if err := s.c.Meter.CostGoesOn(ctx, tx, again); err != nil {
			return err
		}
		if err := s.c.Issues.Report(ctx, tx, slug, issue.MachineKinds, sorted.With(again)); err != nil {
			return err
		}
		maps.Copy(differ, reopened)
		for _, d := range slices.Sorted(maps.Keys(differ)) {
			if err := s.c.Jobs.Enqueue(ctx, tx, differ[d], KindReconcile, d, tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
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

func differs(o sight, m provider.Machine) bool {
	if m.HourlyCost > 0 && m.HourlyCost != o.machineCost {
		return true
	}
	switch o.status {
	case StatusRunning:
		return m.State != provider.MachineReady || m.Address != o.address || m.SSHPort != o.sshPort
	case StatusStopped:
		return m.State != provider.MachineOff
	}
	return false // on its way: its own job looks at it
}
