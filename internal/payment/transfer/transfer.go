package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/wallet"
)

// PagePath is the path of the pages, before the token.
const PagePath = "/pay/transfer/"

// Open is how long a transfer is expected. A later one can still be confirmed.
const Open = 30 * 24 * time.Hour

// maxBankID is the most characters of the bank's own reference.
const maxBankID = 100

// Config is what a Processor needs. Every field is required.
type Config struct {
	DB    *db.DB
	Clock clock.Clock
	// Site returns where browsers reach this server.
	Site func() *url.URL
}

// Processor is the processor for bank transfers. It is safe for concurrent use.
type Processor struct{ cfg Config }

// New returns a Processor.
func New(c Config) *Processor { return &Processor{c} }

// letters are those of a reference: none looks like another.
const letters = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

// length is the number of letters after the check digits. Of 10,000 pending references, one in a
// million guesses finds one.
const length = 8

// newReference returns a reference with its check digits.
func newReference() string {
	b := make([]byte, length)
	for i := range b {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			panic("transfer: no randomness: " + err.Error())
		}
		b[i] = letters[n.Int64()]
	}
	return fmt.Sprintf("RF%02d%s", 98-remainder(string(b)+"RF00"), b)
}

// remainder returns the number that the text stands for, modulo 97: A is 10, Z is 35.
func remainder(text string) int {
	r := 0
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			r = (r*10 + int(c-'0')) % 97
		default:
			r = (r*100 + int(c-'A') + 10) % 97
		}
	}
	return r
}

// Valid reports whether a text is a reference with right check digits. Spaces and lower case are
// accepted.
func Valid(text string) bool {
	text = Plain(text)
	if len(text) != 4+length || text[:2] != "RF" {
		return false
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return remainder(text[4:]+text[:4]) == 1
}

// Plain returns a reference as it is stored.
func Plain(text string) string { return strings.ToUpper(strings.ReplaceAll(text, " ", "")) }

// Shown returns a reference in groups of four.
func Shown(reference string) string {
	var groups []string
	for len(reference) > 4 {
		groups, reference = append(groups, reference[:4]), reference[4:]
	}
	return strings.Join(append(groups, reference), " ")
}

// Checkout makes the reference of a top-up, once.
func (p *Processor) Checkout(ctx context.Context, r payment.CheckoutRequest) (payment.Checkout, error) {
	var made row
	err := p.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		for range 5 { // two may draw the same reference
			made = row{
				token: rand.Text(), reference: newReference(), topUp: r.TopUp, amount: r.Amount,
				expiresAt: tx.Now.Add(Open), createdAt: tx.Now,
			}
			var found bool
			if made, found, err = insertOrFind(ctx, tx, made); err != nil || found {
				return err
			}
		}
		return errors.New("transfer: no reference is free")
	})
	if err != nil {
		return payment.Checkout{}, err
	}
	return payment.Checkout{
		Reference: made.reference, URL: p.cfg.Site().JoinPath(PagePath, made.token).String(), ExpiresAt: made.expiresAt,
	}, nil
}

// Payment returns whether the transfer was confirmed.
func (p *Processor) Payment(ctx context.Context, reference string) (payment.Payment, error) {
	r, found, err := byReference(ctx, p.cfg.DB, reference)
	if err == nil && !found {
		err = payment.ErrUnknown
	}
	return r.payment(p.cfg.Clock.Now()), err
}

func (r row) payment(now time.Time) payment.Payment {
	out := payment.Payment{
		Reference: r.reference, TopUp: r.topUp, Status: payment.PaymentPending, Currency: payment.Currency, Live: true,
		CreatedAt: r.createdAt,
	}
	switch {
	case r.confirmedAt != nil:
		out.Status, out.IntentReference, out.Received = payment.PaymentSucceeded, r.reference, r.received
	case !now.Before(r.expiresAt):
		out.Status = payment.PaymentExpired
	}
	return out
}

