package stripe_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/stripe"
	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
)

func TestCheckoutIsPaidOnItsPage(t *testing.T) {
	w := newWorld(t)
	c := w.checkout(checkoutRequest())
	if c.URL == "" || c.Customer == "" || !c.ExpiresAt.Equal(start.Add(2*time.Hour)) {
		t.Fatalf("%+v", c)
	}
	want := payment.Payment{
		Reference: c.Reference, TopUp: topUp, Status: payment.PaymentPending, Currency: payment.Currency,
		Customer: c.Customer, CreatedAt: start,
	}
	if diff := cmp.Diff(want, w.payment(c.Reference)); diff != "" {
		t.Fatalf("before it is paid: %s", diff)
	}
	if got := w.fake.Pay(c.Reference, stripetest.Visa); got != "paid" {
		t.Fatal(got)
	}
	want.Status, want.Received, want.Fee = payment.PaymentSucceeded, money.Dollars(50), 1_750_000
	want.IntentReference = w.fake.IDs("payment_intent")[0]
	want.Method = &payment.Method{
		ID: w.fake.IDs("payment_method")[0], Type: "card", Brand: "visa", Last4: "4242", ExpiryMonth: 12,
		ExpiryYear: 2034, CreatedAt: start,
	}
	for _, reference := range []string{c.Reference, want.IntentReference, w.fake.IDs("charge")[0]} {
		if diff := cmp.Diff(want, w.payment(reference)); diff != "" {
			t.Errorf("paid, found by %s: %s", reference, diff)
		}
	}
}

func TestCardIsSavedOnlyIfWanted(t *testing.T) {
	w := newWorld(t)
	r := checkoutRequest()
	r.SaveMethod = false
	c := w.checkout(r)
	w.fake.Pay(c.Reference, stripetest.Visa)
	if p := w.payment(c.Reference); p.Status != payment.PaymentSucceeded || p.Method != nil {
		t.Errorf("%+v", p)
	}
	if methods, err := w.p.Methods(t.Context(), c.Customer); err != nil || len(methods) != 0 {
		t.Errorf("%+v %v", methods, err)
	}
}

func TestSameAttemptGivesTheSamePage(t *testing.T) {
	w := newWorld(t)
	first := w.checkout(checkoutRequest())
	again := w.checkout(checkoutRequest())
	known := checkoutRequest()
	known.Customer, known.ExpiresAt = first.Customer, start.Add(3*time.Hour) // other parameters, same key
	other := w.checkout(known)
	for _, c := range []payment.Checkout{again, other} {
		if c.Reference != first.Reference || c.URL != first.URL || c.Customer != first.Customer {
			t.Errorf("got %+v, want %+v", c, first)
		}
	}
	next := checkoutRequest()
	next.Attempt = 2
	if c := w.checkout(next); c.Reference == first.Reference || c.Customer != first.Customer {
		t.Errorf("the next attempt: %+v", c)
	}
	if n := w.fake.Count("customer"); n != 1 {
		t.Errorf("%d customers, want 1", n)
	}
}

func TestDeletedCustomerIsReplaced(t *testing.T) {
	w := newWorld(t)
	r := checkoutRequest()
	r.Customer = "cus_deleted"
	c := w.checkout(r)
	if c.Customer == "" || c.Customer == r.Customer {
		t.Fatalf("%+v", c)
	}
	if again := w.checkout(r); again != c {
		t.Errorf("got %+v, want %+v", again, c)
	}
}

func TestPageExpires(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name     string
		attempt  int64
		in, want time.Duration
	}{
		{"unset", 1, 0, 24*time.Hour - 2*time.Minute},
		{"too late", 2, 48 * time.Hour, 24*time.Hour - 2*time.Minute},
		{"too early", 3, time.Minute, 32 * time.Minute},
		{"as wanted", 4, time.Hour, time.Hour},
	} {
		r := checkoutRequest()
		r.Attempt, r.ExpiresAt = c.attempt, start.Add(c.in)
		if c.in == 0 {
			r.ExpiresAt = time.Time{}
		}
		if got := w.checkout(r).ExpiresAt; !got.Equal(start.Add(c.want)) {
			t.Errorf("%s: expires at %s, want in %s", c.name, got, c.want)
		}
	}
	last := w.fake.IDs("checkout.session")[3]
	w.clock.Advance(time.Hour)
	w.fake.Expire()
	if p := w.payment(last); p.Status != payment.PaymentExpired {
		t.Errorf("%+v", p)
	}
	if got := w.fake.Pay(last, stripetest.Visa); got != "closed" {
		t.Error(got)
	}
}

