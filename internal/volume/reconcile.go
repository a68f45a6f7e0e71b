package volume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

// askLimit is how long the provider may take for the questions of one run, in real time.
const askLimit = time.Minute

// errConflict is returned where a volume is not being created any more: it is to be deleted.
var errConflict = errors.New("volume: changed concurrently")

// Reconcile asks the provider about a volume, decides, and applies one change. It can be stopped at
// any point and repeated.
func (s *Service) Reconcile(ctx context.Context, volume id.ID) (job.Outcome, error) {
	r, found, err := read(ctx, s.cfg.DB, volume)
	if err != nil || !found {
		return job.Done(), err
	}
	p, configured := s.cfg.Providers.Get(r.provider)
	volumes, has := p.(provider.VolumeProvider)
	seen := observation{configured: configured && has}
	if configured {
		seen.info = p.Info()
	}
	u := upstream{Provider: p, volumes: volumes}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	for {
		d := decide(&r, seen, s.cfg.Clock.Now())
		asked, err := s.ask(ask, u, &r, &seen, d)
		switch {
		case errors.Is(err, errConflict):
			return job.At(s.cfg.Clock.Now()), nil
		case err != nil:
			return job.Outcome{}, err
		case ctx.Err() != nil:
			return job.Outcome{}, ctx.Err()
		case !asked:
			return s.apply(ctx, r, seen, d)
		}
	}
}

// upstream is the provider of a volume.
type upstream struct {
	provider.Provider
	volumes provider.VolumeProvider
}

// unsettled reports whether the provider has something to do for the volume.
func (r *record) unsettled() bool {
	switch r.status {
	case StatusAvailable, StatusAttached:
		return r.wantedSizeGB > r.sizeGB
	case StatusFailed, StatusDeleted:
		return r.cleanUntil != nil
	default:
		return true
	}
}

// ask carries out a decision after which the run decides again. It returns false for the others.
// What changes something upstream is refused once the run has lost its job.
func (s *Service) ask(ctx context.Context, u upstream, r *record, seen *observation, d decision) (bool, error) {
	switch d.kind {
	case doAskVolume:
		call, done := provider.Begin(ctx, u, provider.CallVolume)
		v, err := u.volumes.Volume(call, r.id)
		done(err)
		seen.volume = &volumeAnswer{volume: v, err: err}
	case doAskMachine:
		call, done := provider.Begin(ctx, u, provider.CallMachine)
		m, err := u.Machine(call, r.deployment)
		done(err)
		seen.machine = &machineAnswer{state: m.State, err: err}
	case doCreate:
		v, err := s.create(ctx, u, r, seen.info.SettleTime)
		if errors.Is(err, errConflict) {
			return true, err
		}
		seen.volume = &volumeAnswer{volume: v, err: err, created: true}
	case doAttach:
		crashpoint.Reach(crashpoint.AttachBeforeCall)
		err := change(ctx, u, func(ctx context.Context) error {
			return u.volumes.AttachVolume(ctx, r.id, r.deployment)
		})
		seen.attach = &answer{err}
		if err == nil {
			crashpoint.Reach(crashpoint.AttachAfterCall)
			if seen.volume.volume.AttachedTo != r.deployment {
				seen.volume = nil // asked for again
			}
		}
	case doDetach:
		crashpoint.Reach(crashpoint.DetachBeforeCall)
		seen.detach = &answer{change(ctx, u, func(ctx context.Context) error {
			return u.volumes.DetachVolume(ctx, r.id)
		})}
		crashpoint.Reach(crashpoint.DetachAfterCall)
	case doRemove:
		seen.remove = &answer{remove(ctx, u, r)}
	case doGrow:
		seen.grownTo = r.wantedSizeGB
		seen.grow = &answer{change(ctx, u, func(ctx context.Context) error {
			return u.volumes.GrowVolume(ctx, r.id, r.wantedSizeGB)
		})}
	default:
		return false, nil
	}
	return true, nil
}

// change calls f, which changes something upstream, unless the run has lost its job.
func change(ctx context.Context, u upstream, f func(ctx context.Context) error) error {
	if err := job.Holds(ctx); err != nil {
		return err
	}
	ctx, done := provider.Begin(ctx, u, provider.CallChangeVolume)
	err := f(ctx)
	done(err)
	return err
}

