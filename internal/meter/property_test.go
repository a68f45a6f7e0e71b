package meter_test

import (
	"context"
	"flag"
	"math/big"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"pgregory.net/rapid"
)

// checks limits how many cases rapid tries: each is dozens of commits on a disk. A number given on
// the command line wins.
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

// run is the life of one subject: all that its bill depends on.
type run struct {
	begin, end time.Time // end is zero while it runs
	rule       meter.Rule
	prices     []agreed
}

type agreed struct {
	from  time.Time
	price money.Micros
}

// bill computes from the life alone what it costs at now, hour by hour, in fractions.
func (l run) bill(now time.Time) money.Micros {
	var sum money.Micros
	for n := 0; ; n++ {
		from := l.begin.Add(time.Duration(n) * time.Hour)
		if from.After(now) || (!l.end.IsZero() && !from.Before(l.end)) {
			return sum
		}
		var price money.Micros
		for _, a := range l.prices {
			if !a.from.After(from) {
				price = a.price
			}
		}
		sum += price
		unused := from.Add(time.Hour).Sub(l.end)
		if l.end.IsZero() || unused <= 0 || l.rule == meter.NoRefund || (l.rule == meter.FirstHour && n > 0) {
			continue
		}
		back := new(big.Rat).SetFrac64(int64(price)*int64(unused/time.Second), 3600)
		back.Add(back, big.NewRat(1, 2))
		sum -= money.Micros(new(big.Int).Quo(back.Num(), back.Denom()).Int64())
	}
}

// hours returns how many hours of the subject were charged.
func (r *rig) hours(account, subject id.ID) int {
	r.Helper()
	_, of, err := r.ledger.Transactions(r.Context(), r.db, account,
		wallet.Filter{Types: []wallet.Type{wallet.TypeCharge}, Subject: subject}, db.Page{Number: 1, Limit: 1})
	if err != nil {
		r.Fatal(err)
	}
	return of.Total
}

// lifecycle runs random operations on the meters of one account, and remembers the lives that its
// bill depends on.
type lifecycle struct {
	r        *rig
	account  id.ID
	lives    map[id.ID]*run
	subjects []id.ID
}

const lifecycleCredit = 1_000_000 * money.USD

var (
	prices = rapid.Custom(func(t *rapid.T) money.Micros {
		return money.Micros(rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, 100_000_000)).Draw(t, "price"))
	})
	again = rapid.IntRange(1, 2)
	// spans are often those that are easily got wrong: exact boundaries and one second beside them.
	spans = rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.OneOf(rapid.SampledFrom([]int64{0, 1, 3599, 3600, 3601, 7200}),
			rapid.Int64Range(0, 4*3600)).Draw(t, "seconds")) * time.Second
	})
)

// TestBillDependsOnlyOnLifecycle starts, reprices, stops and sweeps at random times, each any
// number of times, and compares with a bill that knows nothing of sweeps.
func TestBillDependsOnlyOnLifecycle(t *testing.T) {
	checks(t, "50")
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		shared := newRig(t, d, c)
		rapid.Check(t, func(t *rapid.T) {
			r := *shared
			r.fataler = t
			x := &lifecycle{r: &r, account: r.account(lifecycleCredit), lives: map[id.ID]*run{}}
			defer x.stopAll()
			t.Repeat(map[string]func(*rapid.T){
				"start": x.start, "stop": x.stop, "reprice": x.reprice, "sweep": x.sweep,
				"time passes":      func(t *rapid.T) { c.Advance(spans.Draw(t, "span")) },
				"a boundary comes": x.boundaryComes,
			})
			x.check(t)
		})
		shared.audited()
	})
}

// stopAll keeps the next case from sweeping what this one leaves.
func (x *lifecycle) stopAll() {
	if err := x.r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		for _, s := range x.subjects {
			if _, err := x.r.meter.Stop(ctx, tx, s, tx.Now, meter.NoRefund); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		panic(err)
	}
}

func (x *lifecycle) one(t *rapid.T) id.ID {
	if len(x.subjects) == 0 {
		t.Skip("nothing was started")
	}
	return rapid.SampledFrom(x.subjects).Draw(t, "subject")
}

func (x *lifecycle) start(t *rapid.T) {
	if len(x.subjects) == 4 {
		t.Skip("enough")
	}
	s := meter.Start{
		Subject: x.r.ids.New(rapid.SampledFrom([]id.Kind{id.Deployment, id.Volume}).Draw(t, "kind")),
		Account: x.account, HourlyPrice: prices.Draw(t, "price"),
		At: x.r.clock.Now().Add(-spans.Draw(t, "ago")), Description: "x", Labels: wallet.Labels{Name: "n"},
	}
	begin := s.At.Truncate(time.Second)
	x.subjects = append(x.subjects, s.Subject)
	x.lives[s.Subject] = &run{begin: begin, prices: []agreed{{begin, s.HourlyPrice}}}
	for range again.Draw(t, "times") {
		x.r.start(s)
		s.HourlyPrice++ // a repetition that differs changes nothing either
	}
}

