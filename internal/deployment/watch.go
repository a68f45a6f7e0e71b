package deployment

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

// watchEvery is how often a provider's list of machines is compared with ours.
const watchEvery = time.Minute

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
// upstream however many there are, and has whatever differs looked at: a machine that is gone, was
// switched off or on, or outlived its deployment.
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
	upstream := make(map[id.ID]provider.Machine, len(machines))
	for _, m := range machines {
		upstream[m.Reference] = m
	}
	ours, err := seen(ctx, s.c.DB, slug)
	if err != nil {
		return job.Outcome{}, err
	}
	var differ, outlived []id.ID
	for _, o := range ours {
		m, there := upstream[o.id]
		delete(upstream, o.id)
		if !there && o.status.Alive() || there && differs(o, m) {
			differ = append(differ, o.id)
		}
	}
	// What is left has no deployment that should have it: one that has ended, or none at all.
	for reference, m := range upstream {
		if m.State == provider.MachineTerminating || m.State == provider.MachineGone {
			continue
		}
		if reference.Valid(id.Deployment) {
			outlived = append(outlived, reference)
		} else {
			s.c.Log.WarnContext(ctx, "the provider has a machine that Billet did not make", "provider", slug, "machine", m.ID)
		}
	}
	again := job.At(s.c.Clock.Now().Add(watchEvery))
	if len(differ)+len(outlived) == 0 {
		return again, nil
	}
	return again, s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, reference := range outlived {
			reopened, err := reopen(ctx, tx, slug, reference)
			if err != nil {
				return err
			}
			if !reopened {
				s.c.Log.WarnContext(ctx, "the provider has a machine with the reference of no deployment that has ended here", "provider", slug, "reference", reference)
				continue
			}
			s.c.Log.WarnContext(ctx, "a machine outlived its deployment; it is ended again", "provider", slug, "deployment", reference)
			differ = append(differ, reference)
		}
		for _, d := range differ {
			if err := s.c.Jobs.Enqueue(ctx, tx, KindReconcile, d, tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
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
