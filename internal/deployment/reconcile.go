package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

const (
	// endTakes is how long a machine may take to end before it is looked at ever more seldom, with the job's own patience.
	endTakes = 10 * time.Minute
	// longestWait is the longest time for which a provider may put off the end of a machine before it is asked again.
	longestWait = time.Hour
)

// errMoved is returned by a change that found the deployment in another status than the look began with:
// somebody else was first, and the next look starts from what he made of it.
var errMoved = errors.New("deployment: changed meanwhile")

// Reconcile looks at one deployment: it asks the provider, compares, and takes one step. The
// provider is asked outside any transaction; what was learned is written in one.
func (s *Service) Reconcile(ctx context.Context, deployment id.ID) (job.Outcome, error) {
	x, found, err := findAny(ctx, s.c.DB, deployment)
	if err != nil || !found {
		return job.Done(), err
	}
	out, err := s.step(ctx, x)
	if errors.Is(err, errMoved) {
		return job.At(s.c.Clock.Now()), nil
	}
	return out, err
}

func (s *Service) step(ctx context.Context, x row) (job.Outcome, error) {
	if ended, err := s.endIfDue(ctx, x); ended || err != nil { // needs no provider, and waits for none
		return job.At(s.c.Clock.Now()), err
	}
	p, known := s.c.Providers.Get(x.Provider)
	if !known {
		return job.Outcome{}, fmt.Errorf("provider %s is not configured any more, and deployment %s is there", x.Provider, x.ID)
	}
	switch x.Status {
	case StatusPending:
		return s.pending(ctx, x)
	case StatusDeploying:
		return s.deploying(ctx, p, x)
	case StatusRunning, StatusStopped:
		return s.alive(ctx, p, x)
	case StatusTerminating:
		return s.terminating(ctx, p, x)
	default:
		return s.ended(ctx, p, x)
	}
}

// pending writes down the intent to launch before anybody is asked: from here on a machine may exist upstream.
func (s *Service) pending(ctx context.Context, x row) (job.Outcome, error) {
	err := s.change(ctx, &x, CauseLaunching, "", func(_ context.Context, tx *db.Tx, x *row) error {
		x.Steps = step.Begin(x.Steps, step.Launching, "", tx.Now.Truncate(time.Second))
		return nil
	})
	return job.At(s.c.Clock.Now()), err
}

