package payment

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// Offer is the processor that new payments are made with.
type Offer struct {
	// Name is "" if no payments are taken.
	Name string
	Limits
}

// Source returns the processor of that name, and whether it is in live mode. Demo and transfer are
// live: what they say is as real as the rest of their installation.
type Source func(ctx context.Context, name string) (p Processor, live bool, err error)

// Config is what a Service needs. Every field is required, except those that say otherwise.
type Config struct {
	DB     *db.DB
	IDs    *id.Maker
	Clock  clock.Clock
	Log    *slog.Logger
	Wallet *wallet.Ledger
	// Credits are spent before what was paid in, where they expire.
	Credits *credit.Service
	Events  *event.Service
	Issues  *issue.Service
	Jobs    *job.Queue
	// Offer returns the processor that new payments are made with.
	Offer func(ctx context.Context, r db.Reader) (Offer, error)
	// Processors finds processors by name, also those of earlier payments.
	Processors Source
	// Confirm records that a bank transfer has arrived; see package transfer.
	Confirm func(
		ctx context.Context, tx *db.Tx, topUp id.ID, amount money.Micros, bankID string,
	) (Payment, error)
	// Site returns where browsers reach the server.
	Site func() *url.URL
}

// Service owns top-ups. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// CallTime is how long one call of a processor may take.
const CallTime = 10 * time.Second

var (
	errNotFound = apierr.New(apierr.NotFound, "No top-up has this id. List yours with GET /wallet/top-ups.")
	errNoOffer  = apierr.New(apierr.Conflict, // trying again does not help
		"No payments are taken here. Ask the operator to add credit to your account.")
)

// Create creates a top-up, which has no page yet. Open makes the page after the commit; if it is
// not called, or fails, a job does. It returns INVALID_REQUEST, ACCOUNT_SUSPENDED, LIMIT_REACHED,
// or CONFLICT if no payments are taken.
func (s *Service) Create(
	ctx context.Context, tx *db.Tx, account id.ID, by creator.Creator, q Request,
) (TopUp, error) {
	offer, err := s.cfg.Offer(ctx, tx)
	if err == nil && offer.Name == "" {
		err = errNoOffer
	}
	if err == nil {
		err = q.check(offer.Limits)
	}
	if err != nil {
		return TopUp{}, err
	}
	if err := accounts.Enter(ctx, tx, account); err != nil { // so that parallel calls count each other
		return TopUp{}, err
	}
	if n, err := countPending(ctx, tx, account); err != nil || n >= MaxPending {
		if err == nil {
			err = apierr.New(apierr.LimitReached,
				"An account can have %d pending top-ups. Pay one of them, or wait until one expires.", MaxPending)
		}
		return TopUp{}, err
	}
	r := s.newRow(tx, account, offer.Name, q.Amount, by)
	r.saveMethod, r.returnURL = q.SaveMethod, q.ReturnURL
	if err := insert(ctx, tx, r); err != nil {
		return TopUp{}, err
	}
	// The request that created it makes the page. The job does if that fails.
	err = s.cfg.Jobs.Enqueue(ctx, tx, account, KindSettle, r.ID, tx.Now.Add(2*CallTime))
	return known{topUp: r}.view(tx.Now), err
}

func (s *Service) newRow(tx *db.Tx, account id.ID, processor string, amount money.Micros, by creator.Creator) row {
	return row{OperatorTopUp: OperatorTopUp{AccountID: account, TopUp: TopUp{
		ID: s.cfg.IDs.New(id.TopUp), Account: account, Status: Pending, Amount: amount, Processor: processor,
		CreatedBy: by, CreatedAt: tx.Now,
	}}, attempt: 1, expiresAt: tx.Now.Add(PageTime)}
}

// view is the top-up as its tenant sees it.
func (k known) view(now time.Time) TopUp {
	t := k.topUp.TopUp
	t.Currency, t.Refunded, t.Disputed = "USD", k.refunded(), k.disputed()
	t.Refunds = []TopUpRefund{}
	for _, f := range k.refunds {
		if f.Status == RefundSucceeded {
			at := f.CreatedAt
			if f.CompletedAt != nil {
				at = *f.CompletedAt
			}
			t.Refunds = append(t.Refunds, TopUpRefund{f.ID, f.Amount, f.Reason, at})
		}
	}
	t.CheckoutURL, t.ExpiresAt = nil, nil
	if t.Status == Pending {
		t.ExpiresAt = &k.topUp.expiresAt
		if k.topUp.checkoutURL != "" && now.Before(k.topUp.expiresAt) {
			t.CheckoutURL = &k.topUp.checkoutURL
		}
	}
	return t
}