func TestDeclineAtThePageIsNotTheEnd(t *testing.T) {
	w := newWorld(t)
	c := w.checkout(checkoutRequest())
	if got := w.fake.Pay(c.Reference, stripetest.InsufficientFunds); got != "declined" {
		t.Fatal(got)
	}
	for _, reference := range []string{c.Reference, w.fake.IDs("payment_intent")[0]} {
		p := w.payment(reference)
		if p.Status != payment.PaymentPending || p.Failure == nil || p.Failure.Code != "insufficient_funds" ||
			p.Failure.Final || p.Reference != c.Reference {
			t.Errorf("after a decline: %+v %+v", p, p.Failure)
		}
	}
	intent := w.fake.IDs("payment_intent")[0]
	w.fake.Set(c.Reference, "payment_intent", nil)
	if p := w.payment(intent); p.Status != payment.PaymentPending || p.TopUp != topUp {
		t.Errorf("of an intent whose page is not found: %+v", p)
	}
	w.fake.Set(c.Reference, "payment_intent", intent)
	w.fake.Pay(c.Reference, stripetest.Visa)
	if p := w.payment(c.Reference); p.Status != payment.PaymentSucceeded || p.Failure != nil {
		t.Errorf("with another card: %+v", p)
	}
}

func TestThreeDSecureAtThePage(t *testing.T) {
	w := newWorld(t)
	c := w.checkout(checkoutRequest())
	if got := w.fake.Pay(c.Reference, stripetest.AuthenticateOnce); got != "authenticate" {
		t.Fatal(got)
	}
	if p := w.payment(c.Reference); p.Status != payment.PaymentPending || p.ActionURL == "" {
		t.Errorf("%+v", p)
	}
	w.fake.Authenticate(c.Reference, false)
	if p := w.payment(c.Reference); p.Status != payment.PaymentPending || p.Failure == nil {
		t.Errorf("%+v", p)
	}
	w.fake.Pay(c.Reference, stripetest.AuthenticateOnce)
	w.fake.Authenticate(c.Reference, true)
	if p := w.payment(c.Reference); p.Status != payment.PaymentSucceeded || p.ActionURL != "" {
		t.Errorf("%+v", p)
	}
}

func TestDelayedMethods(t *testing.T) {
	for _, ok := range []bool{true, false} {
		w := newWorld(t)
		c := w.checkout(checkoutRequest())
		if got := w.fake.Pay(c.Reference, stripetest.BankAccount); got != "processing" {
			t.Fatal(got)
		}
		if p := w.payment(c.Reference); p.Status != payment.PaymentProcessing || p.Received != 0 ||
			p.IntentReference != "" {
			t.Errorf("complete and not paid: %+v", p)
		}
		w.fake.Settle(c.Reference, ok)
		p := w.payment(c.Reference)
		if ok && (p.Status != payment.PaymentSucceeded || p.Received != money.Dollars(50)) {
			t.Errorf("settled: %+v", p)
		}
		if !ok && (p.Status != payment.PaymentFailed || p.Received != 0 || p.Failure == nil) {
			t.Errorf("not settled: %+v", p)
		}
	}
}

