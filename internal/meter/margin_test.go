package meter_test

import (
	"context"
	"math/rand/v2"
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
		var earned, cost, north money.Micros
		for _, account := range accounts {
			earned -= r.available(account)
		}
		for _, l := range lives {
			cost += l.cost(end, now)
			if l.labels.Provider == "northgrid" {
				north += l.cost(end, now)
			}
		}
		byProvider, whole := r.margins(begin, end, wallet.ByProvider)
		if whole.Revenue != earned || whole.Cost != cost || earned == 0 || cost == 0 {
			t.Fatalf("revenue %s and cost %s; want %s, as the ledger says, and %s", whole.Revenue, whole.Cost, earned,
				cost)
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