// Open makes the page of a new top-up, and returns the top-up with it. It must not be called inside
// a transaction. Without an answer of the processor within CallTime, the top-up has no page yet.
func (s *Service) Open(ctx context.Context, account, topUp id.ID) (TopUp, error) {
	t, found, err := find(ctx, s.cfg.DB, topUp)
	if err == nil && (!found || t.Account != account) {
		err = errNotFound
	}
	if err != nil {
		return TopUp{}, err
	}
	if t.Status == Pending && t.Reference == "" && !t.Automatic {
		if err := s.openPage(ctx, t); err != nil {
			s.cfg.Log.WarnContext(ctx, "a payment page was not made; it is tried again", "topUp", string(t.ID),
				"processor", t.Processor, "error", err)
		}
	}
	return s.Get(ctx, s.cfg.DB, account, topUp)
}

// Get returns a top-up, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, topUp id.ID) (TopUp, error) {
	k, found, err := load(ctx, r, topUp)
	if err == nil && (!found || k.topUp.Account != account) {
		err = errNotFound
	}
	if err != nil {
		return TopUp{}, err
	}
	return k.view(s.cfg.Clock.Now()), nil
}

// List returns a page of the account's top-ups, newest first; of every status for "".
func (s *Service) List(
	ctx context.Context, r db.Reader, account id.ID, status Status, p db.Page,
) ([]TopUp, db.Listed, error) {
	rows, of, err := list(ctx, r, Filter{Account: account, Status: status}, p)
	if err != nil {
		return nil, of, err
	}
	all, err := withMoney(ctx, r, rows)
	out := make([]TopUp, len(all))
	for i, k := range all {
		out[i] = k.view(s.cfg.Clock.Now())
	}
	return out, of, err
}

func (k known) operatorView(now time.Time) OperatorTopUp {
	o := k.topUp.OperatorTopUp
	o.TopUp = k.view(now)
	return o
}

// openPage asks the processor for the page of a top-up and stores it.
func (s *Service) openPage(ctx context.Context, t row) error {
	p, _, err := s.cfg.Processors(ctx, t.Processor)
	if err != nil {
		return err
	}
	customer, err := customerOf(ctx, s.cfg.DB, t.Account, t.Processor)
	if err != nil {
		return err
	}
	if err := job.Holds(ctx); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.TopUpBeforeCall)
	back := t.returnURL
	if back == "" {
		back = s.cfg.Site().JoinPath("/wallet").String()
	}
	within, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	page, err := p.Checkout(within, CheckoutRequest{
		TopUp: t.ID, Account: t.Account, Attempt: t.attempt, Customer: customer, Amount: t.Amount, Currency: Currency,
		ReturnURL: withTopUp(back, t.ID), CancelURL: withTopUp(back, t.ID), SaveMethod: t.saveMethod,
		ExpiresAt: t.expiresAt,
	})
	crashpoint.Reach(crashpoint.TopUpAfterCall)
	if err != nil {
		return err
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, found, err := find(ctx, tx, t.ID)
		if err != nil || !found || now.Reference != "" || now.Status != Pending {
			return err
		}
		now.Reference, now.checkoutURL = page.Reference, page.URL
		if !page.ExpiresAt.IsZero() {
			now.expiresAt = page.ExpiresAt
		}
		if err := update(ctx, tx, now); err != nil {
			return err
		}
		return putCustomer(ctx, tx, t.Account, t.Processor, page.Customer)
	})
}

// withTopUp adds the top-up to the query of a URL, so that the page that it leads to can show it.
func withTopUp(back string, topUp id.ID) string {
	u, err := url.Parse(back)
	if err != nil || back == "" {
		return ""
	}
	q := u.Query()
	q.Set("topUp", string(topUp))
	u.RawQuery = q.Encode()
	return u.String()
}

// maxBankReference is the most characters of a bank's reference.
const maxBankReference = 100

// ConfirmTransfer credits a top-up that was paid by bank transfer, with the amount that has
// arrived. bankID is the bank's own reference. It returns INVALID_REQUEST, NOT_FOUND, or CONFLICT
// if it was confirmed with others before.
func (s *Service) ConfirmTransfer(
	ctx context.Context, tx *db.Tx, topUp id.ID, amount money.Micros, bankID string,
) (OperatorTopUp, error) {
	if err := apierr.Invalid(apierr.CheckText("reference", bankID, maxBankReference)).OrNil(); err != nil {
		return OperatorTopUp{}, err
	}
	k, found, err := load(ctx, tx, topUp)
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return OperatorTopUp{}, err
	}
	paid, err := s.cfg.Confirm(ctx, tx, topUp, amount, bankID)
	if err != nil {
		return OperatorTopUp{}, err
	}
	if err := s.changeIn(ctx, tx, k, paid, rules{live: true, anyAmount: true}); err != nil {
		return OperatorTopUp{}, err
	}
	k, _, err = load(ctx, tx, topUp)
	return k.operatorView(tx.Now), err
}
