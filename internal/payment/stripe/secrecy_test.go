package stripe_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	stripego "github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/payment/stripe"
	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
)

// TestErrorsDoNotRepeatWhatStripeAnswered: errors are logged and stored with jobs.
func TestErrorsDoNotRepeatWhatStripeAnswered(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Request-Id", "req_1")
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(`{"object":"list","data":[],"has_more":false}`))
			return
		}
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"error":{"type":"card_error","code":"card_declined","decline_code":"try_later",
			"message":"Mallory's card","payment_intent":{"id":"pi_1","client_secret":"pi_1_secret_2"}}}`))
	}))
	defer server.Close()
	w := newWorld(t)
	p, err := stripe.New(stripe.Config{
		Key: "rk_test_1", WebhookSecrets: []string{"whsec_1"}, Installation: "ins_1", BaseURL: server.URL,
		Now: w.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := chargeRequest(w.paid(stripetest.Visa))
	_, err = p.Charge(t.Context(), r)
	const want = "stripe: create a PaymentIntent: HTTP 409 card_declined, decline code try_later (request req_1)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if e, is := errors.AsType[*stripego.Error](err); is || strings.Contains(err.Error(), "secret") {
		t.Errorf("the whole answer is in the error: %v", e)
	}
}
