package demo

import (
	"context"
	"crypto/rand"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
)

// PagePath is the path of the payment pages, before the token.
const PagePath = "/pay/demo/"

// Config is what a Processor needs. Every field is required.
type Config struct {
	DB    *db.DB
	Clock clock.Clock
	// Site returns where browsers reach this server.
	Site func() *url.URL
}

// Processor is the simulated processor. It is safe for concurrent use.
type Processor struct{ cfg Config }

// New returns a Processor.
func New(c Config) *Processor { return &Processor{c} }

// Card is a simulated card.
type Card struct {
	Last4, Name string
}

// The cards. A saved one is charged with what its name says.
var Cards = []Card{
	{"4242", "A card that works"},
	{"0341", "A card that works now and is declined when it is charged automatically"},
	{"3155", "A card whose bank wants every automatic charge confirmed"},
}

// Action is what the page can do with a payment.
type Action string

// The actions.
const (
	Pay          Action = "pay"
	Decline      Action = "decline"
	LeavePending Action = "processing"
	Authenticate Action = "authenticate"
	Cancel       Action = "cancel"
)

var errNoPage = apierr.New(apierr.NotFound, "There is no such payment page.")

// Checkout makes the page of a top-up's attempt, once.
func (p *Processor) Checkout(ctx context.Context, r payment.CheckoutRequest) (payment.Checkout, error) {
	customer := r.Customer
	if customer == "" {
		customer = "cus_demo_" + string(r.Account)
	}
	made := row{
		token: rand.Text(), reference: "pay_demo_" + strings.ToLower(rand.Text()), topUp: r.TopUp, attempt: r.Attempt,
		customer: customer, amount: r.Amount, status: payment.PaymentPending, saveMethod: r.SaveMethod,
		cancelURL: r.CancelURL, returnURL: r.ReturnURL, expiresAt: r.ExpiresAt,
	}
	err := p.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		made.createdAt = tx.Now
		made, err = insertOrFind(ctx, tx, made)
		return err
	})
	if err != nil {
		return payment.Checkout{}, err
	}
	return payment.Checkout{
		Reference: made.reference, URL: p.cfg.Site().JoinPath(PagePath, made.token).String(), Customer: made.customer,
		ExpiresAt: made.expiresAt,
	}, nil
}

// Payment returns the state of a simulated payment.
func (p *Processor) Payment(ctx context.Context, reference string) (payment.Payment, error) {
	r, found, err := byReference(ctx, p.cfg.DB, reference)
	if err == nil && !found {
		err = payment.ErrUnknown
	}
	if err != nil {
		return payment.Payment{}, err
	}
	given, err := refundsOf(ctx, p.cfg.DB, reference)
	if err != nil {
		return payment.Payment{}, err
	}
	return r.payment(p.cfg.Clock.Now(), given), nil
}

func (r row) payment(now time.Time, given []refund) payment.Payment {
	out := payment.Payment{
		Reference: r.reference, TopUp: r.topUp, Status: r.status, Currency: payment.Currency, Customer: r.customer,
		Live: true, CreatedAt: r.createdAt,
	}
	open := r.status == payment.PaymentPending || r.status == payment.PaymentActionRequired
	if open && !now.Before(r.expiresAt) {
		out.Status = payment.PaymentExpired
	}
	if r.failure != "" {
		out.Failure = &payment.Failure{Code: r.failure, Message: "The simulated bank declined the payment."}
	}
	if r.method != "" {
		out.Method = method(r.method, r.createdAt)
	}
	if r.status == payment.PaymentSucceeded {
		out.IntentReference, out.Received = r.reference, r.amount
	}
	for _, f := range given {
		out.Refunds = append(out.Refunds, payment.Refund{
			Reference: string(f.id), Refund: f.id, Amount: f.amount, Status: payment.RefundSucceeded,
		})
		out.Refunded += f.amount
	}
	return out
}

// methodPrefix begins the ID of a saved card, before its last four digits and a random text.
const methodPrefix = "card_demo_"

func method(m string, created time.Time) *payment.Method {
	last4, _, _ := strings.Cut(strings.TrimPrefix(m, methodPrefix), "_")
	return &payment.Method{
		ID: m, Type: "card", Brand: "simulated", Last4: last4, ExpiryMonth: 12, ExpiryYear: int64(created.Year() + 3),
		CreatedAt: created,
	}
}

// Charge charges a saved card: it works, is declined, or must be confirmed, by its number.
func (p *Processor) Charge(ctx context.Context, r payment.ChargeRequest) (payment.Payment, error) {
	if r.FindOnly {
		charged, found, err := byAttempt(ctx, p.cfg.DB, r.TopUp, r.Attempt)
		if err == nil && !found {
			err = payment.ErrUnknown
		}
		if err != nil {
			return payment.Payment{}, err
		}
		return p.Payment(ctx, charged.reference)
	}
	made := row{
		token: rand.Text(), reference: "pay_demo_" + strings.ToLower(rand.Text()), topUp: r.TopUp, attempt: r.Attempt,
		customer: r.Customer, amount: r.Amount, status: payment.PaymentSucceeded,
	}
	switch method(r.Method, time.Time{}).Last4 {
	case "0341":
		made.status, made.failure = payment.PaymentFailed, "card_declined"
	case "3155":
		made.status, made.failure = payment.PaymentActionRequired, "authentication_required"
	}
	err := p.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		made.createdAt, made.expiresAt = tx.Now, tx.Now.Add(payment.PageTime)
		gone, err := isDetached(ctx, tx, r.Method)
		if err == nil && gone {
			made.status, made.failure = payment.PaymentFailed, "payment_method_removed"
		}
		if made.status == payment.PaymentSucceeded {
			made.paidAt = &tx.Now
		}
		if err == nil {
			made, err = insertOrFind(ctx, tx, made)
		}
		return err
	})
	if err != nil {
		return payment.Payment{}, err
	}
	return p.Payment(ctx, made.reference)
}