func (s *Service) deploying(ctx context.Context, p provider.Provider, x row) (job.Outcome, error) {
	if a := x.givenUp(); a != nil && len(x.plans) > 0 {
		return s.giveUp(ctx, p, x, a.Cause, a.Reason)
	}
	if x.machineID == "" && !s.c.Clock.Now().Before(x.launchBy) {
		// The server was down, or the provider never answered. A machine that is launched now would be paid for, and
		// ended at once; one that an unanswered Launch has made is ended by the clean-up.
		return s.giveUp(ctx, p, x, CauseTimedOut, "The provider gave no answer within the time that a machine may take.")
	}
	m, err := s.machine(ctx, p, &x)
	late := !s.c.Clock.Now().Before(x.launchBy)
	switch {
	case err != nil:
		switch provider.KindOf(err) {
		case provider.KindNoCapacity:
			return s.giveUp(ctx, p, x, CauseNoCapacity, reasonOf(err, "The provider has no such machine left."))
		case provider.KindRejected, provider.KindUnsupported:
			return s.giveUp(ctx, p, x, CauseRejected, reasonOf(err, "The provider refused to make this machine."))
		case provider.KindNotFound:
			if x.machineID == "" { // Launch itself: the offer is gone
				return s.giveUp(ctx, p, x, CauseNoCapacity, reasonOf(err, "The provider does not have this offer any more."))
			}
			return s.giveUp(ctx, p, x, CauseLost, "The provider lost the machine while it was being made.")
		case provider.KindCredentials, provider.KindQuota: // nothing was made, and nothing will be until the operator acts
			s.c.Log.ErrorContext(ctx, "a provider makes no machines for us", "provider", x.Provider, "deployment", x.ID, "error", err)
			if x.machineID == "" {
				return s.giveUp(ctx, p, x, CauseRejected, "The provider makes no machines for this cloud at the moment. Choose an offer of another provider, or try again later.")
			}
		}
		if late {
			return s.giveUp(ctx, p, x, CauseTimedOut, "The provider gave no answer within the time that a machine may take.")
		}
		if pause := asked(err); pause > 0 {
			return job.At(earlier(s.c.Clock.Now().Add(pause), x.launchBy)), nil
		}
		return job.Outcome{}, err // not known: the same reference is asked for again
	case m.State == provider.MachineFailed:
		return s.giveUp(ctx, p, x, CauseRejected, cmp.Or(m.Detail, "The provider could not make this machine."))
	case m.State == provider.MachineLost, m.State == provider.MachineGone, m.State == provider.MachineTerminating:
		return s.giveUp(ctx, p, x, CauseLost, "The provider lost the machine while it was being made.")
	case m.State == provider.MachineReady && m.Unhealthy:
		if x.launchAsked == nil || s.c.Clock.Now().Sub(*x.launchAsked) >= unhealthyGrace {
			return s.giveUp(ctx, p, x, CauseRejected, "The provider calls the machine broken, and it never ran.")
		}
		return s.progress(ctx, p, x, step.Provisioning, m.Detail)
	case m.State == provider.MachineReady && m.Address != "":
		keys, refused := s.prove(ctx, p, m)
		if refused == nil && !late && s.awaitsKey(x, keys) {
			return s.progress(ctx, p, x, step.Connecting, "waiting for the machine to take its host key")
		}
		if refused == nil {
			return s.start(ctx, x, m, keys)
		}
		if ctx.Err() != nil {
			return job.Outcome{}, ctx.Err()
		}
		if late {
			return s.giveUp(ctx, p, x, CauseTimedOut, "The machine was made, but its SSH did not answer within the time that it may take.")
		}
		s.c.Log.DebugContext(ctx, "SSH does not answer yet", "deployment", x.ID, "error", refused)
		return s.progress(ctx, p, x, step.Connecting, connecting(refused))
	case late:
		return s.giveUp(ctx, p, x, CauseTimedOut, "The machine was not ready within the time that it may take.")
	default:
		return s.progress(ctx, p, x, step.Provisioning, m.Detail)
	}
}

// machine asks for the machine, launching it where Launch was not answered yet. Launch is repeatable: after a lost
// answer the same reference gives the same machine, once the first request cannot take effect any more.
func (s *Service) machine(ctx context.Context, p provider.Provider, x *row) (provider.Machine, error) {
	if wait := s.unsettled(p, *x); wait > 0 || x.machineID != "" {
		m, err := look(ctx, p, x.ID)
		switch {
		case err == nil && x.machineID == "":
			return s.adopt(ctx, x, m)
		case err != nil && wait > 0 && provider.KindOf(err) == provider.KindNotFound:
			err = &provider.Error{Kind: provider.KindThrottled, RetryAfter: min(wait, p.Info().PollEvery), Cause: errors.New("what was launched need not be shown yet")}
		}
		return m, err
	}
	hostKey, err := s.hostKey(ctx, p, x)
	if err != nil {
		return provider.Machine{}, err
	}
	before, open, err := s.beginLaunch(ctx, x)
	if err != nil {
		return provider.Machine{}, err
	}
	keys := make([]string, len(x.keys))
	for i, k := range x.keys {
		keys[i] = k.Line
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	crashpoint.Reach(crashpoint.LaunchBeforeCall)
	if err := job.Holds(ctx); err != nil {
		return provider.Machine{}, err
	}
	m, err := p.Launch(ask, provider.LaunchRequest{
		Reference: x.ID, Name: x.Name, OfferKey: x.offerKey, Region: x.Region, OperatingSystem: x.OperatingSystem, AuthorizedKeys: keys, CloudInit: x.cloudInit, HostKey: hostKey,
		Anew: slices.ContainsFunc(x.Attempts, func(a Attempt) bool { return a.Provider == x.Provider }),
	})
	if err != nil {
		if provider.KindOf(err) == provider.KindUnavailable {
			return m, err
		}
		return m, errors.Join(err, s.endLaunch(ctx, x, before, open)) // this one made nothing, and of one before that was not answered nobody knows more
	}
	crashpoint.Reach(crashpoint.LaunchAfterCall)
	x.launchOpen = open
	return s.adopt(ctx, x, cleaned(p, m))
}

// adopt writes down which machine the deployment has.
func (s *Service) adopt(ctx context.Context, x *row, m provider.Machine) (provider.Machine, error) {
	x.machineID = m.ID
	return m, s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		x.Steps = step.Begin(x.Steps, step.Provisioning, m.Detail, tx.Now.Truncate(time.Second))
		return guarded(setProgress(ctx, tx, *x))
	})
}

