package meter_test

import (
	"context"
	"fmt"
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

// life is a metered thing with what its provider asks, as the test remembers it.
type life struct {
	subject, account id.ID
	labels           wallet.Labels
	costs            []span
}

type span struct {
	from, to time.Time // to is zero while it costs
	hourly   money.Micros
}

// seconds are those begun between the span's beginning and t.
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

// Revenue less cost is the margin to the micro-dollar, however the interval is cut and whatever the
// groups are.
func TestMarginsAddUpForEveryGrouping(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		chance := rand.New(rand.NewPCG(3, 14))
		begin := c.Now()
		var lives []*life
		for i := range 24 {
			kind, gpu := id.Deployment, []string{"NVIDIA B200", "NVIDIA H100"}[i%2]
			if i%4 == 3 {
				kind, gpu = id.Volume, ""
			}
			l := &life{subject: id.ID(fmt.Sprintf("%s_%d", kind, i)), account: id.ID(fmt.Sprintf("acc_%d", i%3)),
				labels: wallet.Labels{Provider: []string{"northgrid", "basalt"}[i%2], GPUType: gpu, Name: "x"}}
			lives = append(lives, l)
		}
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			for i := range 3 {
				if err := r.ledger.Open(ctx, tx, id.ID(fmt.Sprintf("acc_%d", i))); err != nil {
					return err
				}
			}
			return nil
		})
		for range 200 {
			c.Advance(time.Duration(chance.Int64N(int64(2 * time.Hour))))
			l := lives[chance.IntN(len(lives))]
			now := c.Now().Truncate(time.Second)
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				if len(l.costs) == 0 {
					hourly, cost := money.Micros(chance.Int64N(40_000_000)), money.Micros(chance.Int64N(30_000_000))
					l.costs = []span{{from: now, hourly: cost}}
					return r.meter.Start(ctx, tx, meter.Start{Subject: l.subject, Account: l.account,
						HourlyPrice: hourly, HourlyCost: cost, At: now, Description: "d", Labels: l.labels})
				}
				last := &l.costs[len(l.costs)-1]
				switch chance.IntN(5) {
				case 0: // it grows
					if !last.to.IsZero() {
						return nil
					}
					cost := money.Micros(chance.Int64N(30_000_000))
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
			})
			if _, err := r.meter.Sweep(t.Context(), meter.Fleet); err != nil {
				t.Fatal(err)
			}
		}
		end := c.Now().Add(time.Hour)
		ask := func(from, to time.Time, by wallet.GroupBy) (rows map[string]meter.Margin, sum meter.Margin) {
			t.Helper()
			all, err := r.meter.Margins(t.Context(), d, from, to, c.Now(), by)
			if err != nil {
				t.Fatal(err)
			}
			rows = map[string]meter.Margin{}
			for _, m := range all {
				rows[m.Key] = m
				if m.Revenue-m.Cost != m.Margin() {
					t.Errorf("%+v", m)
				}
				sum.Revenue, sum.Cost, sum.Seconds = sum.Revenue+m.Revenue, sum.Cost+m.Cost, sum.Seconds+m.Seconds
			}
			return rows, sum
		}
		byProvider, whole := ask(begin, end, wallet.ByProvider)
		// What the ledger says was earned, all accounts together.
		var earned, cost money.Micros
		for i := range 3 {
			w, err := r.ledger.Get(t.Context(), d, id.ID(fmt.Sprintf("acc_%d", i)))
			if err != nil {
				t.Fatal(err)
			}
			earned -= w.Balance
		}
		north := money.Micros(0)
		for _, l := range lives {
			for _, s := range l.costs {
				cost += money.ForSeconds(s.hourly, s.seconds(end, c.Now()))
				if l.labels.Provider == "northgrid" {
					north += money.ForSeconds(s.hourly, s.seconds(end, c.Now()))
				}
			}
		}
		if whole.Revenue != earned || whole.Cost != cost || earned == 0 || cost == 0 ||
			byProvider["northgrid"].Cost != north {
			t.Fatalf("revenue %s, the ledger says %s; cost %s, by hand %s; northgrid %s, by hand %s", whole.Revenue,
				earned, whole.Cost, cost, byProvider["northgrid"].Cost, north)
		}
		for _, by := range []wallet.GroupBy{wallet.ByAccount, wallet.ByGPUType, wallet.ByDay} {
			if _, sum := ask(begin, end, by); sum != whole {
				t.Errorf("by %s: %+v, want %+v", by, sum, whole)
			}
		}
		days, _ := ask(begin, end, wallet.ByDay)
		if len(days) < 5 || days[begin.Format(time.DateOnly)].Cost == 0 &&
			days[begin.Add(24*time.Hour).Format(time.DateOnly)].Cost == 0 {
			t.Errorf("%v", days)
		}
		for range 20 { // cut at any instant, also within a second
			cut := begin.Add(time.Duration(chance.Int64N(int64(end.Sub(begin))))).Truncate(time.Microsecond)
			for _, by := range []wallet.GroupBy{wallet.ByProvider, wallet.ByDay} {
				_, a := ask(begin, cut, by)
				_, b := ask(cut, end, by)
				if a.Revenue+b.Revenue != whole.Revenue || a.Cost+b.Cost != whole.Cost ||
					a.Seconds+b.Seconds != whole.Seconds {
					t.Errorf("cut at %s by %s: %+v and %+v, want %+v", cut, by, a, b, whole)
				}
			}
		}
		if _, err := r.meter.Margins(t.Context(), d, begin, end, c.Now(), wallet.ByDeployment); err == nil {
			t.Error("grouped by an unknown key")
		}
	})
}
