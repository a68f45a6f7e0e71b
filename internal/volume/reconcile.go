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
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	// createLimit is how long a volume may take to come into being.
	createLimit = 15 * time.Minute
	// lostLimit is how long a provider must say that it does not know a volume before it is believed.
	lostLimit = 15 * time.Minute
	// machineLimit is how long, beyond the provider's own limit for a launch, a volume waits for a machine that nobody knows.
	machineLimit = 15 * time.Minute
	// cleanFor is how long a volume that never came into being is deleted upstream, and cleanEvery how often.
	cleanFor   = time.Hour
	cleanEvery = 10 * time.Minute
	// slowest is the longest pause between two looks at something that takes its time.
	slowest = 5 * time.Minute
	// askLimit is how long the provider may take for one step, in real time.
	askLimit = time.Minute
)

// Reconcile asks the provider about a volume and takes the next step towards what is wanted of it. It may be
// ended at any point and repeated.
func (s *Service) Reconcile(ctx context.Context, volume id.ID) (job.Outcome, error) {
	r, found, err := read(ctx, s.c.DB, volume)
	if err != nil || !found {
		return job.Done(), err
	}
	if !r.unsettled() {
		return job.Done(), nil
	}
	p, configured := s.c.Providers.Get(r.provider)
	v, keeps := p.(provider.VolumeProvider)
	if !configured || !keeps {
		return job.Outcome{}, fmt.Errorf("volume %s is %s at %s, which is not configured or has no volumes any more", r.id, r.status, r.provider)
	}
	k := keeper{v, p.Machine, p.Info()}
	switch r.status {
	case StatusCreating:
		return s.create(ctx, k, r)
	case StatusAttaching:
		return s.attach(ctx, k, r)
	case StatusDetaching:
		return s.detach(ctx, k, r)
	case StatusDeleting:
		return s.delete(ctx, k, r)
	case StatusFailed, StatusDeleted:
		return s.clean(ctx, k, r)
	default:
		return s.grow(ctx, k, r)
	}
}

// unsettled tells whether the provider has something to do for it.
func (r *record) unsettled() bool {
	switch r.status {
	case StatusAvailable, StatusAttached:
		return r.wantedGB > r.sizeGB
	case StatusFailed, StatusDeleted:
		return r.cleanUntil != nil
	default:
		return true
	}
}

// create looks for the volume, asks for it where there is none, and waits until it is ready. An unknown outcome is
// settled by the next look; asking again with the same reference cannot make a second one, once the first request cannot take effect any more.
func (s *Service) create(ctx context.Context, k keeper, r record) (job.Outcome, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	v, refused, err := s.made(ask, k, r)
	switch {
	case ctx.Err() != nil:
		return job.Outcome{}, ctx.Err()
	case errors.Is(err, errMoved):
		return job.At(s.c.Clock.Now()), nil
	case refused:
		return s.giveUp(ctx, k, r, "The provider refused to make the volume"+said(err))
	case err == nil && v.Failed:
		return s.giveUp(ctx, k, r, "The provider could not make the volume.")
	case err == nil && v.Ready:
		return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
			now := tx.Now.Truncate(time.Second)
			r.availableAt = &now
			if err := s.move(ctx, tx, r, StatusAvailable, ""); err != nil {
				return err
			}
			return s.c.Meter.Start(ctx, tx, meter.Start{
				Subject: r.id, Account: r.account, HourlyPrice: r.hourly(), HourlyCost: r.hourlyCost(), At: now, Description: describe(r.sizeGB), Labels: r.labels(),
			})
		})
	case s.c.Clock.Now().Sub(r.createdAt) >= createLimit:
		return s.giveUp(ctx, k, r, fmt.Sprintf("The provider did not make the volume within %d minutes.", createLimit/time.Minute))
	case err != nil:
		return s.later(err)
	}
	return s.soon(k, r)
}

// errMoved is for a volume that is not being created any more: somebody wants it deleted.
var errMoved = errors.New("volume: changed meanwhile")

