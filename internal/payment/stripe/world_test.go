package stripe_test

import (
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/stripe"
	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
)

const (
	installation = "ins_test"
	topUp        = id.ID("top_01")
	account      = id.ID("acc_01")
)

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// world is a processor with a fake of Stripe.
type world struct {
	*testing.T
	clock *clock.Simulated
	fake  *stripetest.Server
	p     *stripe.Processor
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c := clock.NewFrozen(start)
	w := &world{T: t, clock: c, fake: stripetest.Start(t, c.Now)}
	w.p = w.processor(stripe.Config{})
	return w
}

// processor returns another processor at the same fake.
func (w *world) processor(c stripe.Config) *stripe.Processor {
	w.Helper()
	c.BaseURL, c.Now = w.fake.URL, w.clock.Now
	if c.Key == "" {
		c.Key = stripetest.Key
	}
	if c.WebhookSecrets == nil {
		c.WebhookSecrets = []string{stripetest.Secret}
	}
	if c.Installation == "" {
		c.Installation = installation
	}
	p, err := stripe.New(c)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func checkoutRequest() payment.CheckoutRequest {
	return payment.CheckoutRequest{
		TopUp: topUp, Account: account, Attempt: 1, Email: "owner@example.com", Amount: money.Dollars(50),
		Currency: payment.Currency, ReturnURL: "https://billet.example.com/wallet?topUp=top_01",
		CancelURL: "https://billet.example.com/wallet", SaveMethod: true, ExpiresAt: start.Add(2 * time.Hour),
	}
}

func (w *world) checkout(r payment.CheckoutRequest) payment.Checkout {
	w.Helper()
	c, err := w.p.Checkout(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) payment(reference string) payment.Payment {
	w.Helper()
	p, err := w.p.Payment(w.Context(), reference)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// paid is a top-up of $50 that was paid with the card, which is saved.
func (w *world) paid(card stripetest.Card) payment.Payment {
	w.Helper()
	c := w.checkout(checkoutRequest())
	outcome := w.fake.Pay(c.Reference, card)
	if outcome == "authenticate" {
		w.fake.Authenticate(c.Reference, true)
	}
	p := w.payment(c.Reference)
	if p.Status != payment.PaymentSucceeded {
		w.Fatalf("%s: %+v", outcome, p)
	}
	return p
}

func chargeRequest(p payment.Payment) payment.ChargeRequest {
	return payment.ChargeRequest{
		TopUp: "top_02", Account: account, Attempt: 1, Customer: p.Customer, Method: p.Method.ID,
		Amount: money.Dollars(20), Currency: payment.Currency,
	}
}

func refundRequest(p payment.Payment, refund id.ID, amount money.Micros) payment.RefundRequest {
	return payment.RefundRequest{
		Refund: refund, TopUp: p.TopUp, IntentReference: p.IntentReference, Amount: amount, Currency: payment.Currency,
	}
}

func collect[T any](t *testing.T, list iter.Seq2[T, error]) (out []T) {
	t.Helper()
	for one, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
	return out
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got the error %v, want %v", err, want)
	}
}
