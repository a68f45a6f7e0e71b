package payment_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"pgregory.net/rapid"
)

// checks limits how many cases rapid tries. A number given on the command line wins.
func checks(t *testing.T, n string) {
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	if err := flag.Set("rapid.checks", n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", f.DefValue) })
}

// TestBalanceDoesNotDependOnEvents: two accounts do the same, and the processor's events reach them
// in different orders, late, several times or never. Once those that were lost are caught up, both
// have what the processor has.
func TestBalanceDoesNotDependOnEvents(t *testing.T) {
	checks(t, "15")
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		shared := newWorld(t, d, c)
		rapid.Check(t, func(rt *rapid.T) {
			w, kit := *shared, *shared.Kit
			w.Kit = &kit
			w.T = rt
			w.bank.reset()
			p := &program{T: rt, w: &w, twins: [2]*twin{newTwin(rt, &w, "first"), newTwin(rt, &w, "second")}}
			rt.Repeat(map[string]func(*rapid.T){
				"create": p.create, "pay": p.pay, "pay again": p.pay, "cancel": p.cancel, "refund": p.refund,
				"refund at the processor": p.refundThere, "end a refund": p.endRefund, "dispute": p.dispute,
				"close a dispute": p.closeDispute, "automatic top-up": p.automatic, "spend": p.spend,
				"the key is wrong or right again": p.down, "time passes": p.pass, "": p.deliver,
			})
			p.end()
			p.close()
		})
		shared.CheckLedger()
		var sum money.Micros
		if err := d.QueryRow(t.Context(), `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM wallet_entry`).Scan(
			&sum); err != nil || sum != 0 {
			t.Errorf("all entries sum to %s, %v; want 0", sum, err)
		}
	})
}

// twin is one of the two accounts, with the events that were not delivered to it yet.
type twin struct {
	account id.ID
	topUps  []id.ID
	asked   []money.Micros
	spent   money.Micros
	queue   []payment.Event
	rng     *rand.Rand
}

func newTwin(t *rapid.T, w *world, name string) *twin {
	return &twin{
		account: w.NewAccount(0), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "events of the "+name), 1)),
	}
}

// program is what both do.
type program struct {
	*rapid.T
	w      *world
	twins  [2]*twin
	events int
}

func (b *bank) reset() {
	b.payments, b.refunds, b.events = map[id.ID]*payment.Payment{}, map[id.ID]payment.Refund{}, nil
	b.decline, b.down, b.lost, b.refuse, b.pends = nil, false, false, false, false
}

// emit has the processor tell of a payment.
func (p *program) emit(x *twin, topUp id.ID) {
	b := p.w.bank
	paid := b.payments[topUp]
	reference := paid.Reference
	if paid.IntentReference != "" && x.rng.IntN(2) == 0 {
		reference = paid.IntentReference
	}
	p.events++
	e := payment.Event{
		ID: fmt.Sprintf("evt_%s_%d", x.account, p.events), Type: "t", Reference: reference, Live: true,
		CreatedAt: p.w.Clock.Now(),
	}
	b.events = append(b.events, e)
	x.queue = append(x.queue, e)
}

// deliver brings some of the events that wait.
func (p *program) deliver(*rapid.T) {
	for _, x := range p.twins {
		x.rng.Shuffle(len(x.queue), func(i, j int) { x.queue[i], x.queue[j] = x.queue[j], x.queue[i] })
		var later []payment.Event
		for _, e := range x.queue {
			again := 0
			switch k := x.rng.IntN(10); {
			case k < 4: // later
				later = append(later, e)
				continue
			case k < 6: // never
				continue
			case k < 8:
				again = 1
			}
			for range 1 + again {
				if err := p.receive(e); err != nil { // sent again
					later = append(later, e)
				}
			}
		}
		x.queue = later
	}
}

func (p *program) receive(e payment.Event) error {
	header := func(name string) string { return map[string]string{"Signature": "good", "Id": e.ID}[name] }
	err := p.w.svc.Receive(p.w.Context(), "bank", header, []byte(e.Reference))
	if err != nil && !p.w.bank.down {
		p.Fatalf("%+v: %v", e, err)
	}
	return err
}

