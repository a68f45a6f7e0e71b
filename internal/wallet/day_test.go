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

// Hours of several subjects are charged, some are given back in part, some later, and usage and
// revenue of intervals that begin and end anywhere are compared with a plain sum over the hours.
func TestDayTotalsAreTheSumOfTheHours(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		const days = 6
		accounts := []id.ID{r.account(money.Dollars(1)), r.account(money.Dollars(1))}
		chance := rand.New(rand.NewPCG(3, 5))
		type paid struct {
			wallet.Charge
			refunded money.Micros
		}
		var hours []*paid
		for s := range 8 {
			subject := r.ids.New(id.Deployment)
			first := dbtest.Start.Add(time.Duration(chance.Int64N(int64(days * 24 * time.Hour)))).Truncate(time.Second)
			var batch []wallet.Charge
			for n := range chance.Int64N(40) {
				h := hour(accounts[s%2], subject, n, money.Micros(1+chance.Int64N(5_000_000)))
				h.From = first.Add(time.Duration(n) * time.Hour)
				h.To = h.From.Add(time.Hour)
				h.Provider, h.GPUType = []string{"voltage-park", "northgrid"}[s%2],
					[]string{"NVIDIA B200", "AMD MI300X", ""}[s%3]
				batch = append(batch, h)
				hours = append(hours, &paid{Charge: h})
			}
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := r.ledger.ChargeAll(ctx, tx, append(batch, batch...)) // what is charged twice counts once
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		for _, h := range hours {
			if chance.IntN(4) == 0 {
				h.refunded = 1 + money.Micros(chance.Int64N(int64(h.Amount)))
				for range 2 {
					if _, err := r.refund(back(h.Charge, h.refunded)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		r.audited()
		at := func() time.Time {
			at := dbtest.Start.Add(time.Duration(chance.Int64N(int64((days + 3) * 24 * time.Hour))))
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
			for _, by := range []wallet.GroupBy{wallet.ByDay, wallet.ByDeployment, wallet.ByGPUType, wallet.ByProvider,
				wallet.ByAccount} {
				all, own, total := map[string]money.Micros{}, map[string]money.Micros{}, money.Micros(0)
				for _, h := range hours {
					if h.From.Before(from) || !h.From.Before(to) {
						continue
					}
					key := map[wallet.GroupBy]string{
						wallet.ByDay: h.From.Format(time.DateOnly), wallet.ByDeployment: string(h.Subject),
						wallet.ByGPUType:  h.GPUType,
						wallet.ByProvider: h.Provider, wallet.ByAccount: string(h.Account),
					}[by]
					if all[key] += h.Amount - h.refunded; h.Account == accounts[0] {
						own[key] += h.Amount - h.refunded
						total += h.Amount - h.refunded
					}
				}
				if by != wallet.ByDeployment {
					got, err := r.ledger.Revenue(t.Context(), d, from, to, by)
					if err != nil || !maps.Equal(got, all) {
						t.Fatalf("revenue by %s from %s to %s: %v, want %v, %v", by, from, to, got, all, err)
					}
				}
				if by == wallet.ByAccount {
					continue
				}
				u, err := r.ledger.Usage(t.Context(), d, accounts[0], from, to, by)
				got := map[string]money.Micros{}
				for _, g := range u.Groups {
					got[g.Key] = g.Cost
				}
				if err != nil || u.Total != total || !maps.Equal(got, own) {
					t.Fatalf("usage by %s from %s to %s: %v, want %v, %v", by, from, to, got, own, err)
				}
			}
		}
	})
}
