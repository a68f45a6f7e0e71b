package stripe_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	stripego "github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/payment/stripe"
	"github.com/billetcloud/billet/test/stripemock"
)

// TestTheDocumentedEndpointIsTheOneThatIsRead: docs/stripe.md has a command that creates the
// webhook endpoint, with the version and the events that this release reads, and Stripe takes it.
func TestTheDocumentedEndpointIsTheOneThatIsRead(t *testing.T) {
	page, err := os.ReadFile("../../../docs/stripe.md")
	if err != nil {
		t.Fatal(err)
	}
	_, command, found := strings.Cut(string(page), "curl https://api.stripe.com/v1/webhook_endpoints")
	if !found {
		t.Fatal("docs/stripe.md has no such command")
	}
	command, _, _ = strings.Cut(command, "```")
	form := url.Values{}
	for _, m := range regexp.MustCompile(`-d "?([a-z_]+(?:\[\])?)=([^"\s]+)`).FindAllStringSubmatch(command, -1) {
		form.Add(m[1], m[2])
	}
	if got := form.Get("api_version"); got != stripego.APIVersion {
		t.Errorf("docs/stripe.md has the API version %q, the library %q", got, stripego.APIVersion)
	}
	if got := form["enabled_events[]"]; !slices.Equal(got, stripe.EventTypes) {
		t.Errorf("docs/stripe.md has the events %q, want %q", got, stripe.EventTypes)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, stripemock.Start(t)+"/v1/webhook_endpoints",
		strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer sk_test_123")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("Stripe's double answers %d, %v", resp.StatusCode, err)
	}
}