// caughtUp applies everything that the processor knows to both.
func (p *program) caughtUp() {
	p.Helper()
	_, err := p.w.svc.CatchUp(p.w.Context(), payment.Fleet)
	p.w.Must(err)
	p.w.Drain()
}

// choose returns the number of a top-up whose payment can be acted on.
func (p *program) choose(t *rapid.T, can func(*payment.Payment) bool) int {
	var fit []int
	for i := range p.twins[0].topUps {
		paid, its := p.w.bank.payments[p.twins[0].topUps[i]], p.w.bank.payments[p.twins[1].topUps[i]]
		if paid != nil && its != nil && can(paid) { // a job makes the page later
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		t.Skip("no top-up")
	}
	return rapid.SampledFrom(fit).Draw(t, "top-up")
}

// both calls f with a top-up of one twin and the same one of the other.
func (p *program) both(
	t *rapid.T, can func(*payment.Payment) bool, f func(x *twin, topUp id.ID, paid *payment.Payment),
) {
	i := p.choose(t, can)
	for _, x := range p.twins {
		f(x, x.topUps[i], p.w.bank.payments[x.topUps[i]])
	}
}

func isOpen(p *payment.Payment) bool { return p.Status == payment.PaymentPending }

func isPaid(p *payment.Payment) bool { return p.Received > 0 }

// part is a part of an amount.
func part(of money.Micros, percent int64) money.Micros {
	return max(payment.Cent, money.Micros(int64(of/payment.Cent)*percent/100)*payment.Cent)
}

func cents(t *rapid.T, name string, most money.Micros) money.Micros {
	return money.Micros(rapid.Int64Range(1, int64(most/payment.Cent)).Draw(t, name)) * payment.Cent
}

func (p *program) create(t *rapid.T) {
	amount := payment.Cent*99 + cents(t, "amount", 100*usd)
	for _, x := range p.twins {
		if len(x.topUps) >= 12 {
			t.Skip("enough")
		}
		w := *p.w
		w.account = x.account
		x.topUps, x.asked = append(x.topUps, w.create(amount).ID), append(x.asked, amount)
	}
}

func (p *program) pay(t *rapid.T) {
	more := money.Micros(0)
	if rapid.IntRange(0, 9).Draw(t, "another amount") == 0 {
		more = payment.Cent
	}
	p.both(t, isOpen, func(x *twin, topUp id.ID, paid *payment.Payment) {
		p.w.bank.pay(topUp, x.asked[slices.Index(x.topUps, topUp)]+more)
		paid.Customer = "cus_" + string(x.account)
		p.emit(x, topUp)
	})
}

func (p *program) cancel(t *rapid.T) {
	p.both(t, isOpen, func(x *twin, topUp id.ID, paid *payment.Payment) {
		paid.Status = payment.PaymentCanceled
		p.emit(x, topUp)
	})
}

var errTried = errors.New("only tried")

// refund is the operator's. Both are refunded if both can be: what is unspent depends on the order
// in which payments were credited.
func (p *program) refund(t *rapid.T) {
	if p.w.bank.down {
		t.Skip("down")
	}
	p.caughtUp()
	i := p.choose(t, isPaid)
	amount := part(p.twins[0].asked[i], rapid.Int64Range(1, 60).Draw(t, "percent"))
	p.w.bank.refuse, p.w.bank.pends = rapid.Bool().Draw(t, "refused"), rapid.Bool().Draw(t, "pends")
	defer func() { p.w.bank.refuse, p.w.bank.pends = false, false }()
	for _, try := range []error{errTried, nil} {
		for _, x := range p.twins {
			err := p.w.Tx(func(ctx context.Context, tx *db.Tx) error {
				if _, err := p.w.svc.Refund(ctx, tx, x.topUps[i], amount, "asked for"); err != nil {
					return err
				}
				return try
			})
			if try != nil && apierr.CodeOf(err) == apierr.Conflict {
				return
			}
			if !errors.Is(err, try) {
				p.Fatalf("refund: %v", err)
			}
		}
	}
	p.w.Drain()
}

func (p *program) refundThere(t *rapid.T) {
	percent := rapid.Int64Range(1, 60).Draw(t, "percent")
	status := rapid.SampledFrom([]payment.RefundStatus{
		payment.RefundPending, payment.RefundSucceeded, payment.RefundFailed,
	}).Draw(t, "status")
	p.both(t, isPaid, func(x *twin, topUp id.ID, paid *payment.Payment) {
		left, amount := paid.Received, part(paid.Received, percent)
		for _, f := range paid.Refunds {
			if f.Status != payment.RefundFailed {
				left -= f.Amount
			}
		}
		if left < amount {
			return
		}
		paid.Refunds = append(paid.Refunds, payment.Refund{
			Reference: fmt.Sprintf("re_%s_%d", topUp, len(paid.Refunds)), Amount: amount, Status: status,
		})
		p.emit(x, topUp)
	})
}

// endRefund ends a refund that is pending. One that has succeeded can still fail.
func (p *program) endRefund(t *rapid.T) {
	ok, which := rapid.Bool().Draw(t, "ok"), rapid.IntRange(0, 3).Draw(t, "which")
	can := func(paid *payment.Payment) bool { return len(paid.Refunds) > 0 }
	p.both(t, can, func(x *twin, topUp id.ID, paid *payment.Payment) {
		paid.Refunds = slices.Clone(paid.Refunds)
		f := &paid.Refunds[which%len(paid.Refunds)]
		switch {
		case f.Status == payment.RefundFailed:
			return
		case ok:
			f.Status = payment.RefundSucceeded
		default:
			f.Status, f.Message = payment.RefundFailed, "The card was closed."
		}
		if f.Refund != "" {
			p.w.bank.refunds[f.Refund] = *f
		}
		p.emit(x, topUp)
	})
}

func (p *program) dispute(t *rapid.T) {
	percent := rapid.Int64Range(1, 100).Draw(t, "percent")
	can := func(paid *payment.Payment) bool { return isPaid(paid) && len(paid.Disputes) < 2 }
	p.both(t, can, func(x *twin, topUp id.ID, paid *payment.Payment) {
		amount := part(paid.Received, percent)
		paid.Disputes = append(slices.Clone(paid.Disputes), payment.Dispute{
			Reference: fmt.Sprintf("dp_%s_%d", topUp, len(paid.Disputes)), Amount: amount, Status: payment.DisputeOpen,
		})
		p.emit(x, topUp)
	})
}

func (p *program) closeDispute(t *rapid.T) {
	won, which := rapid.Bool().Draw(t, "won"), rapid.IntRange(0, 1).Draw(t, "which")
	can := func(paid *payment.Payment) bool { return len(paid.Disputes) > 0 }
	p.both(t, can, func(x *twin, topUp id.ID, paid *payment.Payment) {
		paid.Disputes = slices.Clone(paid.Disputes)
		switch d := &paid.Disputes[which%len(paid.Disputes)]; {
		case d.Status == payment.DisputeWon: // one that was lost can still be won
			return
		case won:
			d.Status = payment.DisputeWon
		default:
			d.Status = payment.DisputeLost
		}
		p.emit(x, topUp)
	})
}

// automatic switches automatic top-ups on for one, and off again: when one is due depends on when
// the balance changes, and so on the events.
func (p *program) automatic(t *rapid.T) {
	b := p.w.bank
	if b.down {
		t.Skip("down")
	}
	p.caughtUp()
	for _, x := range p.twins {
		methods, err := p.w.svc.Methods(p.w.Context(), p.w.DB, x.account)
		p.w.Must(err)
		if len(methods) == 0 || len(x.topUps) >= 12 {
			t.Skip("no method")
		}
	}
	amount := payment.Cent*99 + cents(t, "amount", 50*usd)
	b.decline, b.lost = nil, rapid.Bool().Draw(t, "answers are lost")
	b.status = rapid.SampledFrom([]payment.PaymentStatus{
		payment.PaymentSucceeded, payment.PaymentFailed, payment.PaymentActionRequired,
	}).Draw(t, "status")
	if b.status != payment.PaymentSucceeded {
		b.decline = &payment.Failure{Code: "card_declined", Message: "Declined."}
	}
	for _, x := range p.twins {
		p.setAutomatic(x, amount)
	}
	p.w.Drain()
	b.lost = false
	for _, x := range p.twins { // while answers are lost, the charge is looked for
		p.setAutomatic(x, 0)
	}
	p.w.Pass(2 * time.Hour)
	b.decline = nil
	for _, x := range p.twins {
		all, _, err := p.w.svc.List(p.w.Context(), p.w.DB, x.account, "", db.Page{Number: 1, Limit: 100})
		p.w.Must(err)
		slices.SortFunc(all, func(a, b payment.TopUp) int { // the charge before the page to confirm it
			if a.Automatic != b.Automatic && a.Automatic {
				return -1
			}
			return 1
		})
		for _, made := range all {
			if !slices.Contains(x.topUps, made.ID) {
				x.topUps, x.asked = append(x.topUps, made.ID), append(x.asked, made.Amount)
			}
		}
	}
}

// setAutomatic has one automatic top-up made; it switches them off for 0.
func (p *program) setAutomatic(x *twin, amount money.Micros) {
	p.Helper()
	p.w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		now, err := p.w.svc.Automatic(ctx, tx, x.account)
		if err != nil {
			return err
		}
		q := payment.AutoTopUpRequest{}
		if amount > 0 {
			q = payment.AutoTopUpRequest{
				Enabled: true, Amount: amount, Threshold: 1_000_000 * usd, MonthlyLimit: now.Spent + amount,
			}
		}
		_, err = p.w.svc.SetAutomatic(ctx, tx, x.account, creator.ByOperator, q)
		return err
	})
}

