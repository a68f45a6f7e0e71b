package crash_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
)

// till is how the tenants of a history pay: a fake of Stripe, which is part of this process, so
// that it survives every kill and keeps what was really paid. It has the server's clock.
type till struct {
	fake     *stripetest.Server
	operator string // key of the operator, who refunds
	keys     map[*tenant]string

	mu    sync.Mutex
	tries map[string]*tried // requests for top-ups and refunds by name
	// events are those that were not delivered yet, and not lost.
	events []stripetest.Event
}

// tried is a request that must have its effect once.
type tried struct {
	name, path string
	as, key    string // API key and Idempotency-Key; the latter may be ""
	body       map[string]any
	since      int64 // elapsed at the first attempt
	answered   bool
	status     int
	id         string // of the top-up or refund
}

// openTill starts the fake for the server of a data directory.
func openTill(t *testing.T, dir string) *till {
	t.Helper()
	var ahead atomic.Int64
	return &till{tries: map[string]*tried{}, keys: map[*tenant]string{}, fake: stripetest.Start(t, func() time.Time {
		var clock struct {
			OffsetNanoseconds int64 `json:"offsetNanoseconds"`
		}
		text, err := os.ReadFile(filepath.Join(dir, "sim-clock.json"))
		if err == nil && json.Unmarshal(text, &clock) == nil {
			ahead.Store(clock.OffsetNanoseconds)
		}
		return time.Now().Add(time.Duration(ahead.Load()))
	})}
}