func TestChargeOfSavedCard(t *testing.T) {
	w := newWorld(t)
	r := chargeRequest(w.paid(stripetest.Visa))
	p, err := w.p.Charge(t.Context(), r)
	if err != nil || p.Status != payment.PaymentSucceeded || p.Received != money.Dollars(20) || p.TopUp != "top_02" ||
		p.IntentReference == "" || p.Reference != p.IntentReference {
		t.Fatalf("%+v %v", p, err)
	}
	again, err := w.p.Charge(t.Context(), r)
	if err != nil || again.IntentReference != p.IntentReference {
		t.Errorf("%+v %v", again, err)
	}
	w.clock.Advance(48 * time.Hour) // the key is forgotten
	again, err = w.p.Charge(t.Context(), r)
	if err != nil || again.IntentReference != p.IntentReference || w.fake.Count("payment_intent") != 2 {
		t.Errorf("two days later: %+v %v, %d intents", again, err, w.fake.Count("payment_intent"))
	}
	r.FindOnly = true
	again, err = w.p.Charge(t.Context(), r)
	if err != nil || again.IntentReference != p.IntentReference {
		t.Errorf("looked for: %+v %v", again, err)
	}
	r.Attempt = 2
	if got, err := w.p.Charge(t.Context(), r); !errors.Is(err, payment.ErrUnknown) {
		t.Errorf("nothing was charged, and %+v %v was found", got, err)
	}
	r.FindOnly = false
	next, err := w.p.Charge(t.Context(), r)
	if err != nil || next.IntentReference == p.IntentReference {
		t.Errorf("the next attempt: %+v %v", next, err)
	}
}

