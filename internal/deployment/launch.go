package deployment

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

// begin records the intent to launch before the provider is asked: from then on a machine may
// exist.
func (s *Service) begin(ctx context.Context, r *row) error {
	return s.change(ctx, r, CauseLaunching, "", func(_ context.Context, tx *db.Tx, r *row) error {
		r.steps = step.Begin(r.steps, step.Launching, "", seconds(tx.Now))
		return nil
	})
}

// launch calls Launch. It can be repeated: after a lost answer the same reference gives the same
// machine, once the first request cannot take effect any more.
func (s *Service) launch(ctx context.Context, p provider.Provider, r *row) (*machineAnswer, error) {
	hostKey, err := s.issueHostKey(ctx, p, r)
	if err != nil {
		return nil, err
	}
	healthKey, err := s.issueHealthKey(ctx, r)
	if err != nil {
		return nil, err
	}
	askedBefore, openBefore, err := s.beginLaunch(ctx, r)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(r.authorizedKeys))
	for i, k := range r.authorizedKeys {
		keys[i] = k.Line
	}
	if healthKey != "" {
		keys = append(keys, healthKey)
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	crashpoint.Reach(crashpoint.LaunchBeforeCall)
	if err := job.Holds(ctx); err != nil {
		return nil, err
	}
	ask, done := provider.Begin(ask, p, provider.CallLaunch)
	m, err := p.Launch(ask, provider.LaunchRequest{
		Reference: r.id, Name: r.name, OfferKey: r.offerKey, Region: r.region, OperatingSystem: r.operatingSystem,
		Image: r.image, AuthorizedKeys: keys, CloudInit: r.cloudInit, HostKey: hostKey,
		IgnoreEnded: slices.ContainsFunc(r.attempts, func(a Attempt) bool { return a.Provider == r.provider }),
	})
	done(err)
	switch {
	case err == nil:
		crashpoint.Reach(crashpoint.LaunchAfterCall)
		r.launchOpenAt = openBefore
	case provider.KindOf(err) != provider.KindUnavailable:
		// This call made nothing. What an earlier call without an answer made is as unknown as
		// before.
		err = errors.Join(err, s.endLaunch(ctx, r, askedBefore, openBefore))
	}
	return &machineAnswer{machine: sanitized(p, m), err: err, launched: true}, nil
}

// beginLaunch records that Launch is called now, and returns the earlier launchAskedAt and
// launchOpenAt. It is errConflict if a launch is not wanted any more, or another run began one.
func (s *Service) beginLaunch(ctx context.Context, r *row) (asked, open *time.Time, err error) {
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, r.id)
		if err != nil {
			return err
		}
		wanted := found && fresh.status == StatusDeploying && fresh.offerID == r.offerID && fresh.machineID == ""
		if !wanted || !sameTime(fresh.launchAskedAt, r.launchAskedAt) {
			return errConflict
		}
		asked, open = fresh.launchAskedAt, fresh.launchOpenAt
		at := tx.Now.Truncate(time.Microsecond) // as the database keeps it
		r.launchAskedAt, r.launchOpenAt = &at, &at
		return guarded(setLaunchBegun(ctx, tx, r))
	})
	return asked, open, err
}

// endLaunch records what is left to know about launches once one was refused.
func (s *Service) endLaunch(ctx context.Context, r *row, asked, open *time.Time) error {
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return setLaunchEnded(ctx, tx, r, asked, open)
	})
	if err == nil {
		r.launchAskedAt, r.launchOpenAt = asked, open
	}
	return err
}

func sameTime(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

// adopt records which machine the deployment has.
func (s *Service) adopt(ctx context.Context, r *row, m provider.Machine) error {
	r.machineID = m.ID
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r.steps = step.Begin(r.steps, step.Provisioning, m.Detail, seconds(tx.Now))
		return guarded(setProgress(ctx, tx, r))
	})
}

// progress records which step is active, unless it is known.
func (s *Service) progress(ctx context.Context, r *row, name, detail string) error {
	steps := step.Begin(r.steps, name, detail, seconds(s.cfg.Clock.Now()))
	if step.Same(steps, r.steps) {
		return nil
	}
	r.steps = steps
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := guarded(setProgress(ctx, tx, r)); err != nil {
			return err
		}
		return s.appendEvent(ctx, tx, r, "progress", map[string]any{"step": name, "detail": detail})
	})
}

// start makes the deployment running: in one change the hold becomes the first hour's charge and
// the meter starts.
func (s *Service) start(ctx context.Context, r *row, m provider.Machine, hostKeys []string) error {
	return s.change(ctx, r, CauseReady, "", func(ctx context.Context, tx *db.Tx, r *row) error {
		now := seconds(tx.Now)
		r.startedAt = &now
		r.steps = step.End(r.steps, false, "", now)
		r.setMachine(m)
		r.setHostKeys(hostKeys)
		if err := setMachineFacts(ctx, tx, r); err != nil {
			return err
		}
		if err := s.reportLaunch(ctx, tx, r, CauseReady); err != nil {
			return err
		}
		err := s.startMeter(ctx, tx, r, cmp.Or(r.machineCost, r.costPrice))
		if err == nil && r.checksHealth() && r.healthKeySealed != "" {
			err = s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindHealth, r.id, tx.Now)
		}
		crashpoint.Reach(crashpoint.RunningBeforeCommit)
		tx.AfterCommit(func() { crashpoint.Reach(crashpoint.RunningAfterCommit) })
		return err
	})
}

