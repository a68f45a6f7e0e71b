package stripe_test

import (
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/stripe"
	"github.com/billetcloud/billet/test/stripemock"
)

// TestRequestsAreValid sends each request to Stripe's own double, which refuses parameters that are
// not in Stripe's OpenAPI document. Its answers have no metadata, so that everything is another's.
func TestRequestsAreValid(t *testing.T) {
	p, err := stripe.New(stripe.Config{
		Key: "sk_test_123", WebhookSecrets: []string{"whsec_1"}, Installation: installation,
		BaseURL: stripemock.Start(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, save := range []bool{true, false} {
		r := checkoutRequest()
		r.SaveMethod, r.ExpiresAt = save, time.Now().Add(time.Hour)
		if c, err := p.Checkout(t.Context(), r); err != nil || c.Reference == "" || c.Customer == "" {
			t.Errorf("checkout: %+v %v", c, err)
		}
	}
	for _, reference := range []string{"cs_test_1", "pi_1", "ch_1", "re_1", "du_1"} {
		if _, err := p.Payment(t.Context(), reference); err == nil || !isNotOurs(err) {
			t.Errorf("payment %s: %v", reference, err)
		}
	}
	chargesAreValid(t, p)
	for _, err := range p.Events(t.Context(), time.Now().Add(-time.Hour)) {
		if err != nil {
			t.Errorf("events: %v", err)
		}
	}
	for _, err := range p.Movements(t.Context(), time.Now().Add(-time.Hour), time.Now()) {
		if err != nil {
			t.Errorf("movements: %v", err)
		}
	}
	if err := p.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func chargesAreValid(t *testing.T, p *stripe.Processor) {
	// The intent is created, and then not recognized.
	if _, err := p.Charge(t.Context(), payment.ChargeRequest{
		TopUp: topUp, Account: account, Attempt: 1, Customer: "cus_1", Method: "pm_card_visa",
		Amount: money.Dollars(20), Currency: payment.Currency,
	}); err == nil || !isNotOurs(err) {
		t.Errorf("charge: %v", err)
	}
	if r, err := p.Refund(t.Context(), payment.RefundRequest{
		Refund: "ref_1", TopUp: topUp, IntentReference: "pi_1", Amount: money.Dollars(1), Currency: payment.Currency,
	}); err != nil || r.Status != payment.RefundSucceeded || r.Amount != money.Dollars(1) {
		t.Errorf("refund: %+v %v", r, err)
	}
	if m, err := p.Methods(t.Context(), "cus_1"); err != nil || len(m) == 0 || m[0].Last4 == "" {
		t.Errorf("methods: %+v %v", m, err)
	}
	if err := p.Detach(t.Context(), "cus_1", "pm_1"); err != nil {
		t.Errorf("detach: %v", err)
	}
}

func isNotOurs(err error) bool { return strings.Contains(err.Error(), payment.ErrNotOurs.Error()) }
