package meter_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// life is a metered subject and what its provider charges, as the test remembers it.
type life struct {
	subject, account id.ID
	labels           wallet.Labels
	costs            []span
}

type span struct {
	from, to time.Time // to is zero while it costs
	hourly   money.Micros
}

// seconds returns how many seconds of the span begin before t.
func (s span) seconds(t, now time.Time) int64 {
	end := s.to
	if end.IsZero() {
		end = now
	}
	if t.Before(end) {
		end = t
	}
	if !end.After(s.from) {
		return 0
	}
	return int64((end.Sub(s.from) + time.Second - 1) / time.Second)
}

// cost returns what the provider charges by end.
func (l *life) cost(end, now time.Time) (sum money.Micros) {
	for _, s := range l.costs {
		sum += money.ForSeconds(s.hourly, s.seconds(end, now))
	}
	return sum
}

// step starts a life, or makes it grow, stop, end at the provider or go on.
func (l *life) step(ctx context.Context, tx *db.Tx, r *rig, now time.Time, chance *rand.Rand) error {
	price := func() money.Micros { return money.Micros(chance.Int64N(30_000_000)) }
	if len(l.costs) == 0 {
		s := meter.Start{Subject: l.subject, Account: l.account, At: now, Description: "d", Labels: l.labels,
			HourlyPrice: money.Micros(chance.Int64N(40_000_000)), HourlyCost: price()}
		l.costs = []span{{from: now, hourly: s.HourlyCost}}
		return r.meter.Start(ctx, tx, s)
	}
	last := &l.costs[len(l.costs)-1]
	switch chance.IntN(5) {
	case 0: // it grows
		if !last.to.IsZero() {
			return nil
		}
		cost := price()
		if now.Equal(last.from) || cost == last.hourly {
			last.hourly = cost
		} else {
			last.to = now
			l.costs = append(l.costs, span{from: now, hourly: cost})
		}
		return r.meter.CostChanges(ctx, tx, l.subject, cost)
	case 1:
		_, err := r.meter.Stop(ctx, tx, l.subject, tx.Now, meter.FirstHour)
		return err
	case 2: // the provider confirms its end, some time after the tenant's
		if last.to.IsZero() {
			last.to = tx.Now
		}
		return r.meter.CostEnds(ctx, tx, l.subject, tx.Now)
	case 3: // and was wrong
		last.to = time.Time{}
		return r.meter.CostGoesOn(ctx, tx, []id.ID{l.subject})
	}
	return nil
}

// randomLives has subjects of three accounts and two providers start, grow and end at random for
// some days.
func (r *rig) randomLives(chance *rand.Rand) (lives []*life, accounts []id.ID) {
	r.Helper()
	for range 3 {
		accounts = append(accounts, r.account(0))
	}
	for i := range 24 {
		kind, gpu := id.Deployment, []string{"NVIDIA B200", "NVIDIA H100"}[i%2]
		if i%4 == 3 {
			kind, gpu = id.Volume, ""
		}
		lives = append(lives, &life{subject: r.ids.New(kind), account: accounts[i%3],
			labels: wallet.Labels{Provider: []string{"northgrid", "basalt"}[i%2], GPUType: gpu, Name: "x"}})
	}
	for range 200 {
		r.clock.Advance(time.Duration(chance.Int64N(int64(2 * time.Hour))))
		l, now := lives[chance.IntN(len(lives))], r.clock.Now().Truncate(time.Second)
		r.tx(func(ctx context.Context, tx *db.Tx) error { return l.step(ctx, tx, r, now, chance) })
		r.sweep()
	}
	return lives, accounts
}

// margins returns the margins of an interval by the key of their group, and their sum.
func (r *rig) margins(from, to time.Time, by wallet.GroupBy) (rows map[string]meter.Margin, sum meter.Margin) {
	r.Helper()
	all, err := r.meter.Margins(r.Context(), r.db, from, to, r.clock.Now(), by)
	if err != nil {
		r.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b meter.Margin) int {
		if by == wallet.ByDay {
			return cmp.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(b.Revenue, a.Revenue), cmp.Compare(a.Key, b.Key))
	}) {
		r.Fatalf("the margins by %s are not sorted: %+v", by, all)
	}
	rows = map[string]meter.Margin{}
	for _, m := range all {
		rows[m.Key] = m
		if m.Revenue-m.Cost != m.Margin() {
			r.Fatalf("the margin of %+v is %s", m, m.Margin())
		}
		sum.Revenue, sum.Cost, sum.Seconds = sum.Revenue+m.Revenue, sum.Cost+m.Cost, sum.Seconds+m.Seconds
	}
	return rows, sum
}

