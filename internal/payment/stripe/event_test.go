package stripe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	stripego "github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/stripe"
	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
)

func header(signature string) func(string) string {
	return func(name string) string {
		if name == "Stripe-Signature" {
			return signature
		}
		return ""
	}
}

// changed returns the event with some fields changed.
func changed(t *testing.T, body []byte, fields map[string]any) []byte {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		e[name] = value
	}
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWebhooks(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	var event stripetest.Event
	for _, e := range w.fake.Take() {
		if e.Type == "checkout.session.completed" {
			event = e
		}
	}
	const secret, newSecret = stripetest.Secret, "whsec_new"
	sign := func(body []byte, secret string, age time.Duration) string {
		return stripetest.Sign(body, secret, start.Add(-age))
	}
	signature := func(s string) string { return s[strings.Index(s, "v1="):] }
	good := sign(event.Body, secret, 0)
	rolling := w.processor(stripe.Config{WebhookSecrets: []string{newSecret, secret}})
	other := errors.New("any other error")
	train := stripego.APIVersion[strings.Index(stripego.APIVersion, "."):]
	for _, c := range []struct {
		name      string
		p         *stripe.Processor
		body      []byte
		change    map[string]any
		signature func(body []byte) string
		want      error
		says      string
	}{
		{name: "genuine"},
		{name: "four minutes old", signature: func(b []byte) string { return sign(b, secret, 4*time.Minute) }},
		{name: "six minutes old", signature: func(b []byte) string { return sign(b, secret, 6*time.Minute) },
			want: payment.ErrStale},
		{name: "from an hour ahead", signature: func(b []byte) string { return sign(b, secret, -time.Hour) },
			want: payment.ErrStale},
		{name: "a clock a minute ahead", signature: func(b []byte) string { return sign(b, secret, -time.Minute) }},
		{name: "no signature", signature: func([]byte) string { return "" }, want: payment.ErrForged},
		{name: "not a signature", signature: func([]byte) string { return "v1=00" }, want: payment.ErrForged},
		{name: "no digits", signature: func([]byte) string { return "t=now,v1=00" }, want: payment.ErrForged},
		{name: "another secret", signature: func(b []byte) string { return sign(b, "whsec_other", 0) },
			want: payment.ErrForged},
		{name: "an empty secret", signature: func(b []byte) string { return sign(b, "", 0) }, want: payment.ErrForged},
		{name: "of another scheme",
			signature: func(b []byte) string { return strings.Replace(sign(b, secret, 0), "v1=", "v0=", 1) },
			want:      payment.ErrForged},
		{name: "a space more", body: append(slices.Clone(event.Body), ' '),
			signature: func([]byte) string { return good }, want: payment.ErrForged},
		{name: "another body", body: bytes.Replace(event.Body, []byte("usd"), []byte("eur"), 1),
			signature: func([]byte) string { return good }, want: payment.ErrForged},
		{name: "another time than was signed",
			signature: func(b []byte) string { return "t=1,t=" + sign(b, secret, 0)[2:] }, want: payment.ErrForged},
		{name: "an old signature with a new time", signature: func(b []byte) string {
			return strings.Split(sign(b, secret, 0), ",")[0] + "," + signature(sign(b, secret, time.Hour))
		}, want: payment.ErrForged},
		{name: "the old of two secrets", p: rolling},
		{name: "the new of two secrets", p: rolling,
			signature: func(b []byte) string { return sign(b, newSecret, 0) }},
		{name: "both secrets", signature: func(b []byte) string {
			return sign(b, newSecret, 0) + "," + signature(sign(b, secret, 0))
		}},
		{name: "neither of two secrets", p: rolling,
			signature: func(b []byte) string { return sign(b, "whsec_other", 0) }, want: payment.ErrForged},
		{name: "a newer version of the train", change: map[string]any{"api_version": "2026-09-30" + train}},
		{name: "another train", change: map[string]any{"api_version": "2025-01-27.acacia"}, want: other,
			says: stripego.APIVersion},
		{name: "before there were trains", change: map[string]any{"api_version": "2020-08-27"}, want: other,
			says: "2020-08-27"},
		{name: "no version", change: map[string]any{"api_version": nil}, want: other, says: "API version"},
		{name: "thin", change: map[string]any{"object": "v2.core.event"}, want: other, says: "snapshot"},
		{name: "of live mode", change: map[string]any{"livemode": true}, want: other, says: "same mode"},
		{name: "of no interest", change: map[string]any{"type": "invoice.paid"}, want: payment.ErrIgnored},
		{name: "about nothing", change: map[string]any{"data": map[string]any{}}, want: payment.ErrIgnored},
		{name: "a charge without an intent", change: map[string]any{"type": "charge.refunded", "data": map[string]any{
			"object": map[string]any{"object": "charge", "id": "ch_1", "payment_intent": nil},
		}}, want: payment.ErrIgnored},
		{name: "not JSON", body: []byte("{"), want: other},
		{name: "empty", body: []byte{}, want: other},
	} {
		body := event.Body
		if c.body != nil {
			body = c.body
		}
		if c.change != nil {
			body = changed(t, body, c.change)
		}
		signature := sign(body, secret, 0)
		if c.signature != nil {
			signature = c.signature(body)
		}
		processor := w.p
		if c.p != nil {
			processor = c.p
		}
		got, err := processor.Event(header(signature), body)
		want := payment.Event{}
		if c.want == nil {
			want = payment.Event{ID: event.ID, Type: event.Type, Reference: p.Reference, CreatedAt: start}
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, want)
		}
		if c.want == other {
			if known(err) || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got the error %v, want one about %q", c.name, err, c.says)
			}
		} else if !errors.Is(err, c.want) {
			t.Errorf("%s: got the error %v, want %v", c.name, err, c.want)
		}
	}
}

