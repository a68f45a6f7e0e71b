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
	// watchEvery is how often a provider's list of machines is compared with the deployments.
	watchEvery = time.Minute
	// maxVerified is how many machines that should not exist one run asks for individually.
	maxVerified = 20
)

// StartWatching enqueues a periodic job for each provider, or for each of those with the slugs,
// that compares its machines with the deployments.
func (s *Service) StartWatching(ctx context.Context, slugs ...string) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, p := range s.cfg.Providers.Chosen(slugs) {
			subject := job.Subject("provider", p.Info().Slug)
			if err := s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindWatch, subject, tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Watch compares the machines that a provider has with the deployments that should have one, in one
// call however many there are. A deployment that differs is reconciled: its machine is gone, was
// switched off or on, or outlived it. A machine without a deployment becomes an issue.
//
// The deployments are read after the list: an intent is committed before its launch, so every
// machine of ours on the list has its deployment.
func (s *Service) Watch(ctx context.Context, subject id.ID) (job.Outcome, error) {
	slug := strings.TrimPrefix(string(subject), "provider/")
	p, configured := s.cfg.Providers.Get(slug)
	if !configured {
		return s.cfg.Catalog.Unknown(ctx, slug)
	}
	asked := s.cfg.Clock.Now()
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	ask, done := provider.Begin(ask, p, provider.CallMachines)
	machines, err := p.Machines(ask)
	done(err)
	if err != nil {
		return job.Outcome{}, fmt.Errorf("list the machines of %s: %w", slug, err)
	}
	rows, err := readWatched(ctx, s.cfg.DB, slug)
	if err != nil {
		return job.Outcome{}, err
	}
	found := compare(rows, machines, p.Info().PrivateAddresses, s.cfg.Clock.Now())
	if err := s.recordDowntimes(ctx, slug, rows, found.machines.Own, asked); err != nil {
		return job.Outcome{}, err
	}
	providers, err := providersOf(ctx, s.cfg.DB, found.machines.Strays)
	if err != nil {
		return job.Outcome{}, err
	}
	outlived := verify(ctx, p, found.machines.Resolve(slug, providers))
	again := job.At(s.cfg.Clock.Now().Add(watchEvery))
	if len(found.changed)+len(outlived)+len(found.machines.Found) == 0 {
		live, err := s.cfg.Issues.Live(ctx, s.cfg.DB, slug, issue.MachineKinds)
		if err != nil || !live {
			return again, err
		}
	}
	return again, s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.applyComparison(ctx, tx, slug, found, outlived)
	})
}

// comparison is what differs between a provider's machines and the deployments.
type comparison struct {
	machines *issue.Machines
	changed  map[id.ID]id.ID // deployments whose machine is not as the row says, and their accounts
}

// compare decides which deployments to reconcile and which machines are issues. It depends on
// nothing but its arguments.
func compare(rows []watched, machines []provider.Machine, privateAddresses bool, now time.Time) comparison {
	owners := make([]issue.Owner, len(rows))
	for i, w := range rows {
		owners[i] = issue.Owner{
			Deployment: w.id, MachineID: w.machineID, EndingSince: w.endingSince, Ended: w.status.Final(),
			CostPrice: w.costPrice,
		}
	}
	c := comparison{machines: issue.SortMachines(machines, owners, now), changed: map[id.ID]id.ID{}}
	if !privateAddresses {
		c.machines.RefusePrivate()
	}
	for _, w := range rows {
		m, exists := c.machines.Own[w.id]
		if w.status.Alive() && (!exists || w.differs(m)) {
			c.changed[w.id] = w.account
		}
	}
	return c
}

// differs reports whether the machine is not as the row of a running or stopped deployment says.
func (w watched) differs(m provider.Machine) bool {
	if m.HourlyCost > 0 && m.HourlyCost != w.machineCost {
		return true
	}
	switch w.status {
	case StatusRunning:
		return m.State != provider.MachineReady || m.Address != w.address || m.SSHPort != w.sshPort ||
			m.Rescue != w.rescue
	case StatusStopped:
		return m.State != provider.MachineOff
	default:
		return false // its own job reconciles it
	}
}

// verify returns those of the deployments whose machine the provider really has: a list may be
// older than the end. What is over the limit is on the next list.
func verify(ctx context.Context, p provider.Provider, outlived []id.ID) (exist []id.ID) {
	for _, d := range outlived[:min(maxVerified, len(outlived))] {
		m, err := askMachine(ctx, p, d)
		if err == nil && m.State != provider.MachineTerminating && m.State != provider.MachineGone {
			exist = append(exist, d)
		}
	}
	return exist
}

// applyComparison reports the issues, and enqueues the deployments to reconcile.
func (s *Service) applyComparison(
	ctx context.Context, tx *db.Tx, slug string, found comparison, outlived []id.ID,
) error {
	reopened, err := reopen(ctx, tx, slug, outlived)
	if err != nil {
		return err
	}
	ids := slices.Sorted(maps.Keys(reopened))
	if err := s.cfg.Meter.CostGoesOn(ctx, tx, ids); err != nil {
		return err
	}
	if err := s.cfg.Issues.Report(ctx, tx, slug, issue.MachineKinds, found.machines.With(ids)); err != nil {
		return err
	}
	maps.Copy(found.changed, reopened)
	for _, d := range slices.Sorted(maps.Keys(found.changed)) {
		if err := s.cfg.Jobs.Enqueue(ctx, tx, found.changed[d], KindReconcile, d, tx.Now); err != nil {
			return err
		}
	}
	return nil
}

// MachinesAt returns the deployments that have a machine at the provider, or may have one because
// a launch was not answered. It is for the operator.
func (s *Service) MachinesAt(ctx context.Context, r db.Reader, provider string) ([]id.ID, error) {
	return readMachines(ctx, r, provider)
}
