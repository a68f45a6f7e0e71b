package servicecredit

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/settings"
)

// Propose proposes service credits for the measured downtimes of a deployment, and books those that
// need no review. It is the handler of deployment.KindDowntime. Each downtime is decided once, by
// the settings of that time, with its hours booked, also if the meter has not come to them yet.
func (s *Service) Propose(ctx context.Context, of id.ID) (job.Outcome, error) {
	return job.Done(), s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		d, found, err := deployment.FindBilled(ctx, tx, of)
		if err != nil || !found {
			return err
		}
		times, err := deployment.EndedDowntimes(ctx, tx, of)
		if err != nil || len(times) == 0 {
			return err
		}
		set, err := s.cfg.Settings.Peek(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.lockCharged(ctx, tx, d, times[len(times)-1].To); err != nil {
			return err
		}
		for _, t := range times { // nearly always one
			if err := s.propose(ctx, tx, d, t, set.ServiceCredits); err != nil {
				return err
			}
		}
		return deployment.SettleDowntimes(ctx, tx, of, times)
	})
}

// lockCharged books the hours of the deployment that begin before an instant, and locks the wallet.
func (s *Service) lockCharged(ctx context.Context, tx *db.Tx, of deployment.Billed, until time.Time) error {
	// What a budget refuses is not charged, and so not credited. The budget ends the deployment.
	if _, err := s.cfg.Meter.BookUntil(ctx, tx, of.ID, until); err != nil {
		return err
	}
	_, err := s.cfg.Wallet.Lock(ctx, tx, of.Account)
	return err
}

// causes are what measured downtimes are credited for.
var causes = map[deployment.DowntimeCause]Cause{
	deployment.DownLost: MachineLost, deployment.DownUnhealthy: MachineUnhealthy, deployment.DownOff: MachineOff,
}

// propose proposes a service credit for a downtime, if it is long enough.
func (s *Service) propose(
	ctx context.Context, tx *db.Tx, d deployment.Billed, t deployment.Downtime, set settings.ServiceCredits,
) error {
	t.To = earlier(t.To, billedEnd(d, tx.Now)) // the bill may have ended before it was seen to work
	if set.Mode == settings.ServiceCreditsOff || t.To.Sub(t.From) < time.Duration(set.MinimumMinutes)*time.Minute {
		return nil
	}
	c := OperatorServiceCredit{ServiceCredit: ServiceCredit{
		Cause: causes[t.Cause], From: later(t.From, t.To.Add(-maxLength)), To: t.To,
		FailedGPUs: int64(d.GPUCount), FactorPercent: set.FactorPercent,
	}, SeenAt: &t.SeenAt}
	c.Automatic = set.Mode == settings.ServiceCreditsAutomatic && c.Cause != MachineOff
	made, _, err := s.add(ctx, tx, d, c)
	if err != nil || made.ID == "" || !made.Automatic {
		return err
	}
	if made.Amount > set.AutomaticBelow {
		return needsReview(ctx, tx, made.ID)
	}
	_, err = s.book(ctx, tx, made)
	return err
}

// ServiceCreditDraft is a service credit that an operator enters.
type ServiceCreditDraft struct {
	DeploymentID id.ID     `json:"deploymentId" doc:"Deployment of any account, dep_…"`
	From         time.Time `json:"from" doc:"When the GPUs stopped working."`
	To           time.Time `json:"to" doc:"When they worked again, or the bill ended; up to 31 days after from."`
	FailedGPUs   int64     `json:"failedGpus" minimum:"1" doc:"GPUs that did not work; all of them if the machine did not."`
	Note         string    `json:"note,omitempty" maxLength:"200" doc:"Note, which the account reads."`
}

