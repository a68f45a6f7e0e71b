package stripe_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
)

// faults are all ways in which a request fails without a decision of Stripe's.
var faults = []stripetest.FaultKind{
	stripetest.CutBefore, stripetest.CutAfter, stripetest.InternalError, stripetest.InternalErrorAfter,
	stripetest.Unavailable, stripetest.Conflict, stripetest.TooMany, stripetest.Unauthorized, stripetest.Forbidden,
	stripetest.Slow, stripetest.Proxy,
}

// operations are the calls that change something at Stripe.
var operations = []struct {
	name, prefix, kind string
	call               func(ctx context.Context, w *world, p payment.Payment) (reference string, err error)
}{
	{"checkout", "/v1/checkout/sessions", "checkout.session",
		func(ctx context.Context, w *world, _ payment.Payment) (string, error) {
			r := checkoutRequest()
			r.Attempt = 2
			c, err := w.p.Checkout(ctx, r)
			return c.Reference, err
		}},
	{"customer", "/v1/customers", "customer",
		func(ctx context.Context, w *world, _ payment.Payment) (string, error) {
			r := checkoutRequest()
			r.Account, r.Attempt = "acc_02", 3
			c, err := w.p.Checkout(ctx, r)
			return c.Customer, err
		}},
	{"charge", "/v1/payment_intents", "payment_intent",
		func(ctx context.Context, w *world, p payment.Payment) (string, error) {
			got, err := w.p.Charge(ctx, chargeRequest(p))
			return got.IntentReference, err
		}},
	{"refund", "/v1/refunds", "refund",
		func(ctx context.Context, w *world, p payment.Payment) (string, error) {
			got, err := w.p.Refund(ctx, refundRequest(p, "ref_01", money.Dollars(10)))
			return got.Reference, err
		}},
}

