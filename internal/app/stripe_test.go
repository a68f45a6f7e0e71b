package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
	"github.com/billetcloud/billet/internal/settings"
)

// shop is a server that takes payments with a fake of Stripe.
type shop struct {
	*testing.T
	app   *App
	url   string
	key   string
	fake  *stripetest.Server
	start money.Micros // balance
}

type topUpView struct {
	ID, Status, FailureCode, FailureMessage string
	Automatic                               bool
	Received, Refunded, Disputed            money.Micros
	CheckoutURL                             string
}

func openShop(t *testing.T) *shop {
	t.Helper()
	var a *App // the fake has its clock
	fake := stripetest.Start(t, func() time.Time { return a.Clock.Now() })
	c := Default()
	c.Listen, c.MetricsListen, c.DataDir, c.Sim, c.Demo, c.Version, c.Log = "127.0.0.1:0", "", t.TempDir(), true, true,
		"test", slog.New(slog.DiscardHandler)
	c.SimMachines, c.StripeURL = "banner", fake.URL
	a, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key, secret, processor := stripetest.Key, stripetest.Secret, settings.Stripe
	if _, err := a.ChangeSettings(t.Context(), settings.Change{Payments: settings.PaymentsChange{
		Processor: &processor, StripeKey: &key, StripeWebhookSecret: &secret,
	}}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	started, ended := make(chan Started, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(s Started) { started <- s }) }()
	t.Cleanup(func() {
		stop()
		<-ended
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &shop{T: t, app: a, fake: fake}
	select {
	case up := <-started:
		s.url, s.key = up.URL, up.Demo.APIKey
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	s.start = s.balance()
	return s
}

func (s *shop) call(method, path string, body, into any) int {
	s.Helper()
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			s.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+"/api/v1/inventory"+path, bytes.NewReader(sent))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	if resp.StatusCode >= 300 {
		s.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, &struct{ Data any }{into}); err != nil {
		s.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
	return resp.StatusCode
}

func (s *shop) balance() money.Micros {
	s.Helper()
	var w struct{ Available money.Micros }
	s.call("GET", "/wallet", nil, &w)
	return w.Available
}

// topUp creates a top-up of $50, and returns it and its Checkout Session.
func (s *shop) topUp() (topUpView, string) {
	s.Helper()
	var made topUpView
	s.call("POST", "/wallet/top-ups", map[string]any{"amount": 50, "savePaymentMethod": true}, &made)
	return made, made.CheckoutURL[strings.LastIndex(made.CheckoutURL, "/")+1:]
}

func (s *shop) get(topUp string) (out topUpView) {
	s.Helper()
	s.call("GET", "/wallet/top-ups/"+topUp, nil, &out)
	return out
}

// deliver sends events to the server, which must accept them.
func (s *shop) deliver(events ...stripetest.Event) {
	s.Helper()
	for _, e := range events {
		if status, err := s.fake.Send(s.hook(), e); err != nil || status >= 300 {
			s.Errorf("%s: %d %v", e.Type, status, err)
		}
	}
}

func (s *shop) hook() string { return s.url + "/webhooks/payments/stripe" }

// advance advances the server's clock: all jobs that are due have run.
func (s *shop) advance(d time.Duration) {
	s.Helper()
	if err := s.app.simulator.advance(s.Context(), d); err != nil {
		s.Fatal(err)
	}
}

// want checks the status of a top-up, and by how much the balance has risen since the start.
func (s *shop) want(topUp, status string, more money.Micros) {
	s.Helper()
	if got := s.get(topUp); got.Status != status || s.balance()-s.start != more {
		s.Errorf("the top-up is %+v, want %s; the balance has risen by %s, want %s", got, status, s.balance()-s.start,
			more)
	}
}

func (s *shop) refund(topUp string, amount money.Micros) {
	s.Helper()
	if err := s.app.DB.InTx(s.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := s.app.services.payments.svc.Refund(ctx, tx, id.ID(topUp), amount, "asked for")
		return err
	}); err != nil {
		s.Fatal(err)
	}
	s.advance(time.Second)
}

func TestStripeTopUpsAreCreditedOnce(t *testing.T) {
	s := openShop(t)
	fifty := money.Dollars(50)
	total := money.Micros(0)
	for name, deliver := range map[string]func(events []stripetest.Event){
		"in order": func(e []stripetest.Event) { s.deliver(e...) },
		"reversed": func(e []stripetest.Event) { slices.Reverse(e); s.deliver(e...) },
		"doubled":  func(e []stripetest.Event) { s.deliver(append(e, e...)...) },
		"only the intent's": func(e []stripetest.Event) {
			e = slices.DeleteFunc(e, func(e stripetest.Event) bool { return e.Type != "payment_intent.succeeded" })
			s.deliver(e...)
		},
		"lost": func([]stripetest.Event) { s.advance(2 * time.Minute) },
	} {
		made, session := s.topUp()
		s.want(made.ID, "pending", total)
		if got := s.fake.Pay(session, stripetest.Visa); got != "paid" {
			t.Fatal(got)
		}
		deliver(s.fake.Take())
		total += fifty
		s.want(made.ID, "succeeded", total)
		if t.Failed() {
			t.Fatalf("events %s", name)
		}
	}
	s.advance(time.Hour) // the catch-up reads all events again
	if got := s.balance() - s.start; got != total {
		t.Errorf("after the catch-up the balance has risen by %s, want %s", got, total)
	}
}

func TestStripeEventsThatAreNotSignedChangeNothing(t *testing.T) {
	s := openShop(t)
	made, session := s.topUp()
	s.fake.Pay(session, stripetest.Visa)
	event := s.fake.Take()[2]
	for name, signature := range map[string]string{
		"without a signature": "", "another secret": stripetest.Sign(event.Body, "whsec_other", time.Now()),
		"old":         stripetest.Sign(event.Body, stripetest.Secret, time.Now().Add(-time.Hour)),
		"of tomorrow": stripetest.Sign(event.Body, stripetest.Secret, time.Now().Add(24*time.Hour)),
	} {
		if status, err := stripetest.Post(s.hook(), event.Body, signature); err != nil || status != 400 {
			t.Errorf("%s: %d %v, want 400", name, status, err)
		}
	}
	s.want(made.ID, "pending", 0)
	s.deliver(event)
	s.want(made.ID, "succeeded", money.Dollars(50))
}

// TestStripeEventWhileStripeIsDown: Stripe sends it again, and no error of ours is logged.
func TestStripeEventWhileStripeIsDown(t *testing.T) {
	s := openShop(t)
	made, session := s.topUp()
	s.fake.Pay(session, stripetest.Visa)
	event := s.fake.Take()[2]
	s.fake.Inject(stripetest.Fault{Kind: stripetest.Unavailable})
	if status, err := s.fake.Send(s.hook(), event); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("%d %v, want 503", status, err)
	}
	s.fake.Heal()
	s.deliver(event)
	s.want(made.ID, "succeeded", money.Dollars(50))
}

func TestStripeDownWhileATopUpIsCreated(t *testing.T) {
	s := openShop(t)
	s.fake.Inject(stripetest.Fault{Kind: stripetest.Unavailable})
	var made topUpView
	s.call("POST", "/wallet/top-ups", map[string]any{"amount": 50}, &made)
	if made.Status != "pending" || made.CheckoutURL != "" {
		t.Fatalf("%+v", made)
	}
	s.fake.Heal()
	s.advance(5 * time.Minute)
	if got := s.get(made.ID); got.Status != "pending" || !strings.HasPrefix(got.CheckoutURL, s.fake.URL) {
		t.Errorf("the job made no page: %+v", got)
	}
	if n := s.fake.Count("checkout.session"); n != 1 {
		t.Errorf("%d pages, want 1", n)
	}
}

func TestStripeDeclinesAndAuthenticationAtThePage(t *testing.T) {
	s := openShop(t)
	made, session := s.topUp()
	for _, card := range []stripetest.Card{stripetest.Declined, stripetest.LostCard} {
		s.fake.Pay(session, card)
		s.deliver(s.fake.Take()...)
		s.want(made.ID, "pending", 0)
	}
	if got := s.fake.Pay(session, stripetest.AuthenticateOnce); got != "authenticate" {
		t.Fatal(got)
	}
	s.deliver(s.fake.Take()...)
	s.want(made.ID, "pending", 0)
	s.fake.Authenticate(session, true)
	s.deliver(s.fake.Take()...)
	s.want(made.ID, "succeeded", money.Dollars(50))
}

func TestStripePaymentsThatTakeDays(t *testing.T) {
	s := openShop(t)
	made, session := s.topUp()
	s.fake.Pay(session, stripetest.BankAccount)
	s.deliver(s.fake.Take()...)
	s.want(made.ID, "pending", 0)
	s.fake.Settle(session, true)
	s.deliver(s.fake.Take()...)
	s.want(made.ID, "succeeded", money.Dollars(50))
}

// automatic returns the automatic top-ups, and how many others there are.
func (s *shop) automatic() (out []topUpView, others int) {
	s.Helper()
	var all []topUpView
	s.call("GET", "/wallet/top-ups", nil, &all)
	for _, one := range all {
		if one.Automatic {
			out = append(out, one)
		} else {
			others++
		}
	}
	return out, others
}

func TestStripeAutomaticTopUps(t *testing.T) {
	for _, c := range []struct {
		name                  string
		card                  stripetest.Card
		status                string
		more                  money.Micros
		tries                 int // within a day
		stopped, authenticate bool
	}{
		{name: "good", card: stripetest.Visa, status: "succeeded", more: money.Dollars(20), tries: 1},
		{name: "declined", card: stripetest.DeclinedLater, status: "failed", tries: 3, stopped: true},
		{name: "lost", card: stripetest.LostLater, status: "failed", tries: 1, stopped: true},
		{name: "authentication", card: stripetest.AuthenticateAlways, status: "failed", tries: 1, stopped: true,
			authenticate: true},
	} {
		s := openShop(t)
		made, session := s.topUp()
		if s.fake.Pay(session, c.card) == "authenticate" {
			s.fake.Authenticate(session, true)
		}
		s.deliver(s.fake.Take()...)
		s.want(made.ID, "succeeded", money.Dollars(50))
		s.call("PUT", "/wallet/auto-top-up", map[string]any{
			"enabled": true, "amount": 20, "monthlyLimit": 100,
			"threshold": json.RawMessage((s.balance() + money.Dollars(1)).Decimal()),
		}, &struct{}{})
		s.advance(time.Second)
		s.deliver(s.fake.Take()...)
		automatic, pages := s.automatic()
		if len(automatic) != 1 || automatic[0].Status != c.status ||
			s.balance()-s.start != money.Dollars(50)+c.more || (pages == 2) != c.authenticate {
			t.Errorf("%s: %+v and %d by page, balance risen by %s", c.name, automatic, pages, s.balance()-s.start)
		}
		s.advance(24 * time.Hour)
		automatic, _ = s.automatic()
		var auto struct{ StoppedReason string }
		s.call("GET", "/wallet/auto-top-up", nil, &auto)
		if len(automatic) != c.tries || (auto.StoppedReason != "") != c.stopped {
			t.Errorf("%s, a day later: %d top-ups, want %d; stopped: %q", c.name, len(automatic), c.tries,
				auto.StoppedReason)
		}
		if n := s.fake.Count("payment_intent"); n != c.tries+1 {
			t.Errorf("%s: %d intents, want %d", c.name, n, c.tries+1)
		}
	}
}

func TestStripeRefunds(t *testing.T) {
	s := openShop(t)
	made, session := s.topUp()
	s.fake.Pay(session, stripetest.Visa)
	s.deliver(s.fake.Take()...)
	s.refund(made.ID, money.Dollars(10))
	s.deliver(s.fake.Take()...)
	s.want(made.ID, "succeeded", money.Dollars(40))
	refunds := s.fake.IDs("refund")
	if len(refunds) != 1 || s.fake.Field(refunds[0], "amount") != "1000" {
		t.Fatalf("%v", refunds)
	}
	s.fake.EndRefund(refunds[0], false)
	s.deliver(s.fake.Take()...)
	s.want(made.ID, "succeeded", money.Dollars(50))
	// By hand at Stripe, and the events are lost: the catch-up finds it.
	s.fake.Refund(s.fake.IDs("payment_intent")[0], 500)
	s.fake.Take()
	s.advance(15 * time.Minute)
	s.want(made.ID, "succeeded", money.Dollars(45))
	s.refund(made.ID, money.Dollars(45))
	s.want(made.ID, "refunded", 0)
	if n := s.fake.Count("refund"); n != 3 {
		t.Errorf("%d refunds, want 3", n)
	}
}

func TestStripeDisputes(t *testing.T) {
	for _, won := range []bool{true, false} {
		s := openShop(t)
		made, session := s.topUp()
		s.fake.Pay(session, stripetest.Visa)
		s.deliver(s.fake.Take()...)
		dispute := s.fake.Dispute(s.fake.IDs("payment_intent")[0], 3000)
		opened := s.fake.Take()
		s.deliver(append(opened, opened...)...)
		s.want(made.ID, "disputed", money.Dollars(20))
		s.fake.CloseDispute(dispute, won)
		closed := s.fake.Take()
		slices.Reverse(closed)
		s.deliver(append(closed, opened...)...)
		if won {
			s.want(made.ID, "succeeded", money.Dollars(50))
		} else {
			s.want(made.ID, "disputed", money.Dollars(20))
		}
	}
}

func TestStripeCardsThatAreRemovedThereAreRemovedHere(t *testing.T) {
	s := openShop(t)
	_, session := s.topUp()
	s.fake.Pay(session, stripetest.Visa)
	s.deliver(s.fake.Take()...)
	var methods []struct{ Last4 string }
	s.call("GET", "/wallet/payment-methods", nil, &methods)
	if len(methods) != 1 || methods[0].Last4 != "4242" {
		t.Fatalf("%+v", methods)
	}
	card := s.fake.IDs("payment_method")[0]
	s.fake.ReplaceCard(card, stripetest.DeclinedLater)
	s.deliver(s.fake.Take()...)
	s.call("GET", "/wallet/payment-methods", nil, &methods)
	if len(methods) != 1 || methods[0].Last4 != "0341" {
		t.Errorf("replaced: %+v", methods)
	}
	s.fake.DetachCard(card)
	s.deliver(s.fake.Take()...)
	s.call("GET", "/wallet/payment-methods", nil, &methods)
	if len(methods) != 0 {
		t.Errorf("detached: %+v", methods)
	}
}

func TestCheckPayments(t *testing.T) {
	s := openShop(t)
	if live, err := s.app.CheckPayments(t.Context()); err != nil || live {
		t.Errorf("%t %v", live, err)
	}
	s.fake.Inject(stripetest.Fault{Kind: stripetest.Forbidden, Prefix: "/v1/events"})
	if _, err := s.app.CheckPayments(t.Context()); err == nil || !strings.Contains(err.Error(), "Events") {
		t.Errorf("%v", err)
	}
	none := ""
	processor := settings.NoPayments
	if _, err := s.app.ChangeSettings(t.Context(), settings.Change{Payments: settings.PaymentsChange{
		Processor: &processor, StripeKey: &none,
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.app.CheckPayments(t.Context()); !errors.Is(err, payment.ErrUnsupported) {
		t.Errorf("without a key: %v", err)
	}
}

// TestPaymentsOfTestModeBringNothingToRealMachines: also with a key that was stored with --sim.
func TestPaymentsOfTestModeBringNothingToRealMachines(t *testing.T) {
	s := openShop(t)
	_, session := s.topUp()
	s.fake.Pay(session, stripetest.Visa)
	p := s.app.services.payments
	p.testMode = false
	set, err := s.app.Settings.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.offer(set.Payments); got.Name != "" {
		t.Errorf("%+v is offered", got)
	}
	if _, _, err := p.processor(t.Context(), "stripe"); !errors.Is(err, payment.ErrUnsupported) {
		t.Errorf("payments of test mode are read: %v", err)
	}
}
