package wallet_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// paidHour is an hour that was charged, and what was refunded of it.
type paidHour struct {
	wallet.Charge
	refunded money.Micros
	ended    time.Time // zero where it did not end early
}

// earned returns what the hour has earned by an instant.
func (h *paidHour) earned(at time.Time) money.Micros {
	net := h.Amount - h.refunded
	switch {
	case !at.After(h.From):
		return 0
	case !at.Before(h.To), !h.ended.IsZero() && !at.Before(h.ended):
		return net
	}
	return min(net, money.ForSeconds(h.Amount, int64((at.Sub(h.From)+time.Second-1)/time.Second)))
}

const paidDays = 6

// payHours charges hours of several subjects of two accounts, twice each, and refunds parts of
// some.
func payHours(t *testing.T, r *rig, accounts []id.ID, chance *rand.Rand) (all []*paidHour) {
	t.Helper()
	for s := range 8 {
		subject := r.ids.New(id.Deployment)
		first := dbtest.Start.Add(time.Duration(chance.Int64N(int64(paidDays * 24 * time.Hour)))).Truncate(time.Second)
		var batch []wallet.Charge
		for n := range chance.Int64N(40) {
			h := hour(accounts[s%2], subject, n, money.Micros(1+chance.Int64N(5_000_000)))
			h.From = first.Add(time.Duration(n) * time.Hour)
			h.To = h.From.Add(time.Hour)
			h.Provider = []string{"voltage-park", "northgrid"}[s%2]
			h.GPUType = []string{"NVIDIA B200", "AMD MI300X", ""}[s%3]
			batch = append(batch, h)
			all = append(all, &paidHour{Charge: h})
		}
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.ledger.ChargeAll(ctx, tx, append(batch, batch...))
			return err
		})
	}
	for _, h := range all {
		if chance.IntN(4) > 0 {
			continue
		}
		h.refunded = 1 + money.Micros(chance.Int64N(int64(h.Amount)))
		h.end(r, chance)
		for range 2 {
			if _, err := r.refund(back(h.Charge, h.refunded)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// end has the hour end early. Later hours of the subject, too, which are already over.
func (h *paidHour) end(r *rig, chance *rand.Rand) {
	h.ended = h.From.Add(time.Duration(chance.Int64N(3600)) * time.Second)
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE wallet_charge SET ended_at = $1 WHERE subject = $2 AND hour = $3`,
			h.ended, h.Subject, h.Hour)
		return err
	})
}

// sumEarned returns what the hours earn in the interval, second by second, by the key of their
// group.
func sumEarned(all []*paidHour, from, to time.Time, by wallet.GroupBy) map[string]money.Micros {
	sums := map[string]money.Micros{}
	for _, h := range all {
		key := map[wallet.GroupBy]string{
			wallet.ByGPUType: h.GPUType, wallet.ByProvider: h.Provider, wallet.ByAccount: string(h.Account),
		}[by]
		for lo := from; lo.Before(to); {
			hi := to
			if by == wallet.ByDay {
				if midnight := lo.Truncate(24 * time.Hour).Add(24 * time.Hour); midnight.Before(to) {
					hi = midnight
				}
				key = lo.Format(time.DateOnly)
			}
			sums[key] += h.earned(hi) - h.earned(lo)
			lo = hi
		}
	}
	return sums
}

// sumHours returns the sums of the hours that begin in the interval, by the key of their group.
func sumHours(all []*paidHour, from, to time.Time, by wallet.GroupBy) map[string]money.Micros {
	sums := map[string]money.Micros{}
	for _, h := range all {
		if h.From.Before(from) || !h.From.Before(to) {
			continue
		}
		key := map[wallet.GroupBy]string{
			wallet.ByDay: h.From.Format(time.DateOnly), wallet.ByDeployment: string(h.Subject),
			wallet.ByGPUType: h.GPUType, wallet.ByProvider: h.Provider, wallet.ByAccount: string(h.Account),
		}[by]
		sums[key] += h.Amount - h.refunded
	}
	return sums
}

// Hours of several subjects are charged, and usage of intervals that begin and end anywhere is
// compared with a plain sum over the hours. So is revenue, with what each hour earned.
func TestDayTotalsAreTheSumOfTheHours(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, chance := newRig(t, d, c), rand.New(rand.NewPCG(3, 5))
		accounts := []id.ID{r.account(money.Dollars(1)), r.account(money.Dollars(1))}
		all := payHours(t, r, accounts, chance)
		r.audited()
		var own []*paidHour
		for _, h := range all {
			if h.Account == accounts[0] {
				own = append(own, h)
			}
		}
		at := func() time.Time {
			at := dbtest.Start.Add(time.Duration(chance.Int64N(int64((paidDays + 3) * 24 * time.Hour))))
			if chance.IntN(3) == 0 {
				at = at.Truncate(24 * time.Hour)
			}
			return at
		}
		for range 60 {
			from, to := at(), at()
			if to.Before(from) {
				from, to = to, from
			}
			now := at()
			until := to
			if now.Before(until) {
				until = now
			}
			for _, by := range []wallet.GroupBy{wallet.ByDay, wallet.ByGPUType, wallet.ByProvider, wallet.ByAccount} {
				got, err := r.ledger.Revenue(t.Context(), d, from, to, now, by)
				want, zero := sumEarned(all, from, until, by), func(_ string, m money.Micros) bool { return m == 0 }
				maps.DeleteFunc(got, zero)
				maps.DeleteFunc(want, zero)
				if err != nil || !maps.Equal(got, want) {
					t.Fatalf("Revenue by %s from %s to %s, at %s = %v, %v; want %v", by, from, to, now, got, err, want)
				}
			}
			for _, by := range []wallet.GroupBy{
				wallet.ByDay, wallet.ByGPUType, wallet.ByProvider, wallet.ByDeployment,
			} {
				r.checkUsage(accounts[0], from, to, by, sumHours(own, from, to, by))
			}
		}
	})
}

func (r *rig) checkUsage(account id.ID, from, to time.Time, by wallet.GroupBy, want map[string]money.Micros) {
	r.Helper()
	u, err := r.ledger.Usage(r.Context(), r.db, account, wallet.UsageQuery{From: from, To: to, By: by})
	got, total := map[string]money.Micros{}, money.Micros(0)
	for _, g := range u.Groups {
		got[g.Key] = g.Cost
	}
	for _, cost := range want {
		total += cost
	}
	if err != nil || u.Total != total || !maps.Equal(got, want) {
		r.Fatalf("Usage by %s from %s to %s = %v, %v; want %v, the sum %s", by, from, to, u, err, want, total)
	}
}

// An hour is paid at once and earned second by second, and its rest when its subject stops.
func TestRevenueAccruesOverTheHour(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, subject := r.account(money.Dollars(100)), r.ids.New(id.Deployment)
		begin := c.Now().Truncate(time.Second)
		h := hour(account, subject, 0, money.Dollars(36))
		h.From, h.To = begin, begin.Add(time.Hour)
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.ledger.ChargeAll(ctx, tx, []wallet.Charge{h})
			return err
		})
		check := func(what string, after time.Duration, want money.Micros) {
			t.Helper()
			now := begin.Add(after)
			got, err := r.ledger.Revenue(
				t.Context(),
				d,
				begin.Add(-time.Hour),
				begin.Add(9*time.Hour),
				now,
				wallet.ByAccount,
			)
			if err != nil || got[string(account)] != want {
				t.Errorf("%s, %s after the beginning, %v, %v is earned; want %s", what, after, got, err, want)
			}
		}
		check("running", 0, 0)
		check("running", time.Microsecond, 10_000) // a started second counts
		check("running", time.Second, 10_000)
		check("running", 30*time.Minute, money.Dollars(18))
		check("running", time.Hour, money.Dollars(36))
		check("running", 2*time.Hour, money.Dollars(36))
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			return r.ledger.Ends(ctx, tx, subject, 0, begin.Add(30*time.Minute))
		})
		check("stopped without a refund", 29*time.Minute, money.Dollars(36)/60*29)
		check("stopped without a refund", 30*time.Minute, money.Dollars(36))
		if _, err := r.refund(back(h, money.Dollars(18))); err != nil {
			t.Fatal(err)
		}
		check("refunded", 20*time.Minute, money.Dollars(12))
		check("refunded", 30*time.Minute, money.Dollars(18))
		check("refunded", 50*time.Minute, money.Dollars(18))
	})
}
