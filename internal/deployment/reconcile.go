package deployment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

// errConflict is returned by a change whose deployment another run or request changed first.
// Reconcile starts again from the row.
var errConflict = errors.New("deployment: changed concurrently")

// Reconcile asks the provider about one deployment, decides, and applies one change. The provider
// is asked outside any transaction; what was learned is written in one.
func (s *Service) Reconcile(ctx context.Context, deployment id.ID) (job.Outcome, error) {
	r, found, err := findAny(ctx, s.cfg.DB, deployment)
	if err != nil || !found {
		return job.Done(), err
	}
	out, err := s.reconcile(ctx, &r)
	if errors.Is(err, errConflict) {
		return s.now(), nil
	}
	return out, err
}

// reconcile asks what decide needs to know, and applies its decision.
func (s *Service) reconcile(ctx context.Context, r *row) (job.Outcome, error) {
	p, configured := s.cfg.Providers.Get(r.provider)
	seen := observation{configured: configured}
	if configured {
		seen.info = p.Info()
	}
	if len(r.plans) > 0 {
		_, seen.nextConfigured = s.cfg.Providers.Get(r.plans[0].Provider)
	}
	for {
		d := decide(r, seen, s.cfg.Clock.Now())
		asked, err := s.ask(ctx, p, r, &seen, d)
		if err != nil {
			return job.Outcome{}, err
		}
		if !asked {
			return s.apply(ctx, p, r, seen, d)
		}
	}
}

// ask carries out a decision after which the run decides again. It returns false for the others.
func (s *Service) ask(ctx context.Context, p provider.Provider, r *row, seen *observation, d decision) (bool, error) {
	switch d.kind {
	case doAskMachine:
		m, err := askMachine(ctx, p, r.id)
		seen.machine = &machineAnswer{machine: m, err: err}
		s.logRefusal(ctx, r, err)
		return true, nil
	case doLaunch:
		answer, err := s.launch(ctx, p, r)
		seen.machine = answer
		if answer != nil {
			s.logRefusal(ctx, r, answer.err)
		}
		return true, err
	case doAdopt:
		seen.adopted = true
		return true, s.adopt(ctx, r, seen.machine.machine)
	case doProbe:
		keys, err := s.probe(ctx, seen.info, seen.machine.machine)
		if err != nil {
			s.cfg.Log.DebugContext(ctx, "SSH does not answer yet", "deployment", r.id, "error", err)
		}
		seen.probe = &probeAnswer{keys: keys, err: err}
		return true, ctx.Err()
	case doTerminate:
		answer, err := s.askTermination(ctx, p, r)
		seen.terminate = answer
		return true, err
	case doPerform:
		return true, s.perform(ctx, p, r)
	case doReportRefusal:
		return true, s.reportRefusal(ctx, r, d.reason)
	case doCheckHealth:
		found, err := s.checkHealth(ctx, seen.info, r, seen.machine.machine, seen.probe.keys)
		seen.health = found
		return true, err
	case doRemoveHealthKey:
		seen.keyRemoval = true
		return true, s.removeHealthKey(ctx, seen.info, r, seen.machine.machine, seen.probe.keys)
	default:
		return false, nil
	}
}