func TestDeclineOfSavedCardIsAResult(t *testing.T) {
	for _, c := range []struct {
		name   string
		card   stripetest.Card
		status payment.PaymentStatus
		code   string
		final  bool
	}{
		{"declined", stripetest.DeclinedLater, payment.PaymentFailed, "generic_decline", false},
		{"insufficient funds", stripetest.Card{Number: "1111", DeclineLater: "insufficient_funds"},
			payment.PaymentFailed, "insufficient_funds", false},
		{"lost, which the customer is not told", stripetest.LostLater, payment.PaymentFailed, "card_declined", true},
		{"stolen", stripetest.Card{Number: "1111", DeclineLater: "stolen_card"}, payment.PaymentFailed,
			"card_declined", true},
		{"fraudulent", stripetest.Card{Number: "1111", DeclineLater: "fraudulent"}, payment.PaymentFailed,
			"card_declined", true},
		{"expired", stripetest.Card{Number: "1111", DeclineLater: "expired_card"}, payment.PaymentFailed,
			"expired_card", true},
		{"unknown", stripetest.Card{Number: "1111", DeclineLater: "code_of_next_year"}, payment.PaymentFailed,
			"code_of_next_year", false},
		{"authentication", stripetest.AuthenticateAlways, payment.PaymentActionRequired,
			"authentication_required", false},
	} {
		w := newWorld(t)
		r := chargeRequest(w.paid(c.card))
		for range 2 { // the repetition is the same result
			p, err := w.p.Charge(t.Context(), r)
			if err != nil || p.Status != c.status || p.Failure == nil || p.Failure.Code != c.code ||
				p.Failure.Final != c.final || p.Failure.Message == "" || p.Received != 0 || p.IntentReference != "" {
				t.Errorf("%s: %+v %+v %v", c.name, p, p.Failure, err)
			}
			if p.Failure != nil && (strings.Contains(p.Failure.Message, "lost") ||
				strings.Contains(p.Failure.Message, "fraud")) {
				t.Errorf("%s: the customer is told %q", c.name, p.Failure.Message)
			}
		}
		if n := w.fake.Count("payment_intent"); n != 2 {
			t.Errorf("%s: %d intents, want the top-up's and one", c.name, n)
		}
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	w.fake.ReplaceCard(p.Method.ID, stripetest.DeclinedLater)
	methods, err := w.p.Methods(t.Context(), p.Customer)
	if err != nil || len(methods) != 1 || methods[0].ID != p.Method.ID || methods[0].Last4 != "0341" ||
		methods[0].ExpiryYear != 2039 {
		t.Fatalf("%+v %v", methods, err)
	}
	wantError(t, w.p.Detach(t.Context(), "cus_other", p.Method.ID), payment.ErrUnknown)
	for range 2 {
		if err := w.p.Detach(t.Context(), p.Customer, p.Method.ID); err != nil {
			t.Error(err)
		}
	}
	if err := w.p.Detach(t.Context(), p.Customer, "pm_unknown"); err != nil {
		t.Error(err)
	}
	if methods, err := w.p.Methods(t.Context(), p.Customer); err != nil || len(methods) != 0 {
		t.Errorf("%+v %v", methods, err)
	}
	got, err := w.p.Charge(t.Context(), chargeRequest(p))
	if err != nil || got.Status != payment.PaymentFailed || got.Failure == nil || !got.Failure.Final {
		t.Errorf("a charge of the removed card: %+v %v", got, err)
	}
	if methods, err := w.p.Methods(t.Context(), ""); err != nil || methods != nil {
		t.Errorf("%+v %v", methods, err)
	}
}

func TestRefunds(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	part := refundRequest(p, "ref_01", money.Dollars(10))
	first, err := w.p.Refund(t.Context(), part)
	if err != nil || first.Status != payment.RefundSucceeded || first.Amount != money.Dollars(10) ||
		first.Refund != "ref_01" {
		t.Fatalf("%+v %v", first, err)
	}
	w.clock.Advance(48 * time.Hour)
	if again, err := w.p.Refund(t.Context(), part); err != nil || again != first || w.fake.Count("refund") != 1 {
		t.Errorf("repeated two days later: %+v %v", again, err)
	}
	tooMuch, err := w.p.Refund(t.Context(), refundRequest(p, "ref_02", money.Dollars(41)))
	if err != nil || tooMuch.Status != payment.RefundFailed || tooMuch.Message == "" || tooMuch.Refund != "ref_02" {
		t.Errorf("more than there is: %+v %v", tooMuch, err)
	}
	w.fake.Refund(p.IntentReference, 500)
	want := p
	want.Refunded = money.Dollars(15)
	want.Refunds = []payment.Refund{
		{Reference: w.fake.IDs("refund")[1], Amount: money.Dollars(5), Status: payment.RefundSucceeded}, first,
	}
	if diff := cmp.Diff(want, w.payment(p.Reference)); diff != "" {
		t.Errorf("with one of the operator's: %s", diff)
	}
	w.fake.EndRefund(first.Reference, false)
	want.Refunded = money.Dollars(5)
	want.Refunds[1].Status, want.Refunds[1].Message = payment.RefundFailed, "lost_or_stolen_card"
	if diff := cmp.Diff(want, w.payment(first.Reference)); diff != "" {
		t.Errorf("after one failed: %s", diff)
	}
}

// The payments of another account or mode are not known after the key was replaced. The refund did
// not fail then: it is made once the right key is back.
func TestRefundOfAnUnknownPayment(t *testing.T) {
	w := newWorld(t)
	of := refundRequest(w.paid(stripetest.Visa), "ref_01", money.Dollars(10))
	of.IntentReference = "pi_of_another_account"
	if f, err := w.p.Refund(t.Context(), of); !errors.Is(err, payment.ErrUnknown) {
		t.Errorf("%+v %v", f, err)
	}
}

func TestPendingRefund(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.PendingRefund)
	r, err := w.p.Refund(t.Context(), refundRequest(p, "ref_01", money.Dollars(10)))
	if err != nil || r.Status != payment.RefundPending {
		t.Fatalf("%+v %v", r, err)
	}
	w.fake.EndRefund(r.Reference, true)
	if again, err := w.p.Refund(t.Context(), refundRequest(p, "ref_01", money.Dollars(10))); err != nil ||
		again.Status != payment.RefundSucceeded {
		t.Errorf("%+v %v", again, err)
	}
}

func TestDisputes(t *testing.T) {
	for _, won := range []bool{true, false} {
		w := newWorld(t)
		p := w.paid(stripetest.Visa)
		d := w.fake.Dispute(p.IntentReference, 3000)
		p = w.payment(d)
		if len(p.Disputes) != 1 || p.Disputes[0].Status != payment.DisputeOpen ||
			p.Disputes[0].Amount != money.Dollars(30) || p.Disputes[0].Reason != "fraudulent" ||
			!p.Disputes[0].DueAt.Equal(start.Add(7*24*time.Hour)) || p.Received != money.Dollars(50) {
			t.Fatalf("%+v", p)
		}
		if r, err := w.p.Refund(t.Context(), refundRequest(p, "ref_01", money.Dollars(1))); err != nil ||
			r.Status != payment.RefundFailed {
			t.Errorf("a refund of disputed money: %+v %v", r, err)
		}
		w.fake.CloseDispute(d, won)
		want := map[bool]payment.DisputeStatus{true: payment.DisputeWon, false: payment.DisputeLost}[won]
		if p := w.payment(p.Reference); p.Disputes[0].Status != want {
			t.Errorf("%+v, want %s", p.Disputes, want)
		}
	}
}