// beginLaunch writes down that Launch is asked for now, and returns when it was before, where that is not known to have made nothing, and
// where that was not answered. It is errMoved where
// a launch is not wanted any more, or was asked for since the look began.
func (s *Service) beginLaunch(ctx context.Context, x *row) (before, open *time.Time, err error) {
	err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, x.ID)
		if err != nil {
			return err
		}
		if !found || fresh.Status != StatusDeploying || fresh.OfferID != x.OfferID || fresh.machineID != "" || !same(fresh.launchAsked, x.launchAsked) {
			return errMoved // the last one: another run asks already, and its machine need not be shown yet
		}
		before, open = fresh.launchAsked, fresh.launchOpen
		at := tx.Now.Truncate(time.Microsecond) // as the database keeps it
		x.launchAsked, x.launchOpen = &at, &at
		return guarded(beginLaunch(ctx, tx, *x))
	})
	return before, open, err
}

// endLaunch writes down what is left to be known of launches once one was refused: when the one before was asked for, or nothing.
func (s *Service) endLaunch(ctx context.Context, x *row, left, open *time.Time) error {
	err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return endLaunch(ctx, tx, *x, left, open) })
	if err == nil {
		x.launchAsked, x.launchOpen = left, open
	}
	return err
}

// underWay is for how long a Launch that was asked for then may still be on its way to the provider, from a worker that lost its job, say.
func (s *Service) underWay(asked time.Time) time.Duration {
	return asked.Add(askLimit).Sub(s.c.Clock.Now())
}

// unsettled is for how long what a Launch has made, or may still make, need not be shown; 0 where it is. What was noted is when the Launch
// began: the request may have waited for its turn as long as we wait for an answer, before it went out.
func (s *Service) unsettled(p provider.Provider, x row) time.Duration {
	settle := p.Info().SettleTime
	if x.launchAsked == nil || settle == 0 {
		return 0
	}
	return max(0, settle+s.underWay(*x.launchAsked))
}

// asked is how long the provider wants not to be asked again; 0 where it does not say.
func asked(err error) time.Duration {
	if e := (*provider.Error)(nil); errors.As(err, &e) && e.Kind == provider.KindThrottled {
		return min(e.RetryAfter, longestWait)
	}
	return 0
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// progress writes down which step is under way, where that is news, and looks again soon.
func (s *Service) progress(ctx context.Context, p provider.Provider, x row, at, detail string) (job.Outcome, error) {
	soon := job.At(earlier(s.c.Clock.Now().Add(p.Info().PollEvery), x.launchBy))
	steps := step.Begin(x.Steps, at, detail, s.c.Clock.Now().Truncate(time.Second))
	if step.Same(steps, x.Steps) {
		return soon, nil
	}
	x.Steps = steps
	return soon, s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := guarded(setProgress(ctx, tx, x)); err != nil {
			return err
		}
		return s.tell(ctx, tx, x, "progress", map[string]any{"step": at, "detail": detail})
	})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// start makes the deployment running: the hold becomes the first hour's charge and the clock starts, in one change.
