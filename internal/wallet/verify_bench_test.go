package wallet_test

import (
	"context"
	"flag"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

var benchRows = flag.Int("verify-rows", 20_000, "transactions that BenchmarkVerify verifies")

// BenchmarkVerify verifies accounts of a hundred running machines each.
func BenchmarkVerify(b *testing.B) {
	for name, open := range map[string]func(testing.TB, clock.Clock) *db.DB{
		"sqlite":   dbtest.SQLite,
		"postgres": func(tb testing.TB, c clock.Clock) *db.DB { return dbtest.Postgres(tb, c) },
	} {
		b.Run(name, func(b *testing.B) {
			c := clock.NewFrozen(dbtest.Start)
			d := open(b, c)
			r := newRig(b, d, c)
			fillCharges(r, *benchRows)
			verified := int64(0)
			for b.Loop() {
				v, err := wallet.Verify(b.Context(), d, wallet.VerifyOptions{})
				if err != nil || len(v.Problems) > 0 {
					b.Fatal(err, v.Problems)
				}
				verified += v.Transactions
			}
			b.ReportMetric(float64(verified)/b.Elapsed().Seconds(), "transactions/s")
		})
	}
}

// fillCharges makes that many charges, hour by hour.
func fillCharges(r *rig, n int) {
	const machines = 100
	accounts := max(1, min(100, n/machines))
	var all []id.ID
	subjects := map[id.ID][]id.ID{}
	for range accounts {
		account := r.account(money.Dollars(1_000_000))
		all = append(all, account)
		for range machines {
			subjects[account] = append(subjects[account], r.ids.New(id.Deployment))
		}
	}
	for h := int64(0); n > 0; h++ {
		for _, account := range all {
			var charges []wallet.Charge
			for _, s := range subjects[account] {
				k := hour(account, s, h, 2_490_000)
				k.Description = "training-run: hour 1,234 of 8 × NVIDIA B200 at $2.49/hr"
				charges = append(charges, k)
			}
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.ledger.ChargeAll(ctx, tx, charges)
				return err
			})
			if n -= len(charges); n <= 0 {
				return
			}
		}
	}
}