func TestUnusualDisputes(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	d := w.fake.Dispute(p.IntentReference, 3000)
	for status, want := range map[string]payment.DisputeStatus{
		"warning_needs_response": payment.DisputeOpen, "warning_under_review": payment.DisputeOpen,
		"under_review": payment.DisputeOpen, "warning_closed": payment.DisputeWon, "prevented": payment.DisputeWon,
		"status_of_next_year": payment.DisputeOpen,
	} {
		w.fake.Set(d, "status", status)
		if got := w.payment(p.Reference).Disputes[0].Status; got != want {
			t.Errorf("%s: got %s, want %s", status, got, want)
		}
	}
}

func TestMovements(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	if _, err := w.p.Refund(t.Context(), refundRequest(p, "ref_01", money.Dollars(10))); err != nil {
		t.Fatal(err)
	}
	w.fake.Refund(p.IntentReference, 100)
	w.fake.CloseDispute(w.fake.Dispute(p.IntentReference, 3000), true)
	got := collect(t, w.p.Movements(t.Context(), start, start.Add(time.Second)))
	want := []payment.Movement{
		{Kind: payment.MovementDispute, Amount: money.Dollars(30)},
		{Kind: payment.MovementDispute, Amount: -money.Dollars(30), Fee: money.Dollars(15)},
		{Kind: payment.MovementRefund, Amount: -money.Dollars(1)},
		{Kind: payment.MovementRefund, Amount: -money.Dollars(10)},
		{Kind: payment.MovementPayment, Amount: money.Dollars(50), Fee: 1_750_000},
	}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, m := range got {
		if m.Kind != want[i].Kind || m.Amount != want[i].Amount || m.Fee != want[i].Fee ||
			m.IntentReference != p.IntentReference || m.Currency != payment.Currency || m.ID == "" {
			t.Errorf("%d: got %+v, want %+v", i, m, want[i])
		}
	}
	other := w.processor(stripe.Config{Installation: "ins_other"})
	for _, m := range collect(t, other.Movements(t.Context(), start, start.Add(time.Second))) {
		if m.Kind != payment.MovementOther || m.IntentReference != "" {
			t.Errorf("of another installation: %+v", m)
		}
	}
	if got := collect(t, w.p.Movements(t.Context(), start.Add(time.Second), start.Add(time.Hour))); len(got) != 0 {
		t.Errorf("later: %+v", got)
	}
}

func TestObjectsOfOthers(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	d := w.fake.Dispute(p.IntentReference, 100)
	other := w.processor(stripe.Config{Installation: "ins_other"})
	for _, reference := range []string{p.Reference, p.IntentReference, d, w.fake.IDs("charge")[0]} {
		_, err := other.Payment(t.Context(), reference)
		wantError(t, err, payment.ErrNotOurs)
	}
	for _, reference := range []string{"", "cs_unknown", "pi_unknown", "ch_unknown", "re_unknown", "du_unknown",
		"cus_unknown", "../v1/customers", "pi_../../v1/balance"} {
		_, err := w.p.Payment(t.Context(), reference)
		wantError(t, err, payment.ErrUnknown)
	}
}