func (s *Service) start(ctx context.Context, x row, m provider.Machine, hostKeys []string) (job.Outcome, error) {
	err := s.change(ctx, &x, CauseReady, "", func(ctx context.Context, tx *db.Tx, x *row) error {
		now := tx.Now.Truncate(time.Second)
		x.StartedAt = &now
		x.Steps = step.End(x.Steps, false, "", now)
		x.setMachine(m)
		x.learn(hostKeys)
		if err := setMachineFacts(ctx, tx, *x); err != nil {
			return err
		}
		if err := s.report(ctx, tx, x, CauseReady); err != nil {
			return err
		}
		err := s.c.Meter.Start(ctx, tx, meter.Start{
			Subject: x.ID, Account: x.Account, HourlyPrice: x.HourlyPrice, HourlyCost: cmp.Or(x.machineCost, x.costPrice), At: now, Description: x.hardware(), Labels: x.labels(),
		})
		crashpoint.Reach(crashpoint.RunningBeforeCommit)
		tx.AfterCommit(func() { crashpoint.Reach(crashpoint.RunningAfterCommit) })
		return err
	})
	return job.At(s.c.Clock.Now()), err
}

// fail gives the hold back and leaves the clean-up behind: a failed deploy costs nothing, and nothing stays upstream.
func (s *Service) fail(ctx context.Context, x row, cause Cause, reason string) (job.Outcome, error) {
	err := s.change(ctx, &x, cause, reason, func(ctx context.Context, tx *db.Tx, x *row) error {
		now := tx.Now.Truncate(time.Second)
		x.BilledUntil = &now
		x.Steps = step.End(x.Steps, true, reason, now)
		if _, err := s.c.Wallet.Release(ctx, tx, x.ID); err != nil {
			return err
		}
		if err := s.report(ctx, tx, x, cause); err != nil {
			return err
		}
		return s.c.Volumes.DetachAll(ctx, tx, x.ID)
	})
	return job.At(s.c.Clock.Now()), err
}

// report tells the catalogue how the launch went, where it is over by that cause.
func (s *Service) report(ctx context.Context, tx *db.Tx, x *row, cause Cause) error {
	outcome, begun := catalog.NotReached, x.CreatedAt
	switch cause {
	case CauseReady:
		outcome = catalog.ReachedSSH
	case CauseNoCapacity:
		outcome = catalog.NoCapacity
	}
	for _, a := range x.Attempts {
		if a.OfferID != x.OfferID {
			begun = a.EndedAt
		}
	}
	return s.c.Catalog.Report(ctx, tx, catalog.Attempt{
		Deployment: x.ID, Offer: x.OfferID, Provider: x.Provider, InstanceType: x.InstanceType, Outcome: outcome, Took: max(0, tx.Now.Sub(begun)),
	})
}