func (p *program) spend(t *rapid.T) {
	amount := cents(t, "spent", 60*usd)
	for _, x := range p.twins {
		x.spent += amount
		p.w.Credit(x.account, -amount, fmt.Sprintf("%s/%s", x.account, x.spent))
	}
}

func (p *program) down(*rapid.T) { p.w.bank.down = !p.w.bank.down }

func (p *program) pass(t *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute
	if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
		d += 20 * time.Hour
	}
	p.w.Pass(d)
}

// end compares both with the processor and with each other.
func (p *program) end() {
	p.Helper()
	p.w.bank.down = false
	p.deliver(nil)
	p.caughtUp()
	var books [2][]string
	for n, x := range p.twins {
		want := -x.spent
		for i, topUp := range x.topUps {
			w := *p.w
			w.account = x.account
			got := w.get(topUp)
			brought := worth(p.w.bank.payments[topUp], x.asked[i])
			if got.Received-got.Refunded-got.Disputed != brought {
				p.Fatalf("%s brought %s, the processor has %+v", topUp, brought, p.w.bank.payments[topUp])
			}
			want += brought
			books[n] = append(books[n], fmt.Sprintf("%s of %s, automatic %t: received %s, refunded %s, disputed %s",
				got.Status, got.Amount, got.Automatic, got.Received, got.Refunded, got.Disputed))
		}
		if got := p.w.WalletOf(x.account).Available; got != want {
			p.Fatalf("%s has %s, want %s: %q", x.account, got, want, books[n])
		}
	}
	if !slices.Equal(books[0], books[1]) {
		p.Fatalf("the same with other events:\n%q\n%q", books[0], books[1])
	}
}