func TestAmountsAreWholeCentsOfDollars(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		amount   money.Micros
		currency string
	}{
		{0, "usd"}, {-money.Dollars(1), "usd"}, {money.Dollars(1) + 1, "usd"}, {money.Dollars(1) - 5_000, "usd"},
		{money.Dollars(1_000_000), "usd"}, {money.Dollars(50), "eur"}, {money.Dollars(50), "jpy"},
		{money.Dollars(50), ""},
	} {
		r := checkoutRequest()
		r.Amount, r.Currency = c.amount, c.currency
		if got, err := w.p.Checkout(t.Context(), r); err == nil {
			t.Errorf("a page of %d %s: %+v", c.amount, c.currency, got)
		}
		if got, err := w.p.Charge(t.Context(), payment.ChargeRequest{
			TopUp: topUp, Account: account, Attempt: 1, Customer: "cus_1", Method: "pm_1", Amount: c.amount,
			Currency: c.currency,
		}); err == nil {
			t.Errorf("a charge of %d %s: %+v", c.amount, c.currency, got)
		}
		if got, err := w.p.Refund(t.Context(), payment.RefundRequest{
			Refund: "ref_1", TopUp: topUp, IntentReference: "pi_1", Amount: c.amount, Currency: c.currency,
		}); err == nil {
			t.Errorf("a refund of %d %s: %+v", c.amount, c.currency, got)
		}
	}
	if n := len(w.fake.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := stripe.Config{Key: "rk_live_1", WebhookSecrets: []string{"whsec_1"}, Installation: "ins_1"}
	p, err := stripe.New(good)
	if err != nil || !p.Live() {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *stripe.Config){
		"no key":            func(c *stripe.Config) { c.Key = "" },
		"publishable key":   func(c *stripe.Config) { c.Key = "pk_live_1" },
		"no mode":           func(c *stripe.Config) { c.Key = "sk_1" },
		"nothing after it":  func(c *stripe.Config) { c.Key = "sk_test_" },
		"line break":        func(c *stripe.Config) { c.Key = "sk_test_1\n" },
		"no secret":         func(c *stripe.Config) { c.WebhookSecrets = nil },
		"three secrets":     func(c *stripe.Config) { c.WebhookSecrets = []string{"whsec_1", "whsec_2", "whsec_3"} },
		"another secret":    func(c *stripe.Config) { c.WebhookSecrets = []string{"rk_live_1"} },
		"an empty secret":   func(c *stripe.Config) { c.WebhookSecrets = []string{"whsec_1", ""} },
		"no installation":   func(c *stripe.Config) { c.Installation = "" },
		"only a whsec_":     func(c *stripe.Config) { c.WebhookSecrets = []string{"whsec_"} },
		"key of a customer": func(c *stripe.Config) { c.Key = "cus_1" },
	} {
		c := good
		change(&c)
		if _, err := stripe.New(c); err == nil {
			t.Errorf("%s: it is accepted", name)
		} else if c.Key != "" && len(c.Key) > 9 && strings.Contains(err.Error(), c.Key) {
			t.Errorf("%s: the error tells the key: %v", name, err)
		}
	}
}

func TestNoTelemetryAndNoLibraryKeys(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	if _, err := w.p.Charge(t.Context(), chargeRequest(p)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.p.Refund(t.Context(), refundRequest(p, "ref_01", money.Dollars(1))); err != nil {
		t.Fatal(err)
	}
	if err := w.p.Detach(t.Context(), p.Customer, p.Method.ID); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.fake.Requests() {
		if r.Header.Get("X-Stripe-Client-Telemetry") != "" {
			t.Errorf("%s %s sends telemetry", r.Method, r.Path)
		}
		if r.Method != "GET" && !strings.HasPrefix(r.IdempotencyKey, "billet-") {
			t.Errorf("%s %s has the key %q", r.Method, r.Path, r.IdempotencyKey)
		}
	}
}

func TestCheckNamesWhatAKeyMayNotRead(t *testing.T) {
	w := newWorld(t)
	if err := w.p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.fake.Inject(stripetest.Fault{Kind: stripetest.Forbidden, Prefix: "/v1/disputes"})
	if err := w.p.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "Disputes") ||
		strings.Contains(err.Error(), "Refunds") {
		t.Error(err)
	}
	w.fake.Heal()
	wrong := w.processor(stripe.Config{Key: "rk_test_wrong"})
	if err := wrong.Check(t.Context()); err == nil || strings.Contains(err.Error(), "rk_test_wrong") {
		t.Error(err)
	}
}
