package operator

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

// maxNote and maxReference are the most characters of a note and a reference.
const maxNote, maxReference = 200, 100

// Config is what a Service needs. Every field is required.
type Config struct {
	IDs         *id.Maker
	Accounts    *account.Service
	Wallet      *wallet.Ledger
	Credits     *credit.Service
	Jobs        *job.Queue
	Deployments *deployment.Service
	Volumes     *volume.Service
	Events      *event.Service
	Mail        *mail.Service
	Audit       *audit.Service
}

// Service does what operators do. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.IDs == nil || cfg.Accounts == nil || cfg.Wallet == nil || cfg.Credits == nil || cfg.Jobs == nil ||
		cfg.Deployments == nil || cfg.Volumes == nil || cfg.Events == nil || cfg.Mail == nil || cfg.Audit == nil {
		panic("operator: New needs every field of its Config")
	}
	return &Service{cfg}
}

// Account is an account with its money and what runs on it.
type Account struct {
	account.Account
	Balance            money.Micros `json:"balance" doc:"Available plus held, in US dollars."`
	Held               money.Micros `json:"held" doc:"On hold for what does not run yet."`
	Available          money.Micros `json:"available" doc:"Amount that can be spent; below zero the account is past due."`
	NegativeSince      *time.Time   `json:"negativeSince" doc:"Since when available is below zero; null otherwise."`
	RunningDeployments int64        `json:"runningDeployments" doc:"Deployments that are running, or stopped and kept."`
	HourlyCost         money.Micros `json:"hourlyCost" doc:"Hourly spend of the account, volumes included."`
}

// CreateAccount creates an account with a wallet and that much credit, which may be zero. It
// returns INVALID_REQUEST.
func (s *Service) CreateAccount(ctx context.Context, tx *db.Tx, name string, opening money.Micros) (Account, error) {
	faults := apierr.CheckName("name", name)
	if opening < 0 || opening > wallet.MaxAmount {
		faults = append(faults, apierr.FieldError{Field: "credit",
			Message: fmt.Sprintf("must be from 0 to %s.", wallet.MaxAmount)})
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return Account{}, err
	}
	a, err := s.cfg.Accounts.Create(ctx, tx, name)
	if err != nil {
		return Account{}, err
	}
	if err := s.cfg.Wallet.Open(ctx, tx, a.ID); err != nil {
		return Account{}, err
	}
	if opening > 0 {
		if _, _, err := s.cfg.Credits.Give(ctx, tx, credit.Grant{
			Account: a.ID, Amount: opening, Source: credit.ByOperator, Note: "Opening credit",
			Reference: "opening/" + string(a.ID),
		}); err != nil {
			return Account{}, err
		}
	}
	return s.Account(ctx, tx, a.ID)
}

// Credit is what is added to an account's wallet.
type Credit struct {
	// Amount is not 0. Below 0 it removes credit.
	Amount money.Micros
	// Note is the text on the statement; "" for a default one.
	Note string
	// Reference is used once among all accounts; "" creates one.
	Reference string
	// ExpiresAt is when what is left of the credit expires; nil for never.
	ExpiresAt *time.Time
}

// Credit adds credit to an account's wallet, or removes some if the amount is negative. A reference
// is used once among all accounts, however often the call is repeated. It returns INVALID_REQUEST,
// NOT_FOUND, LIMIT_REACHED as credit.Give does, or CONFLICT for a reference of another credit; made
// is false if the same credit was booked before.
func (s *Service) Credit(ctx context.Context, tx *db.Tx, of id.ID, c Credit) (a Account, made bool, err error) {
	if err := apierr.Invalid(c.Check(tx.Now)).OrNil(); err != nil {
		return Account{}, false, err
	}
	if _, err := s.cfg.Accounts.Get(ctx, tx, of); err != nil {
		return Account{}, false, err
	}
	c.Reference = "operator/" + cmp.Or(c.Reference, string(s.cfg.IDs.New(id.Request)))
	c.Note = cmp.Or(c.Note, "Credit by the operator")
	if c.Amount < 0 {
		made, err = s.cfg.Wallet.Credit(ctx, tx, wallet.Credit{
			Account: of, Type: wallet.TypeAdjustment, Amount: c.Amount, Description: c.Note, Dedupe: c.Reference,
		})
	} else {
		_, made, err = s.cfg.Credits.Give(ctx, tx, credit.Grant{
			Account: of, Amount: c.Amount, Source: credit.ByOperator, Note: c.Note, ExpiresAt: c.ExpiresAt,
			Reference: c.Reference,
		})
	}
	if err != nil {
		return Account{}, false, err
	}
	// Check now whether the account is past due: credit in time cancels what was scheduled, and a
	// removal may start it.
	if err := s.cfg.Jobs.Enqueue(ctx, tx, of, meter.KindPastDue, of, tx.Now); err != nil {
		return Account{}, false, err
	}
	a, err = s.Account(ctx, tx, of)
	return a, made, err
}

