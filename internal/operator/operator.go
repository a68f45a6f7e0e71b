package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// maxNote and maxReference are how long the operator's texts may be, in characters.
const maxNote, maxReference = 200, 100

// Config is what a Service needs. Every field is required.
type Config struct {
	IDs      *id.Maker
	Accounts *account.Service
	Wallet   *wallet.Ledger
	Jobs     *job.Queue
}

// Service is where the operator works. It is safe for concurrent use.
type Service struct{ c Config }

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.IDs == nil || c.Accounts == nil || c.Wallet == nil || c.Jobs == nil {
		panic("operator: New needs every field of its Config")
	}
	return &Service{c}
}

// Account is an account with its money and what runs on it.
type Account struct {
	account.Account
	Balance            money.Micros `json:"balance" doc:"available plus held, in US dollars."`
	Held               money.Micros `json:"held" doc:"Set aside for what does not run yet."`
	Available          money.Micros `json:"available" doc:"What can be spent; below zero it is a debt."`
	NegativeSince      *time.Time   `json:"negativeSince" doc:"Since when available is below zero; null while it is not."`
	RunningDeployments int64        `json:"runningDeployments" doc:"Deployments that run, or are stopped and kept."`
	HourlyCost         money.Micros `json:"hourlyCost" doc:"What everything that runs costs the tenant in an hour, volumes included."`
}

// CreateAccount makes an account with a wallet and, where credit is more than zero, that much in it. It answers INVALID_REQUEST.
func (d *Service) CreateAccount(ctx context.Context, tx *db.Tx, name string, credit money.Micros) (Account, error) {
	faults := apierr.CheckName("name", name)
	if credit < 0 || credit > wallet.MaxAmount {
		faults = append(faults, apierr.FieldError{Field: "credit", Message: fmt.Sprintf("must be from 0 to %s.", wallet.MaxAmount)})
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return Account{}, err
	}
	a, err := d.c.Accounts.Create(ctx, tx, name)
	if err != nil {
		return Account{}, err
	}
	if err := d.c.Wallet.Open(ctx, tx, a.ID); err != nil {
		return Account{}, err
	}
	if credit > 0 {
		if _, err := d.c.Wallet.Credit(ctx, tx, wallet.Credit{Account: a.ID, Type: wallet.TypeCredit, Amount: credit, Description: "Opening credit", Dedupe: "opening/" + string(a.ID)}); err != nil {
			return Account{}, err
		}
	}
	return d.Account(ctx, tx, a.ID)
}

// Credit puts money into an account's wallet, or takes some out with an amount below zero. The same reference works once among all
// accounts, whatever is retried; "" makes one. It answers INVALID_REQUEST, NOT_FOUND, or CONFLICT for a reference that stands for
// another credit; made is false where the reference was used before.
func (d *Service) Credit(ctx context.Context, tx *db.Tx, of id.ID, amount money.Micros, note, reference string) (a Account, made bool, err error) {
	var faults []apierr.FieldError
	if amount == 0 || amount > wallet.MaxAmount || amount < -wallet.MaxAmount {
		faults = append(faults, apierr.FieldError{Field: "amount", Message: fmt.Sprintf("must not be 0, and at most %s either way.", wallet.MaxAmount)})
	}
	for _, text := range []struct {
		field, value string
		most         int
	}{{"note", note, maxNote}, {"reference", reference, maxReference}} {
		faults = append(faults, apierr.CheckText(text.field, text.value, text.most)...)
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return Account{}, false, err
	}
	if _, err := d.c.Accounts.Get(ctx, tx, of); err != nil {
		return Account{}, false, err
	}
	if reference == "" {
		reference = string(d.c.IDs.New(id.Request))
	}
	if note == "" {
		note = "Credit by the operator"
	}
	kind := wallet.TypeCredit
	if amount < 0 {
		kind = wallet.TypeAdjustment
	}
	made, err = d.c.Wallet.Credit(ctx, tx, wallet.Credit{Account: of, Type: kind, Amount: amount, Description: note, Dedupe: "operator/" + reference})
	if err != nil {
		return Account{}, false, err
	}
	// Arrears looks at once: money that came in time stops what it had planned, money taken out may begin it.
	if err := d.c.Jobs.Enqueue(ctx, tx, of, meter.KindPastDue, of, tx.Now); err != nil {
		return Account{}, false, err
	}
	a, err = d.Account(ctx, tx, of)
	return a, made, err
}

// SetMarkup gives an account a markup of its own, in basis points, or with nil the usual ones. It answers INVALID_REQUEST or NOT_FOUND.
func (d *Service) SetMarkup(ctx context.Context, tx *db.Tx, of id.ID, basisPoints *int64) (Account, error) {
	if _, err := d.c.Accounts.SetMarkup(ctx, tx, of, basisPoints); err != nil {
		return Account{}, err
	}
	return d.Account(ctx, tx, of)
}

// Account returns one account, or NOT_FOUND.
func (d *Service) Account(ctx context.Context, r db.Reader, of id.ID) (Account, error) {
	a, err := d.c.Accounts.Get(ctx, r, of)
	if err != nil {
		return Account{}, err
	}
	all, err := d.complete(ctx, r, []account.Account{a})
	if err != nil {
		return Account{}, err
	}
	return all[0], nil
}

// Accounts returns a page of all accounts, newest first, and how many there are.
func (d *Service) Accounts(ctx context.Context, r db.Reader, p db.Page) ([]Account, db.Listed, error) {
	list, total, err := d.c.Accounts.List(ctx, r, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	all, err := d.complete(ctx, r, list)
	return all, total, err
}

// complete adds the money and what runs, with one query each.
func (d *Service) complete(ctx context.Context, r db.Reader, list []account.Account) ([]Account, error) {
	ids := make([]id.ID, len(list))
	for i, a := range list {
		ids[i] = a.ID
	}
	wallets, err := d.c.Wallet.GetAll(ctx, r, ids)
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

// Job is work that fails and is tried again.
type Job struct {
	Kind      string    `json:"kind" doc:"What is done."`
	Subject   string    `json:"subject" doc:"With what: an id, or provider/ and a slug."`
	Attempts  int64     `json:"attempts" doc:"How often in a row it failed."`
	LastError string    `json:"lastError" doc:"What happened last."`
	NextAt    time.Time `json:"nextAt" doc:"When it is tried again."`
}

// FailingJobs returns a page of the jobs whose last run failed, most failures first, and how many there are.
func (d *Service) FailingJobs(ctx context.Context, r db.Reader, p db.Page) ([]Job, db.Listed, error) {
	failing, total, err := job.ListFailing(ctx, r, p)
	out := make([]Job, len(failing))
	for i, f := range failing {
		out[i] = Job{string(f.Kind), string(f.Subject), f.Failures, f.LastError, f.NextAt}
	}
	return out, total, err
}
