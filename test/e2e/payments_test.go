package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
	"github.com/billetcloud/billet/test/servertest"
)

// payer is a tenant who pays with the real client and a browser.
type payer struct {
	t                      *testing.T
	s                      *servertest.Server
	billet                 string
	account, key, operator string
	browser                *http.Client
}

// newPayer starts a server with further arguments, and opens an account without money.
func newPayer(t *testing.T, args ...string) *payer {
	t.Helper()
	p := &payer{t: t, billet: servertest.Client(t)}
	p.s = servertest.Start(t, append(args, "--sim", "--demo", "--sim-machines", "banner")...)
	p.account, _ = p.s.Key("0")
	limits := []string{"--read-limit", "100000", "--write-limit", "100000"}
	p.key = p.s.KeyOf(p.account, append(limits, "--scopes",
		"wallet:read,wallet:write,offers:read,deployments:read,deployments:write,ssh-keys:write,ssh-keys:read")...)
	operatorAccount, _ := p.s.Key("0")
	p.operator = p.s.KeyOf(operatorAccount, append(limits, "--scopes", operatorScopes)...)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.browser = &http.Client{Jar: jar, Timeout: time.Minute}
	return p
}

// command returns a call of billet.
func (p *payer) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.t.Context(), p.billet, args...)
	cmd.Env = append(os.Environ(), "BILLET_URL="+p.s.URL, "BILLET_API_KEY="+p.key, "HOME="+p.t.TempDir(), "TZ=UTC",
		"NO_PROXY=127.0.0.1")
	return cmd
}

// run runs billet and returns what it prints.
func (p *payer) run(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("billet %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// wants checks that billet prints a text.
func (p *payer) wants(text string, args ...string) {
	p.t.Helper()
	if out := p.run(args...); !strings.Contains(out, text) {
		p.t.Errorf("billet %s has no %q:\n%s", strings.Join(args, " "), text, out)
	}
}

// wantBalance checks the balance, such as "100".
func (p *payer) wantBalance(want string) {
	p.t.Helper()
	var w struct{ Balance, Available json.Number }
	if err := json.Unmarshal([]byte(p.run("wallet", "-o", "json")), &w); err != nil || w.Balance.String() != want {
		p.t.Errorf("the balance is %s, want %s; %v", w.Balance, want, err)
	}
}

// waiting is a call of `billet top-up` that waits for its payment.
type waiting struct {
	page string
	out  strings.Builder
	ends func() error
}

var pageLine = regexp.MustCompile(`^\s+(http://\S+)$`)

// topUp calls `billet top-up`, and returns once it has told the page.
func (p *payer) topUp(args ...string) *waiting {
	p.t.Helper()
	w, cmd := &waiting{}, p.command(append([]string{"top-up"}, args...)...)
	cmd.Stdout = &w.out
	told, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewReader(told)
	for w.page == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			p.t.Fatalf("billet told no page: %v %v", err, cmd.Wait())
		}
		if m := pageLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			w.page = m[1]
		}
	}
	w.ends = func() error {
		_, readErr := io.Copy(io.Discard, lines)
		return errors.Join(readErr, cmd.Wait())
	}
	return w
}