// TestRepetitionAfterAnyFailureHasOneEffect: a call fails in every way, is repeated as a job does,
// and has its effect once. Stripe repeats an internal error for a day with the same key.
func TestRepetitionAfterAnyFailureHasOneEffect(t *testing.T) {
	for _, op := range operations {
		for _, fault := range faults {
			t.Run(op.name+"/"+string(fault), func(t *testing.T) {
				w := newWorld(t)
				p := w.paid(stripetest.Visa)
				before := w.fake.Count(op.kind)
				// Not only once: Go's own client repeats a request with an idempotency key whose
				// connection was cut.
				w.fake.Inject(stripetest.Fault{Kind: fault, Method: "POST", Prefix: op.prefix})
				limit := time.Minute
				if fault == stripetest.Slow {
					limit = 200 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				if reference, err := op.call(ctx, w, p); err == nil {
					t.Fatalf("it succeeded with %q", reference)
				}
				w.fake.Heal()
				// At once, and after Stripe has forgotten the key.
				reference, err := op.call(t.Context(), w, p)
				if err != nil && fault != stripetest.InternalError && op.name != "customer" {
					t.Errorf("repeated: %v", err)
				}
				w.clock.Advance(25 * time.Hour)
				late, err := op.call(t.Context(), w, p)
				if err != nil || late == "" || reference != "" && op.name != "checkout" && op.name != "customer" &&
					late != reference {
					t.Errorf("a day later: got %q and the error %v, want %q", late, err, reference)
				}
				// The page of a day ago has ended: another one does no harm, nor does a customer.
				if n := w.fake.Count(op.kind) - before; n != 1 && (op.name == "charge" || op.name == "refund") {
					t.Errorf("it had %d effects", n)
				}
			})
		}
	}
}

// TestACustomerDoesNotWaitADayForAnInternalError: Stripe keeps the error for a day, in which the
// account could pay nothing.
func TestACustomerDoesNotWaitADayForAnInternalError(t *testing.T) {
	for _, fault := range faults[:4] {
		w := newWorld(t)
		w.fake.Inject(stripetest.Fault{Kind: fault, Method: "POST", Prefix: "/v1/customers"})
		if c, err := w.p.Checkout(t.Context(), checkoutRequest()); err == nil {
			t.Errorf("%s: %+v", fault, c)
		}
		w.fake.Heal()
		if c := w.checkout(checkoutRequest()); c.Customer == "" {
			t.Errorf("%s: %+v", fault, c)
		}
	}
}

// TestARefundDoesNotWaitADayForAnInternalError: nor is it made twice.
func TestARefundDoesNotWaitADayForAnInternalError(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	w.fake.Inject(stripetest.Fault{Kind: stripetest.InternalError, Method: "POST", Prefix: "/v1/refunds"})
	refund := func() error {
		_, err := w.p.Refund(t.Context(), refundRequest(p, "ref_01", money.Dollars(10)))
		return err
	}
	first := refund()
	w.fake.Heal()
	second := refund()
	w.clock.Advance(20 * time.Minute)
	if third := refund(); first == nil || second == nil || third != nil || refund() != nil {
		t.Errorf("%v, %v, %v", first, second, third)
	}
	if n := w.fake.Count("refund"); n != 1 {
		t.Errorf("%d refunds", n)
	}
}

// TestPagesAreMadeOnceWithinADay: also if Stripe keeps an internal error.
func TestPagesAreMadeOnceWithinADay(t *testing.T) {
	for _, fault := range faults[:4] {
		w := newWorld(t)
		w.fake.Inject(stripetest.Fault{Kind: fault, Method: "POST", Prefix: "/v1/checkout"})
		if c, err := w.p.Checkout(t.Context(), checkoutRequest()); err == nil {
			t.Errorf("%s: %+v", fault, c)
		}
		w.fake.Heal()
		first := w.checkout(checkoutRequest())
		if again := w.checkout(checkoutRequest()); again != first || w.fake.Count("checkout.session") != 1 {
			t.Errorf("%s: got %+v, want %+v; %d pages", fault, again, first, w.fake.Count("checkout.session"))
		}
	}
}

// TestReadsFailWithoutAResult: a payment whose parts cannot all be read is an error, never a
// payment without its refunds or disputes.
func TestReadsFailWithoutAResult(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	d := w.fake.Dispute(p.IntentReference, 100)
	for _, fault := range faults {
		if fault == stripetest.InternalErrorAfter || fault == stripetest.CutAfter {
			continue // the same as without an effect
		}
		for _, c := range []struct{ prefix, reference string }{
			{"/v1/checkout/sessions", p.Reference}, {"/v1/payment_intents", p.IntentReference},
			{"/v1/checkout/sessions", p.IntentReference}, {"/v1/refunds", p.Reference}, {"/v1/disputes", p.Reference},
			{"/v1/disputes/", d}, {"/v1/charges", w.fake.IDs("charge")[0]},
		} {
			w.fake.Inject(stripetest.Fault{Kind: fault, Method: "GET", Prefix: c.prefix})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if fault == stripetest.Slow {
				ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			}
			got, err := w.p.Payment(ctx, c.reference)
			cancel()
			if err == nil || got.TopUp != "" || errors.Is(err, payment.ErrUnknown) ||
				errors.Is(err, payment.ErrNotOurs) {
				t.Errorf("%s of %s: got %+v and the error %v", fault, c.prefix, got, err)
			}
			w.fake.Heal()
		}
	}
}

// TestAChargeDoesNotWaitADayForAnInternalError: Stripe keeps the error for a day.
func TestAChargeDoesNotWaitADayForAnInternalError(t *testing.T) {
	w := newWorld(t)
	r := chargeRequest(w.paid(stripetest.Visa))
	r.TopUp = id.NewMaker(w.clock, rand.Reader).New("top")
	w.clock.Advance(time.Hour) // the top-up is old, the first try is not
	w.fake.Inject(stripetest.Fault{Kind: stripetest.InternalError, Method: "POST", Prefix: "/v1/payment_intents"})
	if p, err := w.p.Charge(t.Context(), r); err == nil {
		t.Fatalf("%+v", p)
	}
	w.fake.Heal()
	w.clock.Advance(14 * time.Minute)
	if p, err := w.p.Charge(t.Context(), r); err == nil || w.fake.Count("payment_intent") != 1 {
		t.Fatalf("too soon to be certain: %+v", p)
	}
	w.clock.Advance(time.Minute)
	for range 2 {
		p, err := w.p.Charge(t.Context(), r)
		if err != nil || p.Status != payment.PaymentSucceeded || w.fake.Count("payment_intent") != 2 {
			t.Errorf("%+v %v, %d intents", p, err, w.fake.Count("payment_intent"))
		}
	}
}

func TestPaymentsOfTheOtherModeAreRefused(t *testing.T) {
	w := newWorld(t)
	w.fake.SetMode(true)
	c := w.checkout(checkoutRequest())
	if p, err := w.p.Payment(t.Context(), c.Reference); err == nil {
		t.Errorf("%+v", p)
	}
}

func TestNoCallInsideTransactions(t *testing.T) {
	w := newWorld(t)
	d := dbtest.SQLite(t, w.clock)
	err := d.InTx(t.Context(), func(ctx context.Context, _ *db.Tx) error {
		_, err := w.p.Checkout(ctx, checkoutRequest())
		return err
	})
	if err == nil || len(w.fake.Requests()) != 0 {
		t.Errorf("%v, %d requests", err, len(w.fake.Requests()))
	}
}