// create calls CreateVolume. Where the provider needs time to settle, the call is recorded first.
func (s *Service) create(
	ctx context.Context, u upstream, r *record, settleTime time.Duration,
) (v provider.Volume, err error) {
	record := func(at func(tx *db.Tx) *time.Time) error {
		if settleTime == 0 {
			return nil
		}
		return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			creating, err := setCreateAsked(ctx, tx, r, at(tx))
			if err == nil && !creating {
				err = errConflict
			}
			return err
		})
	}
	if err := record(func(tx *db.Tx) *time.Time { return &tx.Now }); err != nil {
		return v, err
	}
	err = change(ctx, u, func(ctx context.Context) error {
		v, err = u.volumes.CreateVolume(ctx, provider.VolumeRequest{
			Reference: r.id, Name: r.name, Region: r.region, SizeGB: r.sizeGB,
		})
		return err
	})
	if err != nil && provider.KindOf(err) != provider.KindUnavailable { // nothing was created
		err = errors.Join(err, record(func(*db.Tx) *time.Time { return nil }))
	}
	return v, err
}

// remove deletes the volume upstream, and detaches it first. Nil means that there is none.
func remove(ctx context.Context, u upstream, r *record) error {
	call := func(f func(context.Context, id.ID) error) error {
		err := change(ctx, u, func(ctx context.Context) error { return f(ctx, r.id) })
		if err != nil && provider.KindOf(err) == provider.KindNotFound {
			return nil
		}
		return err
	}
	if r.deployment != "" {
		if err := call(u.volumes.DetachVolume); err != nil {
			return err
		}
	}
	err := call(u.volumes.DeleteVolume)
	if err == nil || provider.KindOf(err) != provider.KindRejected {
		return err
	}
	if err := call(u.volumes.DetachVolume); err != nil {
		return err
	}
	return call(u.volumes.DeleteVolume)
}

// apply carries out a decision that ends the run.
func (s *Service) apply(ctx context.Context, r record, seen observation, d decision) (job.Outcome, error) {
	switch d.kind {
	case doNothing:
		return job.Done(), nil
	case doWait:
		return job.At(d.at), nil
	case doRetry:
		return job.Outcome{}, d.err
	}
	if d.kind == doFailCreate || d.kind == doLose {
		s.cfg.Log.WarnContext(ctx, "a volume failed", "volume", r.id, "provider", r.provider, "reason", d.reason)
	}
	return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
		switch d.kind {
		case doMakeAvailable:
			return s.makeAvailable(ctx, tx, r)
		case doFailCreate:
			return s.failCreate(ctx, tx, r, d.reason, seen.info.SettleTime)
		case doConfirmAttach:
			r.mountPath = seen.volume.volume.MountPath
			return s.setStatus(ctx, tx, r, StatusAttached, "")
		case doCancelAttach: // which is undone upstream too: a refused attachment may be half done
			return s.setStatus(ctx, tx, r, StatusDetaching, d.reason)
		case doConfirmDetach:
			r.deployment, r.mountPath = "", ""
			return s.setStatus(ctx, tx, r, StatusAvailable, r.reason)
		case doLose:
			return s.lose(ctx, tx, r, d.reason)
		case doConfirmDelete:
			return s.confirmDelete(ctx, tx, r)
		case doConfirmClean:
			r.cleanUntil = nil
			return save(ctx, tx, r)
		case doConfirmGrowth:
			return s.confirmGrowth(ctx, tx, r, seen.grownTo)
		case doCancelGrowth:
			r.wantedSizeGB, r.reason = r.sizeGB, d.reason
			return s.saved(ctx, tx, r, "updated")
		default:
			return fmt.Errorf("volume: no applier for the decision %q", d.kind)
		}
	})
}

// change writes what was learned, if the volume is still as it was when the provider was asked. It
// is reconciled again at once if there is more to do.
//
// If it is not, this run's step may have taken effect upstream after that of another worker, which
// took the job over: a volume that seems to be where it should be is brought there once more.
func (s *Service) change(
	ctx context.Context, seen record, f func(ctx context.Context, tx *db.Tx, r *record) error,
) (job.Outcome, error) {
	more := false
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, found, err := lock(ctx, tx, seen.id)
		if err != nil || !found {
			return err
		}
		switch {
		case r.changes == seen.changes+1: // only this call has changed it
			err = f(ctx, tx, &r)
		case r.status == StatusAvailable:
			err = s.setStatus(ctx, tx, &r, StatusDetaching, r.reason)
		case r.status == StatusAttached:
			err = s.setStatus(ctx, tx, &r, StatusAttaching, "")
		}
		more = r.unsettled()
		return err
	})
	if err != nil || !more {
		return job.Done(), err
	}
	return job.At(s.cfg.Clock.Now()), nil
}