// check returns everything that is wrong with the draft for the deployment.
func (n ServiceCreditDraft) check(of deployment.Billed, now time.Time) []apierr.FieldError {
	faults := apierr.CheckText("note", n.Note, maxText)
	add := func(field, format string, args ...any) {
		faults = append(faults, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	const form = time.RFC3339
	switch end := billedEnd(of, now); {
	case of.StartedAt == nil:
		add("deploymentId", "must be of a deployment that has run: this one was never charged.")
	case n.From.Before(*of.StartedAt) || n.From.After(end):
		add("from", "must be from %s to %s, while the deployment was billed.", of.StartedAt.Format(form),
			end.Format(form))
	case !n.From.Before(n.To) || n.To.After(end):
		add("to", "must be after from, and at most %s, while the deployment was billed.", end.Format(form))
	case n.To.Sub(n.From) > maxLength:
		add("to", "must be at most 31 days after from. Enter the rest as another service credit.")
	}
	if n.FailedGPUs < 1 || n.FailedGPUs > int64(of.GPUCount) {
		add("failedGpus", "must be from 1 to %d, the GPUs of the deployment.", of.GPUCount)
	}
	return faults
}

// billedEnd returns when the bill ended, also if that is not carried out yet, or now while it goes
// on.
func billedEnd(of deployment.Billed, now time.Time) time.Time {
	now = notAfterEnd(of, now.Truncate(time.Second))
	if of.BilledUntil != nil {
		return earlier(*of.BilledUntil, now)
	}
	return now
}

// notAfterEnd returns now, or the instant of an end that is due but not carried out yet: what was
// charged for the time after it will be refunded.
func notAfterEnd(of deployment.Billed, now time.Time) time.Time {
	if of.EndsAt != nil {
		return earlier(*of.EndsAt, now)
	}
	return now
}

// Create proposes a service credit for GPUs that failed. It returns INVALID_REQUEST with every
// fault, NOT_FOUND, LIMIT_REACHED, or CONFLICT if nothing is left to credit, or if it needs another
// operator's approval and the user is not known.
func (s *Service) Create(
	ctx context.Context, tx *db.Tx, n ServiceCreditDraft, by By,
) (ServiceCreditDetail, error) {
	of, found, err := deployment.FindBilled(ctx, tx, n.DeploymentID)
	if err != nil {
		return ServiceCreditDetail{}, err
	}
	if !found {
		return ServiceCreditDetail{}, apierr.New(apierr.NotFound, "No deployment has this id.")
	}
	n.From, n.To = n.From.UTC().Truncate(time.Second), n.To.UTC().Truncate(time.Second)
	if err := apierr.Invalid(n.check(of, tx.Now)).OrNil(); err != nil {
		return ServiceCreditDetail{}, err
	}
	if err := s.lockCharged(ctx, tx, of, n.To); err != nil {
		return ServiceCreditDetail{}, err
	}
	if all, err := countOf(ctx, tx, of.ID); err != nil || all >= maxOfDeployment {
		return ServiceCreditDetail{}, orFull(err)
	}
	set, err := s.cfg.Settings.Peek(ctx, tx)
	if err != nil {
		return ServiceCreditDetail{}, err
	}
	made, hours, err := s.add(ctx, tx, of, OperatorServiceCredit{ServiceCredit: ServiceCredit{
		Cause: GPUsFailed, From: n.From, To: n.To, FailedGPUs: n.FailedGPUs, Note: n.Note,
		FactorPercent: set.ServiceCredits.FactorPercent,
	}, EnteredBy: by.Name, enterer: by.User})
	if err == nil && made.ID == "" {
		err = errNothing
	}
	if err == nil && by.User == "" { // its user could approve it, signed in
		err = s.checkSecond(ctx, tx, made, set.Wallet.ApprovalAbove, by.User)
	}
	return ServiceCreditDetail{made.shown(), hours}, err
}

func orFull(err error) error {
	if err == nil {
		err = apierr.New(apierr.LimitReached, "The deployment has %d service credits. It can have no more.",
			maxOfDeployment)
	}
	return err
}

// Get returns a service credit of any account with its hours, or NOT_FOUND. It is for the operator.
func (s *Service) Get(ctx context.Context, r db.Reader, credit id.ID) (ServiceCreditDetail, error) {
	c, found, err := find(ctx, r, credit)
	if err == nil && !found {
		err = errNone
	}
	if err != nil {
		return ServiceCreditDetail{}, err
	}
	hours, err := hoursOf(ctx, r, credit)
	return ServiceCreditDetail{c, hours}, err
}

// Filter narrows a list. Zero fields do not.
type Filter struct {
	State      State
	Account    id.ID
	Deployment id.ID
}

// ListAll returns a page of the service credits of all accounts, newest first. It is for the
// operator.
func (s *Service) ListAll(
	ctx context.Context, r db.Reader, f Filter, p db.Page,
) ([]OperatorServiceCredit, db.Listed, error) {
	return list(ctx, r, f, p)
}

// List returns a page of what was credited to the account, newest first: of one deployment, or of
// all for "".
func (s *Service) List(
	ctx context.Context, r db.Reader, account, of id.ID, p db.Page,
) ([]ServiceCredit, db.Listed, error) {
	all, n, err := list(ctx, r, Filter{State: Approved, Account: account, Deployment: of}, p)
	out := make([]ServiceCredit, len(all))
	for i, c := range all {
		out[i] = c.ServiceCredit
	}
	return out, n, err
}