// made looks for the volume, and asks for it where there is none and none can be under way. Refused is the provider's answer to that.
func (s *Service) made(ctx context.Context, k keeper, r record) (v provider.Volume, refused bool, err error) {
	v, err = k.Volume(ctx, r.id)
	if err == nil || provider.KindOf(err) != provider.KindNotFound {
		return v, false, err
	}
	if wait := s.mayStillCome(k, r); wait > 0 {
		return v, false, &provider.Error{Kind: provider.KindThrottled, RetryAfter: min(wait, lookAgain(k)), Cause: errors.New("the create was not answered, and may still take effect")}
	}
	note := func(at func(tx *db.Tx) *time.Time) error {
		if k.info.SettleTime == 0 {
			return nil
		}
		return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			still, err := setCreateAsked(ctx, tx, r.id, at(tx))
			if err == nil && !still {
				err = errMoved
			}
			return err
		})
	}
	if err := note(func(tx *db.Tx) *time.Time { return &tx.Now }); err != nil {
		return v, false, err
	}
	v, err = k.CreateVolume(ctx, provider.VolumeRequest{Reference: r.id, Name: r.name, Region: r.region, SizeGB: r.sizeGB})
	if err != nil && provider.KindOf(err) != provider.KindUnavailable { // nothing was made
		return v, definite(err), errors.Join(err, note(func(*db.Tx) *time.Time { return nil }))
	}
	return v, false, err
}

// mayStillCome is for how long a create without an answer may still take effect unseen; 0 where none can. What was noted is when it began: the
// request may have waited for its turn as long as we wait for an answer, before it went out.
func (s *Service) mayStillCome(k keeper, r record) time.Duration {
	if r.availableAt != nil || r.createAsked == nil {
		return 0
	}
	return max(0, r.createAsked.Add(askLimit+k.info.SettleTime).Sub(s.c.Clock.Now()))
}

// lookAgain is how long what may change at any moment is left alone.
func lookAgain(k keeper) time.Duration { return max(k.info.PollEvery, time.Second) }

// giveUp ends a creation. Nothing was paid; whatever there is upstream, or comes late, is cleaned up.
func (s *Service) giveUp(ctx context.Context, k keeper, r record, reason string) (job.Outcome, error) {
	s.c.Log.WarnContext(ctx, "volume could not be created", "volume", r.id, "provider", r.provider, "reason", reason)
	return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
		until := tx.Now.Add(max(cleanFor, k.info.SettleTime))
		r.cleanUntil = &until
		if _, err := s.c.Wallet.Release(ctx, tx, r.id); err != nil {
			return err
		}
		return s.move(ctx, tx, r, StatusFailed, reason)
	})
}

// attach waits for the deployment's machine and attaches the volume to it.
func (s *Service) attach(ctx context.Context, k keeper, r record) (job.Outcome, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	waited := s.c.Clock.Now().Sub(r.since)
	v, err := k.Volume(ask, r.id)
	if err == nil && v.AttachedTo != "" && v.AttachedTo != r.deployment {
		// Left over from an attach that was called off while it was on its way. It must not wait for the new machine.
		err = k.DetachVolume(ask, r.id)
	}
	if err != nil {
		return s.refusedOrLater(ctx, r, waited, err)
	}
	m, err := k.machine(ask, r.deployment)
	switch {
	case err != nil && provider.KindOf(err) == provider.KindNotFound:
		// Not launched yet, most likely. A deployment that ends says so itself (DetachAll); this is for one that cannot.
		if waited < k.info.LaunchLimit+machineLimit {
			return s.await(ctx, k, r)
		}
		return s.turnBack(ctx, r, "The deployment's machine never came.")
	case err != nil:
		return s.later(err)
	case m.State == provider.MachineProvisioning, m.State == provider.MachineOff:
		return s.await(ctx, k, r)
	case m.State != provider.MachineReady:
		// Ended, or about to: the deployment says so itself, or goes on to another offer and has another machine soon.
		if waited < k.info.LaunchLimit+machineLimit {
			return s.await(ctx, k, r)
		}
		return s.turnBack(ctx, r, "The deployment's machine has ended.")
	}
	if v.AttachedTo != r.deployment {
		crashpoint.Reach(crashpoint.AttachBeforeCall)
		if err = k.AttachVolume(ask, r.id, r.deployment); err == nil {
			crashpoint.Reach(crashpoint.AttachAfterCall)
			v, err = k.Volume(ask, r.id)
		}
	}
	switch {
	case err != nil:
		return s.refusedOrLater(ctx, r, waited, err)
	case v.AttachedTo != r.deployment:
		return s.soon(k, r)
	}
	return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
		r.mountPath = v.MountPath
		return s.move(ctx, tx, r, StatusAttached, "")
	})
}