func known(err error) bool {
	return errors.Is(err, payment.ErrForged) || errors.Is(err, payment.ErrStale) || errors.Is(err, payment.ErrIgnored)
}

// TestEveryEventLeadsToItsPayment sends what the fake of Stripe emits for a payment's whole life.
func TestEveryEventLeadsToItsPayment(t *testing.T) {
	w := newWorld(t)
	c := w.checkout(checkoutRequest())
	w.fake.Pay(c.Reference, stripetest.Declined)
	w.fake.Pay(c.Reference, stripetest.AuthenticateOnce)
	w.fake.Authenticate(c.Reference, true)
	p := w.payment(c.Reference)
	r, err := w.p.Refund(t.Context(), refundRequest(p, "ref_01", money.Dollars(1)))
	if err != nil {
		t.Fatal(err)
	}
	w.fake.EndRefund(r.Reference, false)
	w.fake.CloseDispute(w.fake.Dispute(p.IntentReference, 100), true)
	seen := map[string]bool{}
	var sent []payment.Event
	for _, e := range w.fake.Take() {
		got, err := w.p.Event(header(stripetest.Sign(e.Body, stripetest.Secret, start)), e.Body)
		if !slices.Contains(stripe.EventTypes, e.Type) {
			wantError(t, err, payment.ErrIgnored)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", e.Type, err)
			continue
		}
		seen[e.Type] = true
		sent = append(sent, got)
		if q := w.payment(got.Reference); q.Reference != p.Reference || q.TopUp != topUp {
			t.Errorf("%s leads to %+v", e.Type, q)
		}
	}
	if len(seen) < 9 {
		t.Errorf("only %d types: %v", len(seen), seen)
	}
	if listed := collect(t, w.p.Events(t.Context(), start)); !slices.Equal(listed, sent) {
		t.Errorf("listed %+v\nwant %+v", listed, sent)
	}
	if later := collect(t, w.p.Events(t.Context(), start.Add(time.Second))); len(later) != 0 {
		t.Errorf("later: %+v", later)
	}
}

// TestEventsOfSavedCardsNameTheCustomer, also the one of a card that no longer belongs to one.
func TestEventsOfSavedCardsNameTheCustomer(t *testing.T) {
	w := newWorld(t)
	p := w.paid(stripetest.Visa)
	w.fake.Take()
	w.clock.Advance(time.Second)
	w.fake.ReplaceCard(p.Method.ID, stripetest.DeclinedLater)
	w.fake.DetachCard(p.Method.ID)
	var sent []payment.Event
	for _, e := range w.fake.Take() {
		got, err := w.p.Event(header(stripetest.Sign(e.Body, stripetest.Secret, w.clock.Now())), e.Body)
		if err != nil || got.Customer != p.Customer || got.Reference != "" {
			t.Errorf("%s: got %+v and the error %v", e.Type, got, err)
		}
		sent = append(sent, got)
	}
	listed := collect(t, w.p.Events(t.Context(), w.clock.Now()))
	if len(sent) != 2 || !slices.Equal(listed, sent) {
		t.Errorf("listed %+v\nwant %+v", listed, sent)
	}
}

func TestEventsAreListedOverPages(t *testing.T) {
	w := newWorld(t)
	r := checkoutRequest()
	for r.Attempt = 1; r.Attempt <= 60; r.Attempt++ {
		w.fake.Pay(w.checkout(r).Reference, stripetest.Visa)
		w.clock.Advance(time.Second)
	}
	events := collect(t, w.p.Events(t.Context(), start))
	if len(events) != 120 { // the intent's and the page's
		t.Fatalf("%d events, want 120", len(events))
	}
	if !slices.IsSortedFunc(events, func(a, b payment.Event) int { return a.CreatedAt.Compare(b.CreatedAt) }) {
		t.Error("they are not listed oldest first")
	}
	w.fake.Inject(stripetest.Fault{Kind: stripetest.Unavailable, Prefix: "/v1/events"})
	for e, err := range w.p.Events(t.Context(), start) {
		if err == nil {
			t.Errorf("%+v without an error", e)
		}
	}
	if n := len(collect(t, w.p.Movements(t.Context(), start, start.Add(30*time.Second)))); n != 30 {
		t.Errorf("%d movements in 30 s, want 30", n)
	}
}

// TestEventTypesFitIntoOneList: Stripe takes at most 20 types.
func TestEventTypesFitIntoOneList(t *testing.T) {
	if n := len(stripe.EventTypes); n > 20 {
		t.Errorf("%d types", n)
	}
}

func FuzzEvent(f *testing.F) {
	p, err := stripe.New(stripe.Config{
		Key: stripetest.Key, WebhookSecrets: []string{stripetest.Secret}, Installation: installation,
		Now: func() time.Time { return start },
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"object":"event","id":"evt_1","type":"charge.refunded",`+
		`"data":{"object":{"payment_intent":{"id":"pi"}}}}`), "t=1,v1=00")
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		if _, err := p.Event(header(signature), body); !errors.Is(err, payment.ErrForged) {
			t.Errorf("a signature that was not made with the secret is accepted: %v", err)
		}
		e, err := p.Event(header(stripetest.Sign(body, stripetest.Secret, start)), body)
		if err == nil && (e.ID == "" || e.Reference+e.Customer == "" || e.Live ||
			!slices.Contains(stripe.EventTypes, e.Type)) {
			t.Errorf("%+v", e)
		}
		if errors.Is(err, payment.ErrForged) || errors.Is(err, payment.ErrStale) {
			t.Errorf("a signed event: %v", err)
		}
	})
}