// Confirm records that the money of a top-up has arrived, and returns its payment. bankID is the
// bank's own reference of the transfer, each of which confirms one top-up; spaces and case do not
// matter. The same confirmation again changes nothing. It returns INVALID_REQUEST, or CONFLICT for
// another confirmation.
func (p *Processor) Confirm(
	ctx context.Context, tx *db.Tx, topUp id.ID, amount money.Micros, bankID string,
) (payment.Payment, error) {
	errs := apierr.CheckText("reference", bankID, maxBankID)
	if bankID = strings.ToUpper(strings.Join(strings.Fields(bankID), "")); bankID == "" {
		errs = append(errs, apierr.FieldError{
			Field: "reference", Message: "must be the bank's own reference of the transfer.",
		})
	}
	if amount <= 0 || amount > wallet.MaxAmount || amount%payment.Cent != 0 {
		errs = append(errs, apierr.FieldError{
			Field: "amount", Message: "must be more than 0 and have no fractions of a cent.",
		})
	}
	if err := apierr.Invalid(errs).OrNil(); err != nil {
		return payment.Payment{}, err
	}
	r, found, err := byTopUp(ctx, tx, topUp)
	switch {
	case err != nil:
		return payment.Payment{}, err
	case !found:
		return payment.Payment{}, apierr.New(apierr.Conflict, "This top-up is not paid by bank transfer.")
	case r.confirmedAt != nil && (r.received != amount || r.bankID != bankID):
		return payment.Payment{}, apierr.New(apierr.Conflict,
			"This top-up was confirmed before: %s with the reference %s.", r.received, r.bankID)
	case r.confirmedAt == nil:
		r.received, r.bankID, r.confirmedAt = amount, bankID, &tx.Now
		confirmed, err := confirm(ctx, tx, r)
		if err == nil && !confirmed {
			err = apierr.New(apierr.Conflict, "The transfer with this reference has confirmed another top-up.")
		}
		if err != nil {
			return payment.Payment{}, err
		}
	}
	return r.payment(tx.Now), nil
}

// BankReference returns the bank's own reference of the transfer that confirmed a top-up; "" if
// none did.
func (p *Processor) BankReference(ctx context.Context, r db.Reader, topUp id.ID) (string, error) {
	of, _, err := byTopUp(ctx, r, topUp)
	return of.bankID, err
}

// Page is what the page of a transfer shows.
type Page struct {
	Reference string
	TopUp     id.ID
	Amount    money.Micros
	Status    payment.PaymentStatus
	ExpiresAt time.Time
}

// Page returns the page with that token, or NOT_FOUND.
func (p *Processor) Page(ctx context.Context, token string) (Page, error) {
	r, found, err := byToken(ctx, p.cfg.DB, token)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no such payment page.")
	}
	return Page{Shown(r.reference), r.topUp, r.amount, r.payment(p.cfg.Clock.Now()).Status, r.expiresAt}, err
}

// Charge returns ErrUnsupported.
func (p *Processor) Charge(context.Context, payment.ChargeRequest) (payment.Payment, error) {
	return payment.Payment{}, payment.ErrUnsupported
}

// Refund succeeds at once: the operator who asks for it transfers the money at the bank.
func (p *Processor) Refund(_ context.Context, r payment.RefundRequest) (payment.Refund, error) {
	return payment.Refund{
		Reference: string(r.Refund), Refund: r.Refund, Amount: r.Amount, Status: payment.RefundSucceeded,
	}, nil
}

// Methods returns none.
func (p *Processor) Methods(context.Context, string) ([]payment.Method, error) { return nil, nil }

// Detach does nothing: nothing is saved.
func (p *Processor) Detach(context.Context, string, string) error { return nil }

// Event returns ErrForged: banks send none.
func (p *Processor) Event(func(string) string, []byte) (payment.Event, error) {
	return payment.Event{}, payment.ErrForged
}

// Events returns none.
func (p *Processor) Events(context.Context, time.Time) iter.Seq2[payment.Event, error] {
	return func(func(payment.Event, error) bool) {}
}

// Movements returns the confirmed transfers.
func (p *Processor) Movements(ctx context.Context, from, to time.Time) iter.Seq2[payment.Movement, error] {
	return payment.MovementsOf(movements(ctx, p.cfg.DB, from, to))
}