// apply carries out a decision that ends the run.
func (s *Service) apply(
	ctx context.Context, p provider.Provider, r *row, seen observation, d decision,
) (job.Outcome, error) {
	switch d.kind {
	case doBegin:
		return s.now(), s.begin(ctx, r)
	case doProgress:
		soon := d.at
		if soon.IsZero() {
			soon = earlier(s.cfg.Clock.Now().Add(seen.info.PollEvery), r.launchBy)
		}
		return job.At(soon), s.progress(ctx, r, d.step, d.detail)
	case doStart:
		return s.now(), s.start(ctx, r, seen.machine.machine, seen.probe.keys)
	case doRecordHealth:
		return s.now(), s.recordHealth(ctx, r, d.health)
	case doDoubtHealth:
		return s.now(), s.recordDoubt(ctx, r, d.health) // after which the run waits
	case doFail:
		return s.now(), s.fail(ctx, r, d.cause, d.reason)
	case doAbandon:
		return s.now(), s.abandonOffer(ctx, r, d.cause, d.reason)
	case doNextCandidate:
		s.forgetUpstream(ctx, p, r)
		return s.now(), s.nextCandidate(ctx, r)
	case doInterrupt:
		return s.now(), s.interrupt(ctx, r, d.reason, d.unknown)
	case doPower:
		return s.now(), s.recordPower(ctx, r, d.cause, seen.machine.machine)
	case doUpdateMachine:
		return s.afterUpdate(r), s.updateMachine(ctx, r, seen.machine.machine)
	case doLearnHostKeys:
		return outcome(r.idle()), s.learnHostKeys(ctx, r, seen.machine.machine, seen.probe.keys)
	case doEnd:
		return s.now(), s.autoTerminate(ctx, r)
	case doConfirmEnd:
		s.forgetUpstream(ctx, p, r)
		return job.Done(), s.confirmEnd(ctx, r)
	case doRelease:
		s.forgetUpstream(ctx, p, r)
		return job.Done(), s.release(ctx, r)
	case doWait, doNothing:
		return outcome(d), nil
	case doRestart:
		return s.now(), nil
	case doRetry:
		return job.Outcome{}, d.err
	default:
		return job.Outcome{}, fmt.Errorf("deployment: no applier for the decision %q", d.kind)
	}
}

// outcome is the outcome of a pause.
func outcome(d decision) job.Outcome {
	if d.kind == doWait {
		return job.At(d.at)
	}
	return job.Done()
}

// now is the outcome of a run after which there is more to do.
func (s *Service) now() job.Outcome { return job.At(s.cfg.Clock.Now()) }

// logRefusal reports an error that only the operator can resolve.
func (s *Service) logRefusal(ctx context.Context, r *row, err error) {
	if k := provider.KindOf(err); err != nil && (k == provider.KindCredentials || k == provider.KindQuota) {
		s.cfg.Log.ErrorContext(ctx, "a provider refuses new machines until the operator acts",
			"provider", r.provider, "deployment", r.id, "error", err)
	}
}

// change moves the deployment along the edge of the lifecycle that the cause names, in a
// transaction of its own, together with what more does.
func (s *Service) change(
	ctx context.Context, r *row, cause Cause, reason string, more func(ctx context.Context, tx *db.Tx, r *row) error,
) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, r.id) // another run may have changed other fields
		if err != nil {
			return err
		}
		if !found || fresh.status != r.status || fresh.offerID != r.offerID {
			return errConflict
		}
		return s.changeIn(ctx, tx, &fresh, cause, reason, more)
	})
}

// changeIn is change in a transaction that is open. r must have been read in it.
func (s *Service) changeIn(
	ctx context.Context, tx *db.Tx, r *row, cause Cause, reason string,
	more func(ctx context.Context, tx *db.Tx, r *row) error,
) error {
	from := r.status
	to, err := Next(from, cause)
	if err != nil {
		return err
	}
	r.status, r.cause, r.reason = to, cause, reason
	if r.ended() {
		r.healthKeySealed = ""
		if r.endingSince == nil {
			r.endingSince = &tx.Now
		}
	}
	// The guarded row comes first: a run that loses the race has moved no money yet, and on
	// PostgreSQL the row's lock orders the two.
	if err := guarded(claimStatus(ctx, tx, r, from)); err != nil {
		return err
	}
	if more != nil {
		if err := more(ctx, tx, r); err != nil {
			return err
		}
	}
	if err := guarded(setState(ctx, tx, r)); err != nil {
		return err
	}
	if err := r.updateSpending(ctx, tx); err != nil {
		return err
	}
	if to != StatusDeploying {
		if err := forgetHostKey(ctx, tx, r.id, false); err != nil {
			return err
		}
	}
	data := map[string]any{"cause": cause, "from": from}
	if reason != "" {
		data["reason"] = reason
	}
	return s.appendEvent(ctx, tx, r, string(to), data)
}

// guarded makes errConflict of an UPDATE whose condition did not hold.
func guarded(changed bool, err error) error {
	if err == nil && !changed {
		return errConflict
	}
	return err
}

// seconds is the precision of the instants that tenants see.
func seconds(t time.Time) time.Time { return t.Truncate(time.Second) }
