package deployment

import (
	"cmp"
	"context"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

// autoTerminate ends a deployment whose auto-termination is due. The tenant pays until that
// instant, also if the server was down then.
func (s *Service) autoTerminate(ctx context.Context, r *row) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, r.id)
		if err != nil || !found {
			return err
		}
		end, planned := fresh.autoEnd()
		if fresh.status != r.status || !planned || tx.Now.Before(end.at) {
			return errConflict
		}
		return s.beginEnd(ctx, tx, &fresh, end.cause, end.reason)
	})
}

// beginEnd ends the tenant's time: the meter stops, or the hold is released, and a job is enqueued
// that ends the machine. If the auto-termination is due, the tenant pays only until then, whatever
// ends the deployment now: the server may have been down.
func (s *Service) beginEnd(ctx context.Context, tx *db.Tx, r *row, cause Cause, reason string) error {
	end, err := s.endBefore(ctx, tx, r, autoEnd{tx.Now, cause, reason})
	if err != nil {
		return err
	}
	at := end.at
	err = s.changeIn(ctx, tx, r, end.cause, end.reason, func(ctx context.Context, tx *db.Tx, r *row) error {
		r.billedUntil = &at
		r.action, r.actionArgument, r.actionImage = "", "", nil
		if r.startedAt == nil {
			r.steps = step.End(r.steps, true, "canceled", seconds(tx.Now))
			_, err := s.cfg.Wallet.Release(ctx, tx, r.id)
			return err
		}
		if _, err := s.cfg.Meter.Stop(ctx, tx, r.id, at, meter.FirstHour); err != nil {
			return err
		}
		return s.endDowntime(ctx, tx, r, at)
	})
	if err != nil {
		return err
	}
	return s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindReconcile, r.id, tx.Now)
}

// endBefore returns the first of the ends that are due: the given one, the auto-termination, and
// the hour that a budget refuses. The hours that begin before it are booked.
func (s *Service) endBefore(ctx context.Context, tx *db.Tx, r *row, end autoEnd) (autoEnd, error) {
	if due, planned := r.autoEnd(); planned && !due.at.After(end.at) {
		if end.cause != due.cause {
			due.reason = cmp.Or(due.reason, "The auto-terminate time has passed.")
		}
		end = due
	}
	end.at = seconds(end.at)
	if r.startedAt == nil { // no hour has begun; its status may be that of the end already
		return end, nil
	}
	refused, err := s.cfg.Meter.BookUntil(ctx, tx, r.id, end.at)
	if err == nil && refused != nil && refused.At.Before(end.at) {
		end = autoEnd{refused.At, CauseBudget, refused.Reason}
	}
	return end, err
}

// EndForBudget is the handler of budget.KindEnd: it ends a deployment whose next hour a budget
// refused, at the instant at which that hour would have begun.
func (s *Service) EndForBudget(ctx context.Context, deployment id.ID) (job.Outcome, error) {
	return job.Done(), s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, found, err := findAny(ctx, tx, deployment)
		if err != nil || !found || !r.status.Alive() {
			return err
		}
		refused, err := s.cfg.Meter.BookUntil(ctx, tx, deployment, seconds(tx.Now))
		if err != nil || refused == nil {
			return err
		}
		return s.beginEnd(ctx, tx, &r, CauseBudget, refused.Reason)
	})
}

// askTermination calls Terminate.
func (s *Service) askTermination(ctx context.Context, p provider.Provider, r *row) (*terminateAnswer, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	crashpoint.Reach(crashpoint.TerminateBeforeCall)
	// The run that has the job now may be at another offer, with a machine of the same reference.
	if err := job.Holds(ctx); err != nil {
		return nil, err
	}
	ask, done := provider.Begin(ask, p, provider.CallTerminate)
	err := p.Terminate(ask, r.id)
	done(err)
	crashpoint.Reach(crashpoint.TerminateAfterCall)
	if err != nil && provider.KindOf(err) != provider.KindNotFound {
		s.cfg.Log.WarnContext(ctx, "a provider did not accept the end of a machine; it is retried",
			"deployment", r.id, "provider", r.provider, "error", err)
	}
	return &terminateAnswer{err: err}, nil
}

// confirmEnd records that the provider has no machine any more.
func (s *Service) confirmEnd(ctx context.Context, r *row) error {
	crashpoint.Reach(crashpoint.TerminateBeforeConfirming)
	return s.change(ctx, r, CauseConfirmedEnd, r.reason, func(ctx context.Context, tx *db.Tx, r *row) error {
		r.releasedAt = &tx.Now
		if err := s.cfg.Meter.CostEnds(ctx, tx, r.id, tx.Now); err != nil {
			return err
		}
		return s.cfg.Volumes.DetachAll(ctx, tx, r.id)
	})
}

// release records that nothing is left at the provider of a deployment that failed, was
// interrupted, or whose machine outlived it.
func (s *Service) release(ctx context.Context, r *row) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r.releasedAt = &tx.Now
		if err := guarded(setReleased(ctx, tx, r)); err != nil {
			return err
		}
		return s.cfg.Meter.CostEnds(ctx, tx, r.id, tx.Now)
	})
}