// Refund refunds at once. What is more than was paid fails.
func (p *Processor) Refund(ctx context.Context, r payment.RefundRequest) (out payment.Refund, err error) {
	err = p.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		paid, found, err := byReference(ctx, tx, r.IntentReference)
		if err != nil {
			return err
		}
		given, err := refundsOf(ctx, tx, r.IntentReference)
		if err != nil {
			return err
		}
		out = payment.Refund{
			Reference: string(r.Refund), Refund: r.Refund, Amount: r.Amount, Status: payment.RefundSucceeded,
		}
		left := paid.amount
		for _, f := range given {
			if f.id == r.Refund {
				return nil
			}
			left -= f.amount
		}
		if !found || r.Amount > left {
			out.Status, out.Message = payment.RefundFailed, "More than was paid."
			return nil
		}
		return insertRefund(ctx, tx, refund{r.Refund, r.IntentReference, r.Amount, tx.Now})
	})
	return out, err
}

// Methods returns the saved cards of a customer, newest first.
func (p *Processor) Methods(ctx context.Context, customer string) ([]payment.Method, error) {
	saved, err := savedBy(ctx, p.cfg.DB, customer)
	out := make([]payment.Method, len(saved))
	for i, r := range saved {
		out[i] = *method(r.method, r.createdAt)
	}
	return out, err
}

// Detach removes a saved card.
func (p *Processor) Detach(ctx context.Context, _, method string) error {
	return p.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return detach(ctx, tx, method) })
}

// Event returns ErrForged: the page of this package tells of its payments itself.
func (p *Processor) Event(func(string) string, []byte) (payment.Event, error) {
	return payment.Event{}, payment.ErrForged
}

// Events returns nothing: no event can be lost.
func (p *Processor) Events(context.Context, time.Time) iter.Seq2[payment.Event, error] {
	return func(func(payment.Event, error) bool) {}
}

// Movements returns the simulated payments and refunds.
func (p *Processor) Movements(ctx context.Context, from, to time.Time) iter.Seq2[payment.Movement, error] {
	return payment.MovementsOf(movements(ctx, p.cfg.DB, from, to))
}

// Page is what a payment page shows.
type Page struct {
	Reference string
	TopUp     id.ID
	Amount    money.Micros
	Status    payment.PaymentStatus
	// Save is whether the card is saved.
	Save bool
	// ReturnURL is where the browser goes afterwards; may be "".
	ReturnURL string
}

// Page returns the page with that token, or NOT_FOUND.
func (p *Processor) Page(ctx context.Context, token string) (Page, error) {
	r, found, err := byToken(ctx, p.cfg.DB, token)
	if err == nil && !found {
		err = errNoPage
	}
	return r.page(p.cfg.Clock.Now()), err
}

func (r row) page(now time.Time) Page {
	return Page{
		Reference: r.reference, TopUp: r.topUp, Amount: r.amount, Status: r.payment(now, nil).Status,
		Save: r.saveMethod, ReturnURL: r.returnURL,
	}
}

// Act does what was chosen on a page, and returns the page afterwards. A payment that has ended
// stays as it is. It returns NOT_FOUND or INVALID_REQUEST.
func (p *Processor) Act(ctx context.Context, token string, do Action, last4 string) (out Page, err error) {
	err = p.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, found, err := byToken(ctx, tx, token)
		if err == nil && !found {
			err = errNoPage
		}
		if err != nil {
			return err
		}
		if now := r.payment(tx.Now, nil).Status; now == payment.PaymentPending || now == payment.PaymentProcessing ||
			now == payment.PaymentActionRequired {
			if err := r.act(do, last4, tx.Now); err != nil {
				return err
			}
			if err := update(ctx, tx, r); err != nil {
				return err
			}
		}
		out = r.page(tx.Now)
		return nil
	})
	return out, err
}

func (r *row) act(do Action, last4 string, now time.Time) error {
	switch do {
	case Pay:
		r.status, r.failure, r.paidAt = payment.PaymentSucceeded, "", &now
		if r.saveMethod {
			r.method = methodPrefix + known(last4) + "_" + strings.ToLower(rand.Text())
		}
	case Decline: // the page stays open, as a real one does
		r.status, r.failure = payment.PaymentPending, "card_declined"
	case LeavePending:
		r.status, r.failure = payment.PaymentProcessing, ""
	case Authenticate:
		r.status, r.failure = payment.PaymentActionRequired, ""
	case Cancel:
		r.status = payment.PaymentCanceled
	default:
		return apierr.Invalid([]apierr.FieldError{{
			Field: "action", Message: "must be pay, decline, processing, authenticate or cancel.",
		}})
	}
	return nil
}

// known returns the number of one of the cards.
func known(last4 string) string {
	for _, c := range Cards {
		if c.Last4 == last4 {
			return last4
		}
	}
	return Cards[0].Last4
}