// alive carries out what is asked for, then compares with what the provider says.
func (s *Service) alive(ctx context.Context, p provider.Provider, x row) (job.Outcome, error) {
	if x.action != "" {
		if err := s.carryOut(ctx, p, &x); err != nil {
			return job.Outcome{}, err
		}
	}
	m, err := look(ctx, p, x.ID)
	if err != nil && provider.KindOf(err) != provider.KindNotFound {
		return job.Outcome{}, err
	}
	moved := false
	switch {
	case err != nil && s.unsettled(p, x) > 0: // launched a moment ago, and SSH answered
		return job.At(s.c.Clock.Now().Add(p.Info().PollEvery)), nil
	case err != nil, m.State == provider.MachineGone:
		return s.interrupt(ctx, x, cmp.Or(m.Detail, "The provider took the machine back."), true)
	case m.State == provider.MachineLost, m.State == provider.MachineFailed:
		return s.interrupt(ctx, x, cmp.Or(m.Detail, "The provider took the machine back."), false)
	case m.State == provider.MachineOff && x.Status == StatusRunning:
		moved, err = true, s.change(ctx, &x, CauseSwitchedOff, "", func(context.Context, *db.Tx, *row) error { return nil })
	case m.State == provider.MachineReady && x.Status == StatusStopped:
		moved, err = true, s.change(ctx, &x, CauseSwitchedOn, "", func(ctx context.Context, tx *db.Tx, x *row) error {
			x.setMachine(m)
			return setMachineFacts(ctx, tx, *x)
		})
	case m.State == provider.MachineReady && x.stale(m):
		err = s.renew(ctx, x, m)
	case m.State == provider.MachineReady && x.hostKeyBy != nil && s.c.Clock.Now().Before(*x.hostKeyBy):
		if refused := s.relearn(ctx, p, x, m); refused != nil {
			return job.At(s.c.Clock.Now().Add(p.Info().PollEvery)), nil
		}
	case m.State == provider.MachineProvisioning, m.State == provider.MachineTerminating:
		return job.At(s.c.Clock.Now().Add(p.Info().PollEvery)), nil // on its way to one of the above
	}
	if err != nil || moved {
		return job.At(s.c.Clock.Now()), err
	}
	if due, planned := x.terminateDue(); planned {
		return job.At(due), nil
	}
	return job.Done(), nil // the watch over all the provider's machines sees what changes
}

// carryOut asks the provider for the pending action and takes it off the list. A crash between the two asks twice:
// a machine that reboots once more is the lesser evil.
func (s *Service) carryOut(ctx context.Context, p provider.Provider, x *row) error {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	err := job.Holds(ctx) // after the limit has begun, so that a process that stalls in between asks nothing late
	if err != nil {
		return err
	}
	switch x.action {
	case ActionReboot:
		if q, can := p.(provider.Rebooter); can {
			err = q.Reboot(ask, x.ID)
		}
	case ActionPowerOn:
		if q, can := p.(provider.Powerer); can {
			err = q.PowerOn(ask, x.ID)
		}
	case ActionPowerOff:
		if q, can := p.(provider.Powerer); can {
			err = q.PowerOff(ask, x.ID)
		}
	case ActionReinstall:
		if q, can := p.(provider.Reinstaller); can {
			err = q.Reinstall(ask, x.ID, x.actionArgument)
		}
	}
	what, data := "action_done", map[string]any{"action": x.action}
	if err != nil {
		if !provider.Decided(err) {
			return err
		}
		what, data["reason"] = "action_failed", reasonOf(err, "The provider refused.")
	} else if x.action == ActionReinstall {
		x.OperatingSystem = x.actionArgument
		x.forgetKeys(s.c.Clock.Now())
	}
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		done := *x
		done.action, done.actionArgument = "", ""
		if err := guarded(clearAction(ctx, tx, *x)); err != nil {
			return err
		}
		if err == nil && x.action == ActionReinstall {
			if err := s.forgottenKeys(ctx, tx, done); err != nil {
				return err
			}
		}
		if err := s.tell(ctx, tx, done, what, data); err != nil {
			return err
		}
		tx.AfterCommit(func() { *x = done })
		return nil
	})
}

// interrupt ends what the provider took back: the unused part of the hour comes back, whichever hour it is. A machine that
// the provider does not even know any more is told to the operator.
func (s *Service) interrupt(ctx context.Context, x row, reason string, unknown bool) (job.Outcome, error) {
	err := s.change(ctx, &x, CauseLost, reason, func(ctx context.Context, tx *db.Tx, x *row) error {
		now := tx.Now.Truncate(time.Second)
		x.BilledUntil = &now
		if _, err := s.c.Meter.Stop(ctx, tx, x.ID, now, meter.CurrentHour); err != nil {
			return err
		}
		if unknown {
			if err := s.c.Issues.Raise(ctx, tx, x.Provider, issue.Lost(x.ID, x.machineID)); err != nil {
				return err
			}
		}
		return s.c.Volumes.DetachAll(ctx, tx, x.ID)
	})
	return job.At(s.c.Clock.Now()), err
}