// startMeter turns the hold into the first hour's charge, and has the following hours charged.
func (s *Service) startMeter(ctx context.Context, tx *db.Tx, r *row, cost money.Micros) error {
	return s.cfg.Meter.Start(ctx, tx, meter.Start{
		Subject: r.id, Account: r.account, HourlyPrice: r.hourlyPrice, At: *r.startedAt, HourlyCost: cost,
		Description: r.hardware(), Labels: r.labels(), EndsAt: r.endsAt(), MinimumHours: hoursIn(r.minimumRuntime),
	})
}

// fail releases the hold. The clean-up that follows leaves nothing at the provider.
func (s *Service) fail(ctx context.Context, r *row, cause Cause, reason string) error {
	return s.change(ctx, r, cause, reason, func(ctx context.Context, tx *db.Tx, r *row) error {
		now := seconds(tx.Now)
		r.billedUntil = &now
		r.steps = step.End(r.steps, true, reason, now)
		if _, err := s.cfg.Wallet.Release(ctx, tx, r.id); err != nil {
			return err
		}
		if err := s.reportLaunch(ctx, tx, r, cause); err != nil {
			return err
		}
		return s.cfg.Volumes.DetachAll(ctx, tx, r.id)
	})
}

// reportLaunch tells the catalog how the launch of the present offer ended. One that was not sent
// until its deadline says nothing of the offer: the server was down, or could not open the
// provider's account.
func (s *Service) reportLaunch(ctx context.Context, tx *db.Tx, r *row, cause Cause) error {
	if cause == CauseTimedOut && r.neverAsked() {
		return nil
	}
	outcome, begun := catalog.NotReached, r.createdAt
	switch cause {
	case CauseReady:
		outcome = catalog.ReachedSSH
	case CauseNoCapacity:
		outcome = catalog.NoCapacity
	}
	for _, a := range r.attempts {
		if a.OfferID != r.offerID {
			begun = a.EndedAt
		}
	}
	return s.cfg.Catalog.Report(ctx, tx, catalog.Attempt{
		Deployment: r.id, Offer: r.offerID, Provider: r.provider, InstanceType: r.instanceType,
		Outcome: outcome, Took: max(0, tx.Now.Sub(begun)),
	})
}

// abandonOffer records that the present offer failed. The next run goes on to the next candidate.
func (s *Service) abandonOffer(ctx context.Context, r *row, cause Cause, reason string) error {
	return s.changePlan(ctx, r, func(ctx context.Context, tx *db.Tx, r *row) error {
		r.attempts = append(slices.Clip(r.attempts), Attempt{
			OfferID: r.offerID, Provider: r.provider, Region: r.region, HourlyPrice: r.hourlyPrice,
			Cause: cause, Reason: reason, EndedAt: seconds(tx.Now),
		})
		if err := guarded(setPlan(ctx, tx, r, r.offerID)); err != nil {
			return err
		}
		if err := s.reportLaunch(ctx, tx, r, cause); err != nil {
			return err
		}
		return s.appendEvent(ctx, tx, r, "attempt_failed", map[string]any{
			"offerId": r.offerID, "provider": r.provider, "cause": cause, "reason": reason,
			"nextOfferId": r.plans[0].OfferID,
		})
	})
}

// nextCandidate moves on to the next candidate, whose machine will be another one.
func (s *Service) nextCandidate(ctx context.Context, r *row) error {
	next, configured := s.cfg.Providers.Get(r.plans[0].Provider)
	if !configured {
		return errConflict
	}
	return s.changePlan(ctx, r, func(ctx context.Context, tx *db.Tx, r *row) error {
		now, from, p := seconds(tx.Now), r.offerID, r.plans[0]
		r.setOffer(p)
		r.launchBy = now.Add(p.launchLimit(next))
		r.plans, r.machineID, r.launchAskedAt, r.launchOpenAt = r.plans[1:], "", nil, nil
		r.steps = step.Begin(step.New(now, r.checksHealth()), step.Launching, "", now)
		r.healthKeyPublic, r.healthKeySealed, r.healthVerdict, r.healthReason = "", "", "", ""
		r.healthCheckedAt, r.healthDoubtedAt = nil, nil
		if err := guarded(setPlan(ctx, tx, r, from)); err != nil {
			return err
		}
		if err := forgetHostKey(ctx, tx, r.id, true); err != nil {
			return err
		}
		return s.cfg.Volumes.Reattach(ctx, tx, r.id)
	})
}

// changePlan runs a change of the deployment's offers in a transaction. It is errConflict if
// another run decided about the offer, began a launch or recorded a machine first.
func (s *Service) changePlan(
	ctx context.Context, r *row, change func(ctx context.Context, tx *db.Tx, r *row) error,
) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, r.id)
		if err != nil {
			return err
		}
		same := found && fresh.status == StatusDeploying && fresh.offerID == r.offerID &&
			len(fresh.attempts) == len(r.attempts) && fresh.machineID == r.machineID &&
			sameTime(fresh.launchAskedAt, r.launchAskedAt)
		if !same {
			return errConflict
		}
		return change(ctx, tx, &fresh)
	})
}
