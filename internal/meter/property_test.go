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

// bill reckons from the life alone what it costs at now, hour by hour, in fractions.
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

// hours is how many hours of the subject are on the statement.
func (r *rig) hours(account, subject id.ID) int {
	r.Helper()
	_, of, err := r.ledger.Transactions(r.Context(), r.db, account,
		wallet.Filter{Types: []wallet.Type{wallet.TypeCharge}, Subject: subject}, db.Page{Number: 1, Limit: 1})
	if err != nil {
		r.Fatal(err)
	}
	return of.Total
}

// TestBillDependsOnlyOnLifecycle starts, reprices, stops and sweeps at random times, each any
// number of times, and compares with a bill that knows nothing of sweeps.
func TestBillDependsOnlyOnLifecycle(t *testing.T) {
	checks(t, "50")
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		shared := newRig(t, d, c)
		rapid.Check(t, func(t *rapid.T) {
			r := *shared
			r.fataler = t
			const money0 = 1_000_000 * money.USD
			account := r.account(money0)
			lives := map[id.ID]*run{}
			var subjects []id.ID
			prices := rapid.Custom(func(t *rapid.T) money.Micros {
				return money.Micros(rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, 100_000_000)).Draw(t,
					"price"))
			})
			again := rapid.IntRange(1, 2)
			// Times that are hostile: exact boundaries and one second beside them.
			spans := rapid.Custom(func(t *rapid.T) time.Duration {
				return time.Duration(rapid.OneOf(rapid.SampledFrom([]int64{0, 1, 3599, 3600, 3601, 7200}),
					rapid.Int64Range(0, 4*3600)).Draw(t, "seconds")) * time.Second
			})
			one := func(t *rapid.T) id.ID {
				if len(subjects) == 0 {
					t.Skip("nothing was started")
				}
				return rapid.SampledFrom(subjects).Draw(t, "subject")
			}
			defer func() { // or the next check would sweep what this one leaves
				if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
					for _, s := range subjects {
						if _, err := r.meter.Stop(ctx, tx, s, tx.Now, meter.NoRefund); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					panic(err)
				}
			}()
			t.Repeat(map[string]func(*rapid.T){
				"start": func(t *rapid.T) {
					if len(subjects) == 4 {
						t.Skip("enough")
					}
					s := meter.Start{
						Subject: r.ids.New(rapid.SampledFrom([]id.Kind{id.Deployment, id.Volume}).Draw(t, "kind")),
						Account: account, HourlyPrice: prices.Draw(t, "price"),
						At: c.Now().Add(-spans.Draw(t, "ago")), Description: "x", Labels: wallet.Labels{Name: "n"},
					}
					begin := s.At.Truncate(time.Second)
					subjects = append(subjects, s.Subject)
					lives[s.Subject] = &run{begin: begin, prices: []agreed{{begin, s.HourlyPrice}}}
					for range again.Draw(t, "times") {
						r.start(s)
						s.HourlyPrice++ // a repetition that differs changes nothing either
					}
				},
				"stop": func(t *rapid.T) {
					s, rule := one(t), meter.Rule(rapid.IntRange(1, 3).Draw(t, "rule"))
					l := lives[s]
					at := c.Now().Add(-spans.Draw(t, "ago")).Truncate(time.Second)
					for i := range l.prices { // a price that was agreed after the stop is not the bill's
						if l.prices[i].from.After(at) && i > 0 {
							at = c.Now().Truncate(time.Second)
						}
					}
					before, booked := r.cost(s), r.hours(account, s)
					foretold, err := r.meter.Preview(r.Context(), d, s, at, rule)
					if err != nil {
						t.Fatal(err)
					}
					refunded := money.Micros(0)
					for range again.Draw(t, "times") {
						refunded += r.stop(s, at, rule)
					}
					if !l.end.IsZero() {
						if refunded != 0 || r.cost(s) != before {
							t.Fatalf("stopped again: %s", refunded)
						}
						return
					}
					begun := 0
					for from := l.begin; from.Before(at); from = from.Add(time.Hour) {
						begun++
					}
					if got := r.hours(account, s); got != max(booked, begun) {
						t.Fatalf("%d hours charged at a stop after %d began, %d before it", got, begun, booked)
					}
					l.end, l.rule = at, rule
					if l.end.Before(l.begin) {
						l.end = l.begin
					}
					if foretold != refunded {
						t.Fatalf("foretold %s, refunded %s", foretold, refunded)
					}
					if got, want := r.cost(s), l.bill(c.Now()); got != want {
						t.Fatalf("%s cost %s, reckoned %s: %+v", s, got, want, *l)
					}
				},
				"reprice": func(t *rapid.T) {
					s, price := one(t), prices.Draw(t, "price")
					booked := r.hours(account, s)
					for range again.Draw(t, "times") {
						r.tx(func(ctx context.Context, tx *db.Tx) error {
							return r.meter.Reprice(ctx, tx, s, price, wallet.Labels{Name: "n"}, "y")
						})
					}
					if l := lives[s]; l.end.IsZero() {
						from := c.Now()
						// the hour of this very instant was charged already
						if l.begin.Add(time.Duration(booked-1) * time.Hour).Equal(from) {
							from = from.Add(time.Microsecond)
						}
						l.prices = append(l.prices, agreed{from, price})
					}
				},
				"time passes": func(t *rapid.T) { c.Advance(spans.Draw(t, "span")) },
				// exactly, or a microsecond beside it; half an hour at an odd price is half a
				// micro-dollar
				"a boundary comes": func(t *rapid.T) {
					begin, step := lives[one(t)].begin, rapid.SampledFrom(
						[]time.Duration{time.Hour, 30 * time.Minute}).Draw(t, "step")
					next := begin.Add(c.Now().Sub(begin).Truncate(step) + step)
					c.AdvanceTo(next.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "beside")) * time.Microsecond))
				},
				"sweep": func(t *rapid.T) {
					for range again.Draw(t, "times") {
						r.sweep()
					}
					for s, l := range lives {
						if got, want := r.cost(s), l.bill(c.Now()); got != want {
							t.Fatalf("%s cost %s, reckoned %s: %+v", s, got, want, *l)
						}
					}
				},
			})
			r.sweep()
			total := money.Micros(0)
			for s, l := range lives {
				got, want := r.cost(s), l.bill(c.Now())
				if got != want {
					t.Fatalf("%s cost %s, reckoned %s: %+v", s, got, want, *l)
				}
				total += got
			}
			if got := r.available(account); got != money0-total {
				t.Fatalf("available %s, spent %s", got, total)
			}
			u, err := r.ledger.Usage(r.Context(), d, account, dbtest.Start.AddDate(-1, 0, 0), c.Now().AddDate(1, 0, 0),
				wallet.ByDay)
			if err != nil || u.Total != total {
				t.Fatalf("usage %s, spent %s, %v", u.Total, total, err)
			}
			for _, l := range r.lines(account) {
				if l.Type == wallet.TypeRefund && l.Amount > *l.HourlyPrice {
					t.Fatalf("%s refunds %s at %s an hour", l.Description, l.Amount, *l.HourlyPrice)
				}
			}
		})
		shared.audited()
	})
}