// refusedOrLater turns back when the provider has refused. NotFound counts as such only after a while: the machine may have
// gone this moment, and will be seen so.
func (s *Service) refusedOrLater(ctx context.Context, r record, waited time.Duration, err error) (job.Outcome, error) {
	if !definite(err) || provider.KindOf(err) == provider.KindNotFound && waited < lostLimit {
		return s.later(err)
	}
	return s.turnBack(ctx, r, "The provider refused to attach the volume"+said(err))
}

// await waits for the machine. A volume need not wait with its growth, which may be for as long as the machine is switched off.
func (s *Service) await(ctx context.Context, k keeper, r record) (job.Outcome, error) {
	if r.wantedGB > r.sizeGB {
		return s.grow(ctx, k, r)
	}
	return s.soon(k, r)
}

// turnBack calls an attach off. The volume is taken off upstream first: who refused may have done it half.
func (s *Service) turnBack(ctx context.Context, r record, reason string) (job.Outcome, error) {
	return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
		return s.move(ctx, tx, r, StatusDetaching, reason)
	})
}

func (s *Service) detach(ctx context.Context, k keeper, r record) (job.Outcome, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	crashpoint.Reach(crashpoint.DetachBeforeCall)
	err := k.DetachVolume(ask, r.id)
	crashpoint.Reach(crashpoint.DetachAfterCall)
	var v provider.Volume
	if err == nil {
		v, err = k.Volume(ask, r.id)
	}
	switch {
	case err == nil && v.AttachedTo == "":
		return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
			r.deployment, r.mountPath = "", ""
			return s.move(ctx, tx, r, StatusAvailable, r.reason)
		})
	case err == nil:
		return s.soon(k, r)
	case provider.KindOf(err) == provider.KindNotFound && s.c.Clock.Now().Sub(r.since) >= lostLimit:
		s.c.Log.ErrorContext(ctx, "provider has lost a volume", "volume", r.id, "provider", r.provider)
		return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
			if _, err := s.c.Meter.Stop(ctx, tx, r.id, tx.Now, meter.CurrentHour); err != nil {
				return err
			}
			if err := s.c.Meter.CostEnds(ctx, tx, r.id, tx.Now); err != nil {
				return err
			}
			r.deployment, r.mountPath, r.wantedGB = "", "", r.sizeGB
			return s.move(ctx, tx, r, StatusFailed, "The provider does not know this volume any more.")
		})
	}
	return s.later(err)
}

func (s *Service) delete(ctx context.Context, k keeper, r record) (job.Outcome, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if err := s.remove(ask, k, r); err != nil {
		return s.later(err)
	}
	if wait := s.mayStillCome(k, r); wait > 0 { // there is none yet
		return job.At(s.c.Clock.Now().Add(min(wait, lookAgain(k)))), nil
	}
	return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
		now := tx.Now.Truncate(time.Second)
		r.deleted, r.deployment, r.mountPath = &now, "", ""
		if now.Sub(r.createdAt) < createLimit+cleanFor { // a create may be under way still, perhaps a worker's that lost the job long ago
			until := tx.Now.Add(cleanFor)
			r.cleanUntil = &until
		}
		if err := s.c.Meter.CostEnds(ctx, tx, r.id, tx.Now); err != nil {
			return err
		}
		return s.move(ctx, tx, r, StatusDeleted, r.reason)
	})
}

// remove deletes the volume upstream, taking it from its machine first. Nil tells that there is none.
func (s *Service) remove(ctx context.Context, k keeper, r record) error {
	gone := func(err error) bool { return err == nil || provider.KindOf(err) == provider.KindNotFound }
	if r.deployment != "" {
		if err := k.DetachVolume(ctx, r.id); !gone(err) {
			return err
		}
	}
	err := k.DeleteVolume(ctx, r.id)
	if err != nil && provider.KindOf(err) == provider.KindRejected {
		if err := k.DetachVolume(ctx, r.id); !gone(err) {
			return err
		}
		err = k.DeleteVolume(ctx, r.id)
	}
	if gone(err) {
		return nil
	}
	return err
}