func (x *lifecycle) stop(t *rapid.T) {
	s, rule := x.one(t), meter.Rule(rapid.IntRange(1, 3).Draw(t, "rule"))
	l := x.lives[s]
	at := x.r.clock.Now().Add(-spans.Draw(t, "ago")).Truncate(time.Second)
	for i := range l.prices { // a price that was agreed after the stop is not the bill's
		if l.prices[i].from.After(at) && i > 0 {
			at = x.r.clock.Now().Truncate(time.Second)
		}
	}
	before, booked := x.r.cost(s), x.r.hours(x.account, s)
	preview, err := refundAt(x.r.Context(), x.r.meter, x.r.db, s, at, rule)
	if err != nil {
		t.Fatal(err)
	}
	refunded := money.Micros(0)
	for range again.Draw(t, "times") {
		refunded += x.r.stop(s, at, rule)
	}
	if !l.end.IsZero() {
		if refunded != 0 || x.r.cost(s) != before {
			t.Fatalf("a second stop refunded %s", refunded)
		}
		return
	}
	begun := l.begunBefore(at)
	if got, want := x.r.hours(x.account, s), max(booked, begun); got != want {
		t.Fatalf("%d hours are charged at a stop after %d began, %d before it; want %d", got, begun, booked, want)
	}
	l.end, l.rule = at, rule
	if l.end.Before(l.begin) {
		l.end = l.begin
	}
	if preview != refunded {
		t.Fatalf("Preview = %s, but Stop refunded %s", preview, refunded)
	}
	x.checkCost(t, s)
}

// begunBefore returns how many hours begin before t.
func (l run) begunBefore(t time.Time) (n int) {
	for from := l.begin; from.Before(t); from = from.Add(time.Hour) {
		n++
	}
	return n
}

func (x *lifecycle) reprice(t *rapid.T) {
	s, price := x.one(t), prices.Draw(t, "price")
	booked := x.r.hours(x.account, s)
	for range again.Draw(t, "times") {
		x.r.tx(func(ctx context.Context, tx *db.Tx) error {
			return x.r.meter.Reprice(ctx, tx, s, price, wallet.Labels{Name: "n"}, "y")
		})
	}
	l := x.lives[s]
	if !l.end.IsZero() {
		return
	}
	from := x.r.clock.Now()
	if l.begin.Add(time.Duration(booked-1) * time.Hour).Equal(from) { // the hour of this instant was charged already
		from = from.Add(time.Microsecond)
	}
	l.prices = append(l.prices, agreed{from, price})
}

// boundaryComes advances to the end of an hour or half of one, exactly or a microsecond beside it.
// Half an hour at an odd price is half a micro-dollar.
func (x *lifecycle) boundaryComes(t *rapid.T) {
	begin := x.lives[x.one(t)].begin
	step := rapid.SampledFrom([]time.Duration{time.Hour, 30 * time.Minute}).Draw(t, "step")
	next := begin.Add(x.r.clock.Now().Sub(begin).Truncate(step) + step)
	x.r.clock.AdvanceTo(next.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "beside")) * time.Microsecond))
}

func (x *lifecycle) sweep(t *rapid.T) {
	for range again.Draw(t, "times") {
		x.r.sweep()
	}
	for s := range x.lives {
		x.checkCost(t, s)
	}
}

// checkCost compares what the subject has cost with its bill, and returns it.
func (x *lifecycle) checkCost(t *rapid.T, s id.ID) money.Micros {
	got, want := x.r.cost(s), x.lives[s].bill(x.r.clock.Now())
	if got != want {
		t.Fatalf("%s cost %s, want %s: %+v", s, got, want, *x.lives[s])
	}
	return got
}

// check compares the account's money, usage and refunds with the bills.
func (x *lifecycle) check(t *rapid.T) {
	x.r.sweep()
	total := money.Micros(0)
	for s := range x.lives {
		total += x.checkCost(t, s)
	}
	if got, want := x.r.available(x.account), lifecycleCredit-total; got != want {
		t.Fatalf("%s is available, want %s", got, want)
	}
	u, err := x.r.ledger.Usage(x.r.Context(), x.r.db, x.account, wallet.UsageQuery{
		From: dbtest.Start.AddDate(-1, 0, 0), To: x.r.clock.Now().AddDate(1, 0, 0), By: wallet.ByDay,
	})
	if err != nil || u.Total != total {
		t.Fatalf("Usage = %s, %v; want %s", u.Total, err, total)
	}
	for _, l := range x.r.lines(x.account) {
		if l.Type == wallet.TypeRefund && l.Amount > *l.HourlyPrice {
			t.Fatalf("%s refunds %s at %s an hour", l.Description, l.Amount, *l.HourlyPrice)
		}
	}
}
