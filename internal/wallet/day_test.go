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
		for range 2 {
			if _, err := r.refund(back(h.Charge, h.refunded)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
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

// Hours of several subjects are charged, and usage and revenue of intervals that begin and end
// anywhere are compared with a plain sum over the hours.
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
			for _, by := range []wallet.GroupBy{wallet.ByDay, wallet.ByGPUType, wallet.ByProvider, wallet.ByAccount} {
				got, err := r.ledger.Revenue(t.Context(), d, from, to, by)
				if want := sumHours(all, from, to, by); err != nil || !maps.Equal(got, want) {
					t.Fatalf("Revenue by %s from %s to %s = %v, %v; want %v", by, from, to, got, err, want)
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
	u, err := r.ledger.Usage(r.Context(), r.db, account, from, to, by)
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