// browse opens a page and submits its form with those values, as a browser does.
func (p *payer) browse(page string, values url.Values) (status int, text string) {
	p.t.Helper()
	get, err := p.browser.Get(page)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(get.Body)
	_ = get.Body.Close()
	if err != nil || get.StatusCode != http.StatusOK || !strings.Contains(string(body), `<form method="post">`) {
		p.t.Fatalf("%s: %d %v\n%s", page, get.StatusCode, err, body)
	}
	u, err := url.Parse(page)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, page, strings.NewReader(values.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", u.Scheme+"://"+u.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := p.browser.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	after, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.StatusCode, string(after)
}

type topUpAnswer struct {
	ID, Status         string
	Automatic          bool
	Received, Refunded json.Number
	CheckoutURL        string
}

// newest returns the newest top-up.
func (p *payer) newest() (out topUpAnswer) {
	p.t.Helper()
	var all []topUpAnswer
	a := p.s.Call(p.key, http.MethodGet, "/wallet/top-ups?limit=1", nil)
	if err := json.Unmarshal(a.Body, &struct{ Data any }{&all}); err != nil || len(all) != 1 {
		p.t.Fatalf("%d %s %v", a.Status, a.Body, err)
	}
	return all[0]
}

// refund refunds a part of a top-up as the operator.
func (p *payer) refund(topUp string, usd int) {
	p.t.Helper()
	a := p.s.Call(p.operator, http.MethodPost, "=/api/v1/operator/top-ups/"+topUp+"/refund",
		map[string]any{"amount": usd, "reason": "You asked for it."})
	if a.Status != http.StatusCreated {
		p.t.Fatalf("refund: %d %s", a.Status, a.Body)
	}
	p.s.Advance("1s")
}

// verified checks the ledger, which the operator's command proves from its first line.
func (p *payer) verified() {
	p.t.Helper()
	p.s.Run("ledger", "verify")
}

const invoiceSettings = `{"chargesTax": false, "exemptText": "Not subject to tax.", "firstMonth": "2020-01",
	"seller": {"name": "Example GmbH", "addressLine1": "1 Example Street", "postalCode": "10115", "city": "Berlin",
	"country": "DE", "vatId": "DE123456789"}}`

// A tenant pays with the command line and a browser: a card that is declined, one that works, the
// balance, the statement, a refund, automatic top-ups, and the preview of the month's invoice.
func TestPayments(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		p := newPayer(t, args...)
		w := p.topUp("100", "--save-payment-method")
		if !strings.HasPrefix(w.page, p.s.URL+"/pay/demo/") {
			t.Fatalf("the page is %s", w.page)
		}
		if status, text := p.browse(w.page, url.Values{"action": {"decline"}}); status != 200 ||
			!strings.Contains(text, `<form method="post">`) {
			t.Errorf("after a declined card: %d\n%s", status, text)
		}
		p.wantBalance("0")
		if status, text := p.browse(w.page, url.Values{"action": {"pay"}, "card": {"4242"}}); status != 200 ||
			!strings.Contains(text, "The payment was received.") {
			t.Errorf("after the payment: %d\n%s", status, text)
		}
		if err := w.ends(); err != nil || w.out.String() != "Received $100.00.\n" {
			t.Errorf("billet top-up: %v %q", err, w.out.String())
		}
		p.wantBalance("100")
		p.wants("$100.00", "wallet", "statement", "--type", "top_up")
		p.wants("4242", "payment-methods")
		paid := p.newest()

		// One that is canceled brings nothing.
		failing := p.topUp("50")
		p.browse(failing.page, url.Values{"action": {"cancel"}})
		exit, is := errors.AsType[*exec.ExitError](failing.ends())
		if !is || exit.ExitCode() != 9 {
			t.Errorf("billet top-up of a canceled payment: %v", exit)
		}
		p.wantBalance("100")

		p.refund(paid.ID, 30)
		p.wantBalance("70")
		if got := p.get(paid.ID); got.Refunded.String() != "30" || got.Status != "succeeded" {
			t.Errorf("%+v", got)
		}

		// An automatic top-up when the balance falls.
		p.run("auto-top-up", "set", "--threshold", "60", "--amount", "25", "--monthly-limit", "50")
		p.s.Advance("1m")
		p.wantBalance("70")
		p.s.Run("wallet", "credit", "--account", p.account, "--amount=-20", "--reference", "spent")
		p.s.Until("the automatic top-up", func() bool {
			p.s.Advance("1m")
			return p.newest().Automatic && p.newest().Status == "succeeded"
		})
		p.wantBalance("75")
		p.s.Run("wallet", "credit", "--account", p.account, "--amount=-60", "--reference", "spent again")
		p.s.Advance("1h")
		p.wantBalance("40") // no third one: the month's limit
		p.verified()

		file := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(file, []byte(invoiceSettings), 0o600); err != nil {
			t.Fatal(err)
		}
		p.s.Run("invoices", "settings", "--file", file)
		invoice := p.run("invoices", "show", "preview") // of this month, as it is issued after its end
		if !regexp.MustCompile(`(?m)^Payments\S* .*\$150\.00$`).MatchString(invoice) {
			t.Errorf("the invoice does not have the payments:\n%s", invoice)
		}
	})
}

// get returns a top-up.
func (p *payer) get(topUp string) (out topUpAnswer) {
	p.t.Helper()
	a := p.s.Call(p.key, http.MethodGet, "/wallet/top-ups/"+topUp, nil)
	if err := json.Unmarshal(a.Body, &struct{ Data any }{&out}); err != nil {
		p.t.Fatalf("%d %s %v", a.Status, a.Body, err)
	}
	return out
}