// clean deletes what a create that was given up may have left upstream, until none can come any more.
func (s *Service) clean(ctx context.Context, k keeper, r record) (job.Outcome, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if err := s.remove(ask, k, r); err != nil {
		return s.later(err)
	}
	now := s.c.Clock.Now()
	if now.Before(*r.cleanUntil) {
		next := now.Add(cleanEvery)
		if next.After(*r.cleanUntil) {
			next = *r.cleanUntil
		}
		return job.At(next), nil
	}
	return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
		r.cleanUntil = nil
		return save(ctx, tx, *r)
	})
}

func (s *Service) grow(ctx context.Context, k keeper, r record) (job.Outcome, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	asked := r.wantedGB
	err := k.GrowVolume(ask, r.id, asked)
	switch {
	case err == nil:
		return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
			r.sizeGB, r.reason = asked, ""
			if err := save(ctx, tx, *r); err != nil {
				return err
			}
			if err := s.reprice(ctx, tx, *r); err != nil {
				return err
			}
			if err := s.c.Meter.CostChanges(ctx, tx, r.id, r.hourlyCost()); err != nil {
				return err
			}
			return s.tell(ctx, tx, *r, "grown")
		})
	case definite(err) && provider.KindOf(err) != provider.KindNotFound:
		return s.change(ctx, r, func(ctx context.Context, tx *db.Tx, r *record) error {
			r.wantedGB, r.reason = r.sizeGB, "The provider refused to let the volume grow"+said(err)
			if err := save(ctx, tx, *r); err != nil {
				return err
			}
			return s.tell(ctx, tx, *r, "updated")
		})
	}
	return s.later(err)
}

// change writes what was learned, if the volume is still as it was when the provider was asked, and has it looked
// at again at once where there is more to do.
//
// If it is not, the step may have landed upstream after that of another worker, one that took the job over from this
// one: a volume that is where it should be already is then brought there once more.
func (s *Service) change(ctx context.Context, seen record, f func(ctx context.Context, tx *db.Tx, r *record) error) (job.Outcome, error) {
	more := false
	err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, found, err := lock(ctx, tx, seen.id)
		if err != nil || !found {
			return err
		}
		switch {
		case r.changes == seen.changes+1: // nobody but this call has touched it
			err = f(ctx, tx, &r)
		case r.status == StatusAvailable: // growing or not: that tells nothing of who has it
			err = s.move(ctx, tx, &r, StatusDetaching, r.reason)
		case r.status == StatusAttached:
			err = s.move(ctx, tx, &r, StatusAttaching, "")
		}
		more = r.unsettled()
		return err
	})
	if err != nil || !more {
		return job.Done(), err
	}
	return job.At(s.c.Clock.Now()), nil
}

// soon is for what takes its time: at first as often as the provider wants, then ever more seldom.
func (s *Service) soon(k keeper, r record) (job.Outcome, error) {
	now := s.c.Clock.Now()
	return job.At(now.Add(max(lookAgain(k), min(now.Sub(r.since)/10, slowest)))), nil
}

// later is for an answer that did not come: when the provider wants to be asked again, or with the job's own patience.
func (s *Service) later(err error) (job.Outcome, error) {
	if e := (*provider.Error)(nil); errors.As(err, &e) && e.RetryAfter > 0 {
		return job.At(s.c.Clock.Now().Add(min(e.RetryAfter, slowest))), nil
	}
	return job.Outcome{}, err
}

// definite tells whether the provider has understood and will not do it.
func definite(err error) bool {
	switch provider.KindOf(err) {
	case provider.KindRejected, provider.KindUnsupported, provider.KindNoCapacity, provider.KindNotFound:
		return true
	}
	return false
}

// said is what the provider said to it, as the end of a sentence.
func said(err error) string {
	if e := (*provider.Error)(nil); errors.As(err, &e) && e.Message != "" {
		return ": " + provider.Plain(e.Message, 200)
	}
	return "."
}