// setUpPayments has the server take payments, and makes the keys of those who pay: all tenants but
// the first, who has too much money for automatic top-ups.
func (h *history) setUpPayments(limits ...string) {
	h.t.Helper()
	files := map[string]string{"key": stripetest.Key, "secret": stripetest.Secret}
	for name, text := range files {
		files[name] = filepath.Join(h.server.Dir, "stripe."+name)
		if err := os.WriteFile(files[name], []byte(text), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	h.server.Run("settings", "set", "--sim", "--stripe-key-file", files["key"], "--stripe-webhook-secret-file",
		files["secret"], "payments.processor=stripe")
	for _, tn := range h.tenants[1:] {
		h.till.keys[tn] = h.server.KeyOf(tn.id, append(limits, "--scopes", "wallet:read,wallet:write")...)
	}
	var operator string
	operator, _ = h.server.Key("0")
	h.till.operator = h.server.KeyOf(operator, append(limits, "--scopes", "operator:read,operator:write")...)
}

// payer is a tenant who pays, and the operator and the bank as far as they act on this tenant's
// payments, for one round.
type payer struct {
	*worker
	till *till
}

func newPayer(h *history, tn *tenant, round int, dead <-chan struct{}) *payer {
	w := newWorker(h, tn, 0, round, dead)
	w.who, w.key = fmt.Sprintf("r%d-t%d-pay", round, tn.number), h.till.keys[tn]
	w.rng = rand.New(rand.NewPCG(h.seed, uint64(round)<<32|1<<29|uint64(tn.number)))
	return &payer{w, h.till}
}

func (p *payer) run() {
	p.settle()
	for p.lives() {
		p.act()
		p.think()
	}
}

// settle repeats requests without an answer.
func (p *payer) settle() {
	p.till.mu.Lock()
	var open []*tried
	for _, x := range p.till.tries {
		if mine := x.as == p.key || x.as == p.till.operator; mine && !x.answered && x.key != "" && p.usable(x) {
			open = append(open, x)
		}
	}
	p.till.mu.Unlock()
	slices.SortFunc(open, func(a, b *tried) int { return strings.Compare(a.name, b.name) })
	for _, x := range open {
		if !p.lives() {
			return
		}
		p.send(x)
	}
}

func (p *payer) usable(x *tried) bool { return time.Duration(p.h.elapsed.Load()-x.since) < window }

// send sends a request. The answer to one that was sent before has the same id.
func (p *payer) send(x *tried) bool {
	p.till.mu.Lock()
	p.till.tries[x.name] = x
	p.till.mu.Unlock()
	var headers []string
	if x.key != "" {
		headers = []string{"Idempotency-Key", x.key}
	}
	w := *p.worker
	w.key = x.as
	a, answered := w.ask(http.MethodPost, x.path, x.body, headers...)
	if !answered || a.Status == http.StatusServiceUnavailable {
		return false
	}
	id, _ := a.Data["id"].(string)
	p.till.mu.Lock()
	defer p.till.mu.Unlock()
	if x.answered && (x.status != a.Status || x.id != id) {
		p.h.fault("key %s of %s was answered %d %s and then %d %s", x.key, x.path, x.status, x.id, a.Status, a.Body)
	}
	x.answered, x.status, x.id = true, a.Status, id
	return true
}

func (p *payer) act() {
	switch k := p.rng.IntN(100); {
	case k < 22:
		p.topUp()
	case k < 50:
		p.pay()
	case k < 62:
		p.automatic()
	case k < 78:
		p.refund()
	case k < 82:
		p.refundByHand()
	case k < 86:
		p.dispute()
	case k < 92:
		p.closeDispute()
	case k < 95:
		p.endRefund()
	case k < 98:
		p.endDelayed()
	default:
		p.ask(http.MethodGet, "/wallet/top-ups?limit=20", nil)
	}
}

func (p *payer) topUp() {
	x := &tried{name: "u-" + p.name(), path: "/wallet/top-ups", as: p.key, since: p.h.elapsed.Load()}
	x.body = map[string]any{
		"amount": 10 + p.rng.IntN(40), "returnUrl": "https://tenant.example/" + x.name,
		"savePaymentMethod": p.rng.IntN(3) > 0,
	}
	if p.rng.IntN(100) < 70 {
		x.key = "key-" + x.name
	}
	p.send(x)
}

// cards are what customers pay with; those that work come several times.
var cards = []stripetest.Card{
	stripetest.Visa, stripetest.Visa, stripetest.Visa, stripetest.Visa, stripetest.Visa, stripetest.Visa,
	stripetest.AuthenticateOnce, stripetest.Declined, stripetest.LostCard, stripetest.DeclinedLater,
	stripetest.LostLater, stripetest.AuthenticateAlways, stripetest.DisputedCard, stripetest.PendingRefund,
	stripetest.PendingRefund, stripetest.BankAccount,
}

// pay pays one of the open pages of any tenant.
func (p *payer) pay() {
	p.till.mu.Lock()
	defer p.till.mu.Unlock()
	pages := p.till.fake.OpenPages()
	if len(pages) == 0 {
		return
	}
	page := pages[p.rng.IntN(len(pages))]
	if p.till.fake.Pay(page.Session, cards[p.rng.IntN(len(cards))]) == "authenticate" {
		p.till.fake.Authenticate(page.Session, p.rng.IntN(4) > 0)
	}
}

// automatic sets automatic top-ups, so that one is due, or switches them off.
func (p *payer) automatic() {
	var w struct{ Available money.Micros }
	a, answered := p.ask(http.MethodGet, "/wallet", nil)
	if !answered || a.Status != http.StatusOK || data(a, &w) != nil {
		return
	}
	body := map[string]any{"enabled": false, "amount": 0, "threshold": 0, "monthlyLimit": 0}
	if p.rng.IntN(8) > 0 {
		threshold := max(0, int64(w.Available/money.USD)+1+p.rng.Int64N(60))
		body = map[string]any{
			"enabled": true, "amount": 10 + p.rng.IntN(20), "threshold": threshold, "monthlyLimit": 100_000,
		}
	}
	p.ask(http.MethodPut, "/wallet/auto-top-up", body)
}

// payment returns one of the payments, nil if there is none.
func (p *payer) payment() *stripetest.Payment {
	all := p.till.fake.Payments()
	if len(all) == 0 {
		return nil
	}
	newest := all[max(0, len(all)-40):]
	return &newest[p.rng.IntN(len(newest))]
}

// refund is the operator's.
func (p *payer) refund() {
	paid := p.payment()
	if paid == nil || paid.TopUp == "" {
		return
	}
	x := &tried{
		name: "f-" + p.name(), path: "=/api/v1/operator/top-ups/" + paid.TopUp + "/refund", as: p.till.operator,
		since: p.h.elapsed.Load(),
	}
	x.body = map[string]any{"amount": json.Number(cents(1 + p.rng.Int64N(paid.Received))), "reason": x.name}
	if p.rng.IntN(100) < 70 {
		x.key = "key-" + x.name
	}
	p.send(x)
}

func cents(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// refundByHand is one that the operator makes at Stripe.
func (p *payer) refundByHand() {
	if paid := p.payment(); paid != nil {
		p.till.fake.TryRefund(paid.Intent, 1+p.rng.Int64N(paid.Received))
	}
}

func (p *payer) dispute() {
	if paid := p.payment(); paid != nil && len(paid.Disputes) == 0 {
		p.till.fake.Dispute(paid.Intent, 1+p.rng.Int64N(paid.Received))
	}
}

func (p *payer) closeDispute() {
	for _, paid := range p.till.fake.Payments() {
		for _, d := range paid.Disputes {
			if d.Status == "needs_response" && p.rng.IntN(2) == 0 {
				p.till.fake.CloseDispute(d.ID, p.rng.IntN(2) == 0)
				return
			}
		}
	}
}

// endRefund ends one that is pending. One that has succeeded may still fail, once.
func (p *payer) endRefund() {
	for _, paid := range p.till.fake.Payments() {
		for _, f := range paid.Refunds {
			if f.Status == "pending" || f.Status == "succeeded" && p.rng.IntN(40) == 0 {
				p.till.fake.EndRefund(f.ID, f.Status == "pending" && p.rng.IntN(2) == 0)
				return
			}
		}
	}
}

func (p *payer) endDelayed() {
	if all := p.till.fake.Processing(); len(all) > 0 {
		p.till.fake.TrySettle(all[p.rng.IntN(len(all))], p.rng.IntN(4) > 0)
	}
}

// courier brings the processor's events: late, doubled, in another order, and some never.
func (h *history) courier(round int, dead <-chan struct{}) {
	rng := rand.New(rand.NewPCG(h.seed, uint64(round)<<32|1<<28))
	tick := time.NewTicker(8 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-dead:
			return
		case <-tick.C:
			h.bring(rng)
		}
	}
}

// bring takes new events, and delivers one of those that wait.
func (h *history) bring(rng *rand.Rand) {
	h.till.fake.Expire()
	for _, e := range h.till.fake.Take() {
		if rng.IntN(10) == 0 {
			h.eventsLost++
			continue
		}
		h.till.events = append(h.till.events, e)
	}
	if len(h.till.events) == 0 {
		return
	}
	i := rng.IntN(len(h.till.events))
	e := h.till.events[i]
	status, err := h.till.fake.Send(h.server.URL+"/webhooks/payments/stripe", e)
	if err != nil || status >= 300 { // sent again
		return
	}
	h.eventsTold++
	if rng.IntN(6) > 0 { // or doubled
		h.till.events = slices.Delete(h.till.events, i, i+1)
	}
}

// disturbPayments injects troubles into the requests to Stripe while the server runs.
func (h *history) disturbPayments(round int, dead <-chan struct{}) {
	rng := rand.New(rand.NewPCG(h.seed, uint64(round)<<32|1<<27))
	kinds := []stripetest.FaultKind{
		stripetest.CutBefore, stripetest.CutAfter, stripetest.CutAfter, stripetest.Unavailable, stripetest.Conflict,
		stripetest.TooMany, stripetest.Proxy,
	}
	defer h.till.fake.Heal()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for next := 0; ; {
		select {
		case <-dead:
			return
		case <-tick.C:
		}
		asked := h.till.fake.Asked()
		if asked < next {
			continue
		}
		next = asked + 10 + rng.IntN(60)
		f := stripetest.Fault{Kind: kinds[rng.IntN(len(kinds))], Times: 1 + rng.IntN(2)}
		if rng.IntN(4) > 0 { // there an answer matters
			f.Method = http.MethodPost
		}
		if rng.IntN(5) == 0 { // Stripe repeats these for a day, which the adapter does not wait for here
			f.Kind = []stripetest.FaultKind{stripetest.InternalError, stripetest.InternalErrorAfter}[rng.IntN(2)]
			f.Method = http.MethodPost
			f.Prefix = []string{"/v1/payment_intents", "/v1/checkout/sessions"}[rng.IntN(2)]
		}
		h.till.fake.Heal()
		h.till.fake.Inject(f)
		h.payTroubles++
	}
}

const microsInCent = 10_000

// ours is what a payment is in the wallet, in micro-dollars: received, refunded, disputed.
func ours(p stripetest.Payment) (received, refunded, disputed int64) {
	for _, f := range p.Refunds {
		if f.Status != "failed" {
			refunded += f.Amount * microsInCent
		}
	}
	for _, d := range p.Disputes {
		if d.Status != "won" {
			disputed += d.Amount * microsInCent
		}
	}
	return p.Received * microsInCent, refunded, disputed
}

// apiTopUp is a top-up as the operator sees it.
type apiTopUp struct {
	ID, Status, Processor, Problem string
	Automatic                      bool
	Received, Refunded, Disputed   money.Micros
	CheckoutURL                    *string
	ExpiresAt                      *time.Time
}

// allTopUps reads all top-ups.
func (h *history) allTopUps() map[string]apiTopUp {
	out := map[string]apiTopUp{}
	for page := 1; ; page++ {
		var some []apiTopUp
		a := h.server.Call(
			h.till.operator, http.MethodGet, fmt.Sprintf("=/api/v1/operator/top-ups?limit=100&page=%d", page), nil,
		)
		if err := data(a, &some); a.Status != http.StatusOK || err != nil {
			h.t.Fatalf("top-ups: %d %s %v", a.Status, a.Body, err)
		}
		for _, t := range some {
			out[t.ID] = t
		}
		if len(some) < 100 {
			return out
		}
	}
}

// paymentsMove returns what of payments has not finished, or "". The tenants do nothing any more.
func (h *history) paymentsMove() (out []string) {
	h.till.fake.Expire()
	all := h.allTopUps()
	for _, p := range h.till.fake.Payments() {
		received, refunded, disputed := ours(p)
		t := all[p.TopUp]
		if int64(t.Received) != received || int64(t.Refunded) != refunded || int64(t.Disputed) != disputed {
			out = append(out, fmt.Sprintf("%s of %s: Stripe has %+v, the server %+v", p.Intent, p.TopUp, p, t))
		}
	}
	days := map[string]bool{} // top-ups whose payment takes days; their page closes meanwhile
	for _, id := range h.till.fake.Processing() {
		days[h.till.fake.Field(id, "client_reference_id")] = true
	}
	for _, t := range all {
		// A charge that never reached Stripe is looked for until its day is over, once its account
		// has no automatic top-ups any more.
		waits := t.Automatic && h.till.fake.Charged(t.ID) || !t.Automatic && t.CheckoutURL == nil && !days[t.ID]
		if t.Status == "pending" && t.Problem == "" && waits {
			out = append(out, fmt.Sprintf("%+v waits", t))
		}
	}
	return out
}

// settlePayments repeats the requests that have no answer, compares answers, and delivers events
// that were not lost.
func (h *history) settlePayments(round int, dead <-chan struct{}) {
	for _, tn := range h.tenants[1:] {
		p := newPayer(h, tn, round<<8, dead)
		p.settle()
		for _, x := range h.till.tries {
			if x.as == p.key && x.answered && x.key != "" && x.status < 300 && p.usable(x) {
				p.send(x)
			}
		}
	}
	rng := rand.New(rand.NewPCG(h.seed, uint64(round)<<32|1<<26))
	// The server takes a limited number a minute. What is left is caught up before it comes.
	for n := 0; n < 400 && (n == 0 || len(h.till.events) > 0); n++ {
		h.bring(rng)
	}
}