// stripeShop is a payer at a server that takes payments with a fake of Stripe.
func stripeShop(t *testing.T, args ...string) (*payer, *stripetest.Server) {
	t.Helper()
	fake := stripetest.Start(t, nil)
	p := newPayer(t, append(args, "--stripe-url", fake.URL)...)
	p.s.RunWith(stripetest.Key, "settings", "set", "--sim", "--stripe-key-stdin")
	p.s.RunWith(stripetest.Secret, "settings", "set", "--sim", "--stripe-webhook-secret-stdin")
	p.s.Run("settings", "set", "--sim", "payments.processor=stripe")
	return p, fake
}

// The same with Stripe: only events that it has just signed credit anything, and each payment once.
func TestPaymentsByStripe(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		p, fake := stripeShop(t, args...)
		hook := p.s.URL + "/webhooks/payments/stripe"
		w := p.topUp("100", "--save-payment-method")
		if !strings.HasPrefix(w.page, fake.URL) {
			t.Fatalf("the page is %s", w.page)
		}
		if status, _ := p.browse(w.page, url.Values{"card": {stripetest.Declined.Number}}); status != 402 {
			t.Errorf("a declined card: %d", status)
		}
		p.wantBalance("0")
		// After the payment the page leads to the wallet, which belongs to the dashboard.
		if status, _ := p.browse(w.page, url.Values{"card": {stripetest.Visa.Number}}); status != 200 {
			t.Errorf("a card that works: %d", status)
		}
		events := fake.Take()
		i := slices.IndexFunc(events, func(e stripetest.Event) bool { return e.Type == "payment_intent.succeeded" })
		paid := events[i]
		for name, forged := range map[string]struct {
			body      []byte
			signature string
		}{
			"unsigned":     {paid.Body, ""},
			"other secret": {paid.Body, stripetest.Sign(paid.Body, "whsec_other", time.Now())},
			"stale":        {paid.Body, stripetest.Sign(paid.Body, stripetest.Secret, time.Now().Add(-time.Hour))},
			"of tomorrow":  {paid.Body, stripetest.Sign(paid.Body, stripetest.Secret, time.Now().Add(24*time.Hour))},
			"other body": {
				[]byte(strings.Replace(string(paid.Body), "10000", "99900", 1)),
				stripetest.Sign(paid.Body, stripetest.Secret, time.Now()),
			},
		} {
			if status, err := stripetest.Post(hook, forged.body, forged.signature); err != nil || status != 400 {
				t.Errorf("%s: %d %v", name, status, err)
			}
		}
		p.wantBalance("0")
		// What an event says of amounts is not believed: the payment is asked for at Stripe.
		more := []byte(strings.ReplaceAll(string(paid.Body), "10000", "99900"))
		signed := stripetest.Sign(more, stripetest.Secret, time.Now())
		for range 3 {
			if status, err := stripetest.Post(hook, more, signed); err != nil || status >= 300 {
				t.Errorf("%d %v", status, err)
			}
		}
		if err := w.ends(); err != nil || w.out.String() != "Received $100.00.\n" {
			t.Errorf("billet top-up: %v %q", err, w.out.String())
		}
		for range 2 {
			for _, e := range slices.Backward(events) {
				if status, err := fake.Send(hook, e); err != nil || status >= 300 {
					t.Errorf("%s: %d %v", e.Type, status, err)
				}
			}
		}
		p.wantBalance("100")
		topUp := p.newest()
		p.refund(topUp.ID, 40)
		p.wantBalance("60")
		if refunds := fake.IDs("refund"); len(refunds) != 1 || fake.Field(refunds[0], "amount") != "4000" {
			t.Errorf("refunds at Stripe: %v", refunds)
		}
		p.run("auto-top-up", "set", "--threshold", "70", "--amount", "25", "--monthly-limit", "50")
		p.s.Until("the automatic top-up", func() bool {
			p.s.Advance("1s")
			return p.newest().Automatic && p.newest().Status == "succeeded"
		})
		p.wantBalance("85")
		fake.Take() // all of them are lost
		p.s.Advance("3m")
		p.wantBalance("85")
		if n := fake.Count("charge"); n != 2 {
			t.Errorf("%d charges, want 2", n)
		}
		p.verified()
	})
}

// A server that serves real machines never asks a fake.
func TestFakeOfStripeNeedsSimulator(t *testing.T) {
	s := servertest.Prepare(t, t.TempDir())
	out, err := s.TryRun("serve", "--listen", "127.0.0.1:0", "--stripe-url", "http://127.0.0.1:1")
	if err == nil || !strings.Contains(out, "--stripe-url needs --sim") {
		t.Errorf("%v %s", err, out)
	}
}