// close ends what is pending, so that its jobs do not run in the cases that follow.
func (p *program) close() {
	p.Helper()
	b := p.w.bank
	for _, x := range p.twins {
		for _, topUp := range x.topUps {
			paid := b.payments[topUp]
			if paid == nil {
				continue
			}
			if isOpen(paid) {
				paid.Status = payment.PaymentCanceled
			}
			for i := range paid.Refunds {
				f := &paid.Refunds[i]
				if f.Status == payment.RefundPending {
					f.Status = payment.RefundSucceeded
				}
				if f.Refund != "" {
					b.refunds[f.Refund] = *f
				}
			}
			p.w.Must(p.w.svc.Refresh(p.w.Context(), "bank", paid.Reference))
		}
	}
	p.w.Pass(time.Hour)
}

// worth is what a payment brings: nothing if it was paid with another amount than was asked for.
func worth(p *payment.Payment, asked money.Micros) money.Micros {
	if p == nil || p.Received != asked {
		return 0
	}
	sum := p.Received
	for _, f := range p.Refunds {
		if f.Status != payment.RefundFailed {
			sum -= f.Amount
		}
	}
	for _, d := range p.Disputes {
		if d.Status != payment.DisputeWon {
			sum -= d.Amount
		}
	}
	return sum
}
