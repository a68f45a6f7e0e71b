package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// reasonRestored is what a tenant reads of a deployment whose machine is gone after a recovery.
const reasonRestored = "The server was restored from a backup, and the machine had ended since."

// EndLost ends the deployments at a provider whose machine is gone after the database was restored
// as it was at that instant, and returns how many there were. Those that ran are interrupted and
// billed until the instant: for how long they ran after it is unknown. Those that had no machine
// yet fail: their tenants may have got one and ended it since, so they are not launched again.
//
// The provider is asked for each of them alone, because a list may be incomplete. Terminations go
// on as usual. It can be stopped at any point and repeated.
func (s *Service) EndLost(ctx context.Context, slug string, at time.Time) (int, error) {
	p, configured := s.cfg.Providers.Get(slug)
	if !configured {
		return 0, nil
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	machines, err := p.Machines(ask)
	if err != nil {
		return 0, fmt.Errorf("list the machines of %s: %w", slug, err)
	}
	rows, err := readWatched(ctx, s.cfg.DB, slug)
	if err != nil {
		return 0, err
	}
	has := map[id.ID]bool{}
	for _, m := range machines {
		has[m.Reference] = has[m.Reference] || m.State != provider.MachineGone
	}
	ended := 0
	for _, w := range rows {
		if !slices.Contains(Unended, w.status) || has[w.id] {
			continue
		}
		m, err := askMachine(ctx, p, w.id)
		switch {
		case err == nil && m.State != provider.MachineGone:
			continue
		case err != nil && provider.KindOf(err) != provider.KindNotFound:
			return ended, fmt.Errorf("ask %s for the machine of %s: %w", slug, w.id, err)
		}
		if err := s.endLost(ctx, w.id, at); err != nil {
			return ended, err
		}
		ended++
	}
	return ended, nil
}

func (s *Service) endLost(ctx context.Context, deployment id.ID, at time.Time) error {
	r, found, err := findAny(ctx, s.cfg.DB, deployment)
	switch {
	case err != nil || !found || !slices.Contains(Unended, r.status):
	case r.startedAt == nil:
		err = s.fail(ctx, &r, CauseTimedOut, reasonRestored)
	default:
		until := seconds(at)
		if until.Before(*r.startedAt) {
			until = *r.startedAt
		}
		err = s.interruptAt(ctx, &r, &until, reasonRestored, false)
	}
	if errors.Is(err, errConflict) { // a tenant or an operator ended it meanwhile
		return nil
	}
	return err
}
