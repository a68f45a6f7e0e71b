package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	// reasonRestored is what a tenant reads of a deployment whose machine is gone after a recovery,
	// and reasonNotDone of an action that was requested before the backup.
	reasonRestored = "The server was restored from a backup, and the machine had ended since."
	reasonNotDone  = "The server was restored from a backup. Request it again if it was not done."
)

// ErrNoMachines is returned by SettleRestored for a provider that knows none of the machines that
// the database has there: it may be asked with the key of another account.
var ErrNoMachines = errors.New("the provider knows none of the machines that the database has there")

// SettleRestored makes the deployments at a provider agree with it, after the database was restored
// as it was at that instant. It returns how many have ended.
//
//   - One whose machine is gone or on its way out is interrupted, and billed until the instant: for
//     how long it ran after it is unknown.
//   - One that had no machine, and has none, fails: its tenant may have got one and ended it since,
//     so it is not launched again. One that has a machine by now gets the time of a launch to run.
//   - Pending actions are abandoned. They may have been carried out, and a reinstallation
//     would erase what the tenant has done since.
//
// Each missing machine is asked for alone, because a list may be incomplete. If the provider
// knows none of them, it returns ErrNoMachines, unless even that is confirmed. Terminations go on
// as usual. It can be stopped at any point and repeated.
func (s *Service) SettleRestored(
	ctx context.Context, slug string, at time.Time, confirmed bool,
) (ended int, err error) {
	p, configured := s.cfg.Providers.Get(slug)
	if !configured {
		return 0, nil
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	ask, done := provider.Begin(ask, p, provider.CallMachines)
	machines, err := p.Machines(ask)
	done(err)
	if err != nil {
		return 0, fmt.Errorf("list the machines of %s: %w", slug, err)
	}
	rows, err := readWatched(ctx, s.cfg.DB, slug)
	if err != nil {
		return 0, err
	}
	listed := map[id.ID]provider.Machine{}
	for _, m := range machines {
		if !leaves(m) {
			listed[m.Reference] = m
		}
	}
	unended := slices.DeleteFunc(rows, func(w watched) bool { return !slices.Contains(Unended, w.status) })
	missing, unknown, err := s.missing(ctx, p, unended, listed)
	if err != nil {
		return 0, err
	}
	made := len(slices.DeleteFunc(slices.Clone(unended), func(w watched) bool { return w.machineID == "" }))
	if made > 0 && unknown == made && !confirmed {
		return 0, fmt.Errorf("%s: %w (%d)", slug, ErrNoMachines, made)
	}
	for _, w := range unended {
		if m, has := listed[w.id]; has && w.startedAt == nil {
			if err := s.resumeLaunch(ctx, w.id, m, p.Info().LaunchLimit); err != nil {
				return 0, err
			}
		}
	}
	if err := s.abandonActions(ctx, slug); err != nil {
		return 0, err
	}
	for _, d := range missing {
		if err := s.endLost(ctx, d, at); err != nil {
			return ended, err
		}
		ended++
	}
	return ended, nil
}

// leaves reports whether the machine is gone for its tenant.
func leaves(m provider.Machine) bool {
	return slices.Contains([]provider.MachineState{
		provider.MachineGone, provider.MachineLost, provider.MachineFailed, provider.MachineTerminating,
	}, m.State)
}

// missing returns the deployments whose machine is neither on the list nor found alone, which are
// added to the list, and how many of these machines existed and are not known at all.
func (s *Service) missing(
	ctx context.Context, p provider.Provider, unended []watched, listed map[id.ID]provider.Machine,
) (out []id.ID, unknown int, err error) {
	for _, w := range unended {
		if _, has := listed[w.id]; has {
			continue
		}
		m, err := askMachine(ctx, p, w.id)
		switch {
		case err == nil && !leaves(m):
			listed[w.id] = m
			continue
		case err != nil && provider.KindOf(err) != provider.KindNotFound:
			return nil, 0, fmt.Errorf("ask %s for the machine of %s: %w", p.Info().Slug, w.id, err)
		case err != nil && w.machineID != "":
			unknown++
		}
		out = append(out, w.id)
	}
	return out, unknown, nil
}

// resumeLaunch records the machine of a deployment that was being launched at the backup, and gives
// it the time of a launch.
func (s *Service) resumeLaunch(ctx context.Context, d id.ID, m provider.Machine, limit time.Duration) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, found, err := findAny(ctx, tx, d)
		if err != nil || !found || r.startedAt != nil || !slices.Contains(Unended, r.status) {
			return err
		}
		now := tx.Now.Truncate(time.Microsecond)
		r.machineID, r.launchAskedAt, r.launchBy = cmp.Or(r.machineID, m.ID), &now, seconds(now.Add(limit))
		_, err = set(ctx, tx, &r, []string{"machine_id", "launch_asked_at", "launch_by"}, db.Is("status", r.status))
		return err
	})
}

// abandonActions abandons what tenants wanted to be done with their machines.
func (s *Service) abandonActions(ctx context.Context, slug string) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		pending, err := pendingActions(ctx, tx, slug)
		if err != nil {
			return err
		}
		for _, r := range pending {
			data := map[string]any{"action": r.action, "reason": reasonNotDone}
			r.action, r.actionArgument = "", ""
			if _, err := set(ctx, tx, &r, []string{"action", "action_argument"}); err != nil {
				return err
			}
			if err := s.appendEvent(ctx, tx, &r, "action_failed", data); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) endLost(ctx context.Context, deployment id.ID, at time.Time) error {
	r, found, err := findAny(ctx, s.cfg.DB, deployment)
	switch {
	case err != nil || !found || !slices.Contains(Unended, r.status):
	case r.startedAt == nil:
		err = s.fail(ctx, &r, CauseTimedOut, reasonRestored)
	default:
		until := seconds(earlier(at, s.cfg.Clock.Now()))
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
