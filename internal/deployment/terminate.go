package deployment

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
)

// CanTerminate is whether, and at what cost, a deployment could be terminated now.
type CanTerminate struct {
	CanTerminate     bool      `json:"canTerminate" doc:"Whether a termination would be accepted now."`
	Reason           *string   `json:"reason" doc:"Why it would be refused; null if it would be accepted."`
	TerminableAt     time.Time `json:"terminableAt" doc:"When the minimum runtime has passed."`
	RemainingSeconds int64     `json:"remainingSeconds" doc:"Seconds until then; 0 after it."`
	// Refund and Release are what a termination at this instant would return to the wallet.
	Refund  money.Micros `json:"refund" doc:"US dollars that would be refunded of the hour that is paid."`
	Release money.Micros `json:"release" doc:"US dollars on hold that would be released, if the deployment is not running yet."`
	// RefundNextMinute is Refund for a termination that comes a minute later.
	RefundNextMinute money.Micros `json:"refundNextMinute" doc:"US dollars that would be refunded by a termination in one minute."`
	FinalBill        money.Micros `json:"finalBill" doc:"US dollars that the deployment would have cost in all: its costToDate after a termination at this instant."`
}

// Terminate ends a deployment: the tenant's time, and bill, end with the accepted request; the
// machine ends in the background. Terminating what has ended succeeds and changes nothing. Before
// the minimum runtime it returns MINIMUM_RUNTIME_NOT_MET, or with earliest schedules the end for
// then and reports it as queued.
func (s *Service) Terminate(
	ctx context.Context, tx *db.Tx, account, deployment id.ID, earliest bool,
) (d Deployment, queued bool, err error) {
	r, err := s.get(ctx, tx, account, deployment)
	if err != nil {
		return Deployment{}, false, err
	}
	if err := r.mayTerminate(tx.Now, earliest); err != nil {
		return Deployment{}, false, err
	}
	switch wait := r.terminableAt().Sub(tx.Now); {
	case r.ended():
	case wait > 0:
		err, queued = s.queueTermination(ctx, tx, &r), true
	default:
		err = s.beginEnd(ctx, tx, &r, CauseRequested, "")
		tx.AfterCommit(func() { crashpoint.Reach(crashpoint.TerminateAfterCommit) })
	}
	if err != nil {
		return Deployment{}, false, err
	}
	d, err = s.completed(ctx, tx, &r)
	return d, queued, err
}

// mayTerminate returns why a termination is refused. It is accepted for what has ended.
func (r *row) mayTerminate(now time.Time, earliest bool) error {
	switch wait := r.terminableAt().Sub(now); {
	case r.ended():
		return nil
	case r.terminationProtection:
		return apierr.New(apierr.Conflict,
			"The deployment has termination protection. Set terminationProtection to false first.")
	case wait > 0 && !earliest:
		return tooEarly(r, wait)
	}
	return nil
}

// queueTermination schedules the end for when the minimum runtime has passed.
func (s *Service) queueTermination(ctx context.Context, tx *db.Tx, r *row) error {
	at := r.terminableAt()
	r.autoTerminateAt = &at
	if err := setSettings(ctx, tx, r, false); err != nil {
		return err
	}
	if err := s.cfg.Meter.PlanEnd(ctx, tx, r.id, r.endsAt()); err != nil {
		return err
	}
	if err := s.appendEvent(ctx, tx, r, "termination_queued", map[string]any{"at": at}); err != nil {
		return err
	}
	return s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindReconcile, r.id, at)
}

func tooEarly(r *row, wait time.Duration) error {
	minutes, unit := int64(math.Ceil(wait.Minutes())), "minutes"
	if minutes == 1 {
		unit = "minute"
	}
	return &apierr.Error{
		Code: apierr.MinimumRuntimeNotMet, RetryAfter: wait,
		Message: fmt.Sprintf("The minimum runtime is %d minutes. Try again in %d %s, "+
			"or schedule the termination now with DELETE ?when=earliest.",
			int(r.minimumRuntime.Minutes()), minutes, unit),
		Details: map[string]any{"remainingSeconds": ceilSeconds(wait), "terminableAt": r.terminableAt()},
	}
}

func ceilSeconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// EndForPastDue ends every deployment of the account that has not ended, whatever its minimum
// runtime or protection. It returns how many.
func (s *Service) EndForPastDue(ctx context.Context, tx *db.Tx, account id.ID) (int, error) {
	const reason = "The account's balance stayed below zero for longer than the grace period."
	rows, err := unended(ctx, tx, account)
	if err != nil {
		return 0, err
	}
	for i := range rows {
		if err := s.beginEnd(ctx, tx, &rows[i], CausePastDue, reason); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// EndForSuspension ends every deployment of the account that has not ended, whatever its
// protection: at once, or with earliest when its minimum runtime is met. The account is locked, so
// none is added meanwhile. It returns how many it ended and scheduled.
func (s *Service) EndForSuspension(
	ctx context.Context, tx *db.Tx, account id.ID, reason string, earliest bool,
) (ended, scheduled int, err error) {
	rows, err := unended(ctx, tx, account)
	if err != nil {
		return 0, 0, err
	}
	for i := range rows {
		r := &rows[i]
		at := r.terminableAt()
		switch end, planned := r.autoEnd(); {
		case !earliest || !at.After(tx.Now):
			err = s.beginEnd(ctx, tx, r, CauseOperator, reason)
			ended++
		case planned && !end.at.After(at): // it ends then anyway
		default:
			err = s.queueTermination(ctx, tx, r)
			scheduled++
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return ended, scheduled, nil
}

// TerminateByOperator ends a deployment of any account at once, whatever its minimum runtime or
// protection. Its tenant reads the reason. It reports whether anything changed: one that has ended
// stays as it is. It returns NOT_FOUND.
func (s *Service) TerminateByOperator(
	ctx context.Context, tx *db.Tx, deployment id.ID, reason string,
) (d Deployment, changed bool, err error) {
	r, found, err := row{}, false, error(nil)
	if deployment.Valid(id.Deployment) {
		r, found, err = findAny(ctx, tx, deployment)
	}
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No deployment has this id. List all with GET /operator/deployments.")
	}
	if err == nil && !r.ended() {
		changed, err = true, s.beginEnd(ctx, tx, &r, CauseOperator, reason)
	}
	if err != nil {
		return Deployment{}, false, err
	}
	d, err = s.completed(ctx, tx, &r)
	return d, changed, err
}

// CanTerminate returns whether, and at what cost, a deployment could be terminated now.
func (s *Service) CanTerminate(
	ctx context.Context, r db.Reader, account, deployment id.ID,
) (CanTerminate, error) {
	x, err := s.get(ctx, r, account, deployment)
	if err != nil {
		return CanTerminate{}, err
	}
	now := s.cfg.Clock.Now()
	out := CanTerminate{TerminableAt: x.terminableAt()}
	reason := ""
	switch wait := x.terminableAt().Sub(now); {
	case x.ended():
		reason = fmt.Sprintf("The deployment is already %s.", x.status)
	case wait > 0:
		out.RemainingSeconds = ceilSeconds(wait)
		reason = fmt.Sprintf("The minimum runtime of %d minutes has not passed.", int(x.minimumRuntime.Minutes()))
	case x.terminationProtection:
		reason = "The deployment has termination protection."
	default:
		out.CanTerminate = true
	}
	if reason != "" {
		out.Reason = &reason
	}
	switch {
	case x.status.Alive():
		// Both instants in one view, so that they are of the same bill.
		at := []time.Time{x.notAfterEnd(now), x.notAfterEnd(now.Add(time.Minute))}
		var previews []meter.Preview
		if previews, err = s.cfg.Meter.Previews(ctx, r, x.id, at, meter.FirstHour); err == nil {
			out.Refund, out.FinalBill, out.RefundNextMinute = previews[0].Refund, previews[0].Cost, previews[1].Refund
		}
	case x.ended():
		out.FinalBill, err = s.costOf(ctx, r, x.id)
	case x.status == StatusPending || x.status == StatusDeploying:
		out.Release, err = s.cfg.Wallet.Held(ctx, r, x.id)
	}
	return out, err
}

// notAfterEnd returns the instant until which a termination at t bills: the auto-termination if
// that has passed by then.
func (r *row) notAfterEnd(t time.Time) time.Time {
	if end, planned := r.autoEnd(); planned && end.at.Before(t) {
		t = end.at
	}
	return seconds(t)
}

// costOf returns what the deployment has cost.
func (s *Service) costOf(ctx context.Context, r db.Reader, deployment id.ID) (money.Micros, error) {
	costs, err := s.cfg.Meter.Costs(ctx, r, []id.ID{deployment})
	return costs[deployment], err
}
