package pastdue_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/google/go-cmp/cmp"
)

// The account of the deliverable: eight B200 at $36.48 an hour, with $100.
func TestEachThresholdIsToldOnceAndAgainAfterATopUp(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		ctx := t.Context()
		ids := id.NewMaker(c, rand.Reader)
		ledger, events, jobs := wallet.New(wallet.Config{DB: d, IDs: ids}), event.New(ids), job.NewQueue(ids)
		meters := meter.New(meter.Config{DB: d, Wallet: ledger, Events: events, Jobs: jobs})
		s := pastdue.New(pastdue.Config{
			DB: d, Wallet: ledger, Meter: meters, Events: events, Jobs: jobs,
			Terms: pastdue.Terms{Grace: time.Hour, KeepVolumes: 7 * 24 * time.Hour},
		})
		account, machine := ids.New(id.Account), ids.New(id.Deployment)
		in := func(f func(ctx context.Context, tx *db.Tx) error) {
			t.Helper()
			if err := d.InTx(ctx, f); err != nil {
				t.Fatal(err)
			}
		}
		credit := func(dollars int64, reference string) {
			in(func(ctx context.Context, tx *db.Tx) error {
				_, err := ledger.Credit(ctx, tx, wallet.Credit{
					Account: account, Type: wallet.TypeCredit, Amount: money.Dollars(dollars), Dedupe: reference,
				})
				return err
			})
		}
		in(func(ctx context.Context, tx *db.Tx) error { return ledger.Open(ctx, tx, account) })
		credit(1000, "first")
		began := c.Now().Truncate(time.Second)
		in(func(ctx context.Context, tx *db.Tx) error {
			return meters.Start(ctx, tx, meter.Start{
				Subject: machine, Account: account, HourlyPrice: 36_480_000, At: began, Description: "8 × NVIDIA B200",
			})
		})
		// 27 hours are paid for, so the balance runs dry when the 28th begins.
		dry := began.Add(27 * time.Hour)
		if got, err := s.Threshold(ctx, pastdue.Fleet); got != job.At(dry.Add(-24*time.Hour)) || err != nil {
			t.Errorf("Threshold = %+v, %v, want a run a day before %s", got, err, dry)
		}
		var told []string
		tell := func() {
			t.Helper()
			if _, err := meters.Sweep(ctx, meter.Fleet); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Watch(ctx, pastdue.Fleet); err != nil {
				t.Fatal(err)
			}
			list, _, err := events.History(ctx, d, account, event.Filter{Types: []string{"account.low_balance"}},
				db.Page{Number: 1, Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			told = nil
			for i := range list {
				e := list[len(list)-1-i]
				told = append(told, e.CreatedAt.Sub(began).Truncate(time.Minute).String()+" "+
					map[float64]string{24: "24 h", 6: "6 h", 1: "1 h"}[e.Data["thresholdHours"].(float64)])
			}
		}
		for range 27 * 4 {
			tell()
			tell() // a second run tells nothing
			c.Advance(15 * time.Minute)
		}
		if diff := cmp.Diff([]string{"3h0m0s 24 h", "21h0m0s 6 h", "26h0m0s 1 h"}, told); diff != "" {
			t.Errorf("told by %s (-want +got):\n%s", dry, diff)
		}
		credit(400, "top-up") // eleven hours more
		tell()
		c.AdvanceTo(began.Add(37*time.Hour + time.Minute))
		tell()
		want := []string{"3h0m0s 24 h", "21h0m0s 6 h", "26h0m0s 1 h", "37h1m0s 1 h"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("after a top-up (-want +got):\n%s", diff)
		}
	})
}