// Revenue less cost is the margin to the micro-dollar, however the interval is cut and whatever the
// groups are.
func TestMarginsAddUpForEveryGrouping(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, chance, begin := newRig(t, d, c), rand.New(rand.NewPCG(3, 14)), c.Now()
		lives, accounts := r.randomLives(chance)
		now, end := c.Now(), c.Now().Add(time.Hour)
		var cost, north money.Micros
		charged := r.charged(accounts)
		earned := charged - r.unearned(now)
		for _, l := range lives {
			cost += l.cost(end, now)
			if l.labels.Provider == "northgrid" {
				north += l.cost(end, now)
			}
		}
		byProvider, whole := r.margins(begin, end, wallet.ByProvider)
		if whole.Revenue != earned || whole.Cost != cost || earned == 0 || cost == 0 {
			t.Fatalf("revenue %s and cost %s; want %s and %s", whole.Revenue, whole.Cost, earned, cost)
		}
		if got := byProvider["northgrid"].Cost; got != north {
			t.Fatalf("the cost of northgrid is %s, want %s", got, north)
		}
		for _, by := range []wallet.GroupBy{wallet.ByAccount, wallet.ByGPUType, wallet.ByDay} {
			if _, sum := r.margins(begin, end, by); sum != whole {
				t.Errorf("the sum by %s is %+v, want %+v", by, sum, whole)
			}
		}
		days, _ := r.margins(begin, end, wallet.ByDay)
		if len(days) < 5 || days[begin.Format(time.DateOnly)].Cost == 0 &&
			days[begin.Add(24*time.Hour).Format(time.DateOnly)].Cost == 0 {
			t.Errorf("margins by day: %v", days)
		}
		for range 20 { // cut at any instant, also within a second
			cut := begin.Add(time.Duration(chance.Int64N(int64(end.Sub(begin))))).Truncate(time.Microsecond)
			for _, by := range []wallet.GroupBy{wallet.ByProvider, wallet.ByDay} {
				_, a := r.margins(begin, cut, by)
				_, b := r.margins(cut, end, by)
				got := meter.Margin{
					Revenue: a.Revenue + b.Revenue, Cost: a.Cost + b.Cost, Seconds: a.Seconds + b.Seconds,
				}
				if got != whole {
					t.Errorf("cut at %s, the sum by %s is %+v, want %+v", cut, by, got, whole)
				}
			}
		}
		if _, err := r.meter.Margins(t.Context(), d, begin, end, now, wallet.ByDeployment); err == nil {
			t.Error("Margins by an unknown key = nil, want an error")
		}
	})
}

// charged returns what the accounts, which have had no money, have paid, less refunds.
func (r *rig) charged(accounts []id.ID) (sum money.Micros) {
	r.Helper()
	for _, account := range accounts {
		sum -= r.available(account)
	}
	return sum
}

// unearned returns what running subjects have paid for the rest of their hours.
func (r *rig) unearned(now time.Time) (sum money.Micros) {
	r.Helper()
	rows, err := db.Collect(r.Context(), r.db, func(row db.Row) (paid money.Micros, err error) {
		var from time.Time
		if err = row.Scan(&from, &paid); err == nil {
			paid -= money.ForSeconds(paid, int64((now.Sub(from)+time.Second-1)/time.Second))
		}
		return paid, err
	}, `SELECT c.from_at, c.amount FROM wallet_charge c JOIN meter m ON m.subject = c.subject
		WHERE m.stopped_at IS NULL AND c.hour = m.hours - 1`)
	if err != nil {
		r.Fatal(err)
	}
	for _, paid := range rows {
		sum += paid
	}
	return sum
}

// Nothing is earned before it is charged, and what was charged and not refunded is earned to the
// micro-dollar once everything has ended, also when an end is known late or refunds nothing.
func TestEarnedRevenueEqualsTheLedgerOnceAllHasEnded(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, chance, begin := newRig(t, d, c), rand.New(rand.NewPCG(27, 18)), c.Now()
		lives, accounts := r.randomLives(chance)
		for _, l := range lives {
			c.Advance(time.Duration(chance.Int64N(int64(time.Hour))))
			r.sweep()
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				at := tx.Now.Add(-time.Duration(chance.Int64N(int64(10 * time.Minute))))
				_, err := r.meter.Stop(ctx, tx, l.subject, at, meter.Rule(1+chance.IntN(3)))
				return err
			})
			now := c.Now()
			_, sum := r.margins(begin, now, wallet.ByProvider)
			if charged := r.charged(accounts); sum.Revenue < 0 || sum.Revenue > charged {
				t.Fatalf("%s is earned of %s", sum.Revenue, charged)
			}
		}
		now := c.Now()
		for _, by := range []wallet.GroupBy{wallet.ByProvider, wallet.ByAccount, wallet.ByGPUType, wallet.ByDay} {
			_, sum := r.margins(begin, now, by)
			if charged := r.charged(accounts); sum.Revenue != charged || charged == 0 {
				t.Errorf("by %s, %s is earned at the end; want %s, as the ledger says", by, sum.Revenue, charged)
			}
		}
	})
}

// At equal rates, revenue and cost of any interval are equal while the machine runs.
func TestWithoutMarkupTheMarginIsZeroWhileItRuns(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, chance := newRig(t, d, c), rand.New(rand.NewPCG(1, 61))
		account, begin := r.account(0), c.Now()
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			return r.meter.Start(ctx, tx, meter.Start{Subject: r.ids.New(id.Deployment), Account: account, At: tx.Now,
				Description: "d", HourlyPrice: 23_920_007, HourlyCost: 23_920_007})
		})
		for range 30 {
			c.Advance(time.Duration(chance.Int64N(int64(3 * time.Hour))))
			r.sweep()
			now := c.Now()
			from := begin.Add(time.Duration(chance.Int64N(int64(now.Sub(begin)) + 1)))
			for _, by := range []wallet.GroupBy{wallet.ByProvider, wallet.ByDay} {
				rows, sum := r.margins(from, now, by)
				for key, m := range rows {
					if m.Margin() != 0 {
						t.Fatalf("from %s to %s, the margin of %q is %s (%+v)", from, now, key, m.Margin(), m)
					}
				}
				if sum.Revenue == 0 && now.Sub(from) > 0 {
					t.Fatalf("nothing is earned from %s to %s", from, now)
				}
			}
		}
	})
}