// endIfDue ends a deployment whose planned end has come. It pays to that instant, also when the server
// was down then.
func (s *Service) endIfDue(ctx context.Context, x row) (bool, error) {
	due, planned := x.terminateDue()
	if !planned || s.c.Clock.Now().Before(due) || x.Status.Final() || x.Status == StatusTerminating {
		return false, nil
	}
	return true, s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, x.ID)
		if err != nil || !found {
			return err
		}
		at, still := fresh.terminateDue()
		if fresh.Status != x.Status || !still || tx.Now.Before(at) {
			return errMoved
		}
		return s.beginEnd(ctx, tx, &fresh, CauseScheduled, "", at)
	})
}

// beginEnd ends the tenant's time at that instant: the meter stops, or the hold is given back, and a
// job is left behind that ends the machine. A planned end that has passed comes first: the server
// may have been down then, and whoever ends the deployment before the look that was due does not make it dearer.
func (s *Service) beginEnd(ctx context.Context, tx *db.Tx, x *row, cause Cause, reason string, at time.Time) error {
	if due, planned := x.terminateDue(); planned && !due.After(at) {
		cause, reason, at = CauseScheduled, "Its planned end had come.", due
	}
	at = at.Truncate(time.Second)
	if err := s.changeIn(ctx, tx, x, cause, reason, func(ctx context.Context, tx *db.Tx, x *row) error {
		x.BilledUntil = &at
		x.action, x.actionArgument = "", ""
		if x.StartedAt == nil {
			x.Steps = step.End(x.Steps, true, "cancelled", tx.Now.Truncate(time.Second))
			_, err := s.c.Wallet.Release(ctx, tx, x.ID)
			return err
		}
		_, err := s.c.Meter.Stop(ctx, tx, x.ID, at, meter.FirstHour)
		return err
	}); err != nil {
		return err
	}
	return s.c.Jobs.Enqueue(ctx, tx, x.Account, KindReconcile, x.ID, tx.Now)
}

func (s *Service) terminating(ctx context.Context, p provider.Provider, x row) (job.Outcome, error) {
	if gone, again, err := s.remove(ctx, p, x); !gone {
		return again, err
	}
	crashpoint.Reach(crashpoint.TerminateBeforeConfirming)
	err := s.change(ctx, &x, CauseConfirmedEnd, x.reason(), func(ctx context.Context, tx *db.Tx, x *row) error {
		x.releasedAt = &tx.Now
		if err := s.c.Meter.CostEnds(ctx, tx, x.ID, tx.Now); err != nil {
			return err
		}
		return s.c.Volumes.DetachAll(ctx, tx, x.ID)
	})
	return job.Done(), err
}

// ended makes sure that nothing is left upstream of a deployment that has failed or was interrupted.
func (s *Service) ended(ctx context.Context, p provider.Provider, x row) (job.Outcome, error) {
	if x.releasedAt != nil {
		return job.Done(), nil
	}
	if gone, again, err := s.remove(ctx, p, x); !gone {
		return again, err
	}
	return job.Done(), s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		x.releasedAt = &tx.Now
		if err := guarded(setReleased(ctx, tx, x)); err != nil {
			return err
		}
		return s.c.Meter.CostEnds(ctx, tx, x.ID, tx.Now)
	})
}