// Check returns what is wrong with the fields of a credit that is given now.
func (c Credit) Check(now time.Time) (fields []apierr.FieldError) {
	if c.Amount == 0 || c.Amount > wallet.MaxAmount || c.Amount < -wallet.MaxAmount {
		fields = append(fields, apierr.FieldError{
			Field: "amount", Message: fmt.Sprintf("must not be 0, and must be from -%s to %s.", wallet.MaxAmount,
				wallet.MaxAmount),
		})
	}
	fields = append(fields, apierr.CheckText("note", c.Note, maxNote)...)
	fields = append(fields, apierr.CheckText("reference", c.Reference, maxReference)...)
	if c.ExpiresAt != nil && c.Amount < 0 {
		fields = append(fields, apierr.FieldError{
			Field: "expiresAt", Message: "must be omitted where credit is removed.",
		})
	} else {
		fields = append(fields, credit.CheckExpiry("expiresAt", c.ExpiresAt, now)...)
	}
	return fields
}

// SetMarkup gives an account its own markup in basis points, or the default one for nil. It returns
// INVALID_REQUEST or NOT_FOUND.
func (s *Service) SetMarkup(ctx context.Context, tx *db.Tx, of id.ID, basisPoints *int64) (Account, error) {
	if _, err := s.cfg.Accounts.SetMarkup(ctx, tx, of, basisPoints); err != nil {
		return Account{}, err
	}
	return s.Account(ctx, tx, of)
}

// SetTrusted makes an account one that is offered what is for trusted tenants only, or one that is
// not. It returns NOT_FOUND.
func (s *Service) SetTrusted(ctx context.Context, tx *db.Tx, of id.ID, trusted bool) (Account, error) {
	if _, err := s.cfg.Accounts.SetTrusted(ctx, tx, of, trusted); err != nil {
		return Account{}, err
	}
	return s.Account(ctx, tx, of)
}

// Account returns one account, or NOT_FOUND.
func (s *Service) Account(ctx context.Context, r db.Reader, of id.ID) (Account, error) {
	a, err := s.cfg.Accounts.Get(ctx, r, of)
	if err != nil {
		return Account{}, err
	}
	all, err := s.complete(ctx, r, []account.Account{a})
	if err != nil {
		return Account{}, err
	}
	return all[0], nil
}

// Accounts returns a page of all accounts, newest first.
func (s *Service) Accounts(ctx context.Context, r db.Reader, p db.Page) ([]Account, db.Listed, error) {
	list, total, err := s.cfg.Accounts.List(ctx, r, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	all, err := s.complete(ctx, r, list)
	return all, total, err
}

// complete adds the money and the hourly spend, with one query each.
func (s *Service) complete(ctx context.Context, r db.Reader, list []account.Account) ([]Account, error) {
	ids := make([]id.ID, len(list))
	for i, a := range list {
		ids[i] = a.ID
	}
	wallets, err := s.cfg.Wallet.GetAll(ctx, r, ids)
	if err != nil {
		return nil, err
	}
	loads, err := meter.Loads(ctx, r, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Account, len(list))
	for i, a := range list {
		w, l := wallets[a.ID], loads[a.ID]
		out[i] = Account{
			Account: a, Balance: w.Balance, Held: w.Held, Available: w.Available, NegativeSince: w.NegativeSince,
			RunningDeployments: l.Deployments, HourlyCost: l.HourlyCost,
		}
	}
	return out, nil
}

// Job is a job that fails and is retried.
type Job struct {
	ID        id.ID     `json:"id" doc:"Id of the job, job_…."`
	Kind      string    `json:"kind" doc:"Kind of the job."`
	Subject   string    `json:"subject" doc:"What the job is about: an id, or provider/ and a slug."`
	Attempts  int64     `json:"attempts" doc:"Consecutive failures."`
	LastError string    `json:"lastError" doc:"Error of the last run."`
	NextAt    time.Time `json:"nextAt" doc:"When it is retried."`
}

func jobOf(f job.Failing) Job {
	return Job{f.ID, string(f.Kind), string(f.Subject), f.Failures, f.LastError, f.NextAt}
}

// FailingJobs returns a page of the jobs whose last run failed, most failures first: all, or those
// of a subject.
func (s *Service) FailingJobs(ctx context.Context, r db.Reader, subject id.ID, p db.Page) ([]Job, db.Listed, error) {
	failing, total, err := job.ListFailing(ctx, r, subject, p)
	out := make([]Job, len(failing))
	for i, f := range failing {
		out[i] = jobOf(f)
	}
	return out, total, err
}

// RetryJob runs a failing job now, or returns NOT_FOUND.
func (s *Service) RetryJob(ctx context.Context, tx *db.Tx, of id.ID) (Job, error) {
	f, found, err := s.cfg.Jobs.Retry(ctx, tx, of)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No failing job has this id. It may have succeeded meanwhile.")
	}
	return jobOf(f), err
}