// remove asks for the machine's end and tells whether the provider confirms it.
func (s *Service) remove(ctx context.Context, p provider.Provider, x row) (gone bool, again job.Outcome, err error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	crashpoint.Reach(crashpoint.TerminateBeforeCall)
	if err := job.Holds(ctx); err != nil { // whoever has the job now may be at another offer, with a machine of the same name
		return false, job.Outcome{}, err
	}
	err = p.Terminate(ask, x.ID)
	crashpoint.Reach(crashpoint.TerminateAfterCall)
	if err != nil {
		e := (*provider.Error)(nil)
		switch kind := provider.KindOf(err); {
		case kind == provider.KindNotFound:
		case kind != provider.KindUnavailable && errors.As(err, &e) && e.RetryAfter > 0: // its own minimum runtime, say: it goes on costing us, not the tenant
			s.c.Log.WarnContext(ctx, "the provider refuses to end a machine; it is asked again", "deployment", x.ID, "provider", x.Provider, "error", err)
			return false, job.At(s.c.Clock.Now().Add(min(e.RetryAfter, longestWait))), nil
		default: // asked again, ever later, for ever
			return false, job.Outcome{}, fmt.Errorf("end a machine of %s: %w", x.Provider, err)
		}
	}
	m, err := look(ctx, p, x.ID)
	switch {
	case err != nil && provider.KindOf(err) != provider.KindNotFound:
		return false, job.Outcome{}, err
	case err != nil, m.State == provider.MachineGone:
		if wait := s.unsettled(p, x); wait > 0 && (err != nil || x.machineID == "") { // there is none yet
			return false, job.At(s.c.Clock.Now().Add(min(wait, max(p.Info().PollEvery, time.Second)))), nil
		}
		return true, job.Outcome{}, nil
	}
	if now := s.c.Clock.Now(); x.BilledUntil == nil || now.Sub(*x.BilledUntil) < endTakes {
		return false, job.At(now.Add(p.Info().PollEvery)), nil
	}
	return false, job.Outcome{}, fmt.Errorf("%s has not ended a machine that was to end at %s", x.Provider, x.BilledUntil.Format(time.RFC3339))
}

// change moves the deployment along the edge that the cause names, in a transaction of its own, together
// with what more does. It is errMoved where somebody else changed the status first.
func (s *Service) change(ctx context.Context, x *row, cause Cause, reason string, more func(ctx context.Context, tx *db.Tx, x *row) error) error {
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, x.ID) // another run may have changed what this one does not decide
		if err != nil {
			return err
		}
		if !found || fresh.Status != x.Status || fresh.OfferID != x.OfferID {
			return errMoved
		}
		return s.changeIn(ctx, tx, &fresh, cause, reason, more)
	})
}

func (s *Service) changeIn(ctx context.Context, tx *db.Tx, x *row, cause Cause, reason string, more func(ctx context.Context, tx *db.Tx, x *row) error) error {
	from := x.Status
	to, err := Next(from, cause)
	if err != nil {
		return err
	}
	x.Status, x.StatusCause, x.StatusReason = to, cause, nil
	if x.endingSince == nil && (to == StatusTerminating || to.Final()) {
		x.endingSince = &tx.Now
	}
	if reason != "" {
		x.StatusReason = &reason
	}
	// The guarded row comes first: whoever loses the race has moved no money yet, and on PostgreSQL the row's lock orders the two.
	if err := guarded(claimStatus(ctx, tx, *x, from)); err != nil {
		return err
	}
	if err := more(ctx, tx, x); err != nil {
		return err
	}
	if err := guarded(setState(ctx, tx, *x)); err != nil {
		return err
	}
	switch {
	case cause == CauseReady:
		if err := x.spends(ctx, tx, ""); err != nil {
			return err
		}
	case x.BilledUntil != nil:
		if err := x.spent(ctx, tx, *x.BilledUntil); err != nil {
			return err
		}
	}
	if to != StatusDeploying {
		if err := forgetHostKey(ctx, tx, x.ID, false); err != nil {
			return err
		}
	}
	x.finish()
	data := map[string]any{"cause": cause, "from": from}
	if reason != "" {
		data["reason"] = reason
	}
	return s.tell(ctx, tx, *x, string(to), data)
}

func guarded(changed bool, err error) error {
	if err == nil && !changed {
		return errMoved
	}
	return err
}

func (r *row) reason() string { return text(r.StatusReason) }
