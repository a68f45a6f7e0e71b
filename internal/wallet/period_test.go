package wallet_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

var periodMachines = flag.Int("period-machines", 100, "machines whose month BenchmarkPeriod reads")

// A line whose charges and refunds are of several days has their sums, and its time ends where the
// refunded time begins.
func TestPeriodAddsUpDays(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		start := c.Now()
		account := r.account(money.Dollars(1000))
		dep := r.ids.New(id.Deployment)
		var last wallet.Charge
		for n := range int64(50) { // two days and two hours
			last = hour(account, dep, n, money.USD)
			r.charge(last)
			c.Advance(time.Hour)
		}
		refund := back(last, 5)
		if made, err := r.refund(refund); !made || err != nil {
			t.Fatal(made, err)
		}
		r.credit(wallet.Credit{Account: account, Type: wallet.TypeCredit, Amount: 7, Description: "gift", Dedupe: "g"})
		p, err := r.ledger.Period(t.Context(), account, start, c.Now().Add(time.Microsecond))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Lines) != 1 || len(p.Movements) != 2 || p.Opening != 0 || p.Closing != r.get(account).Balance {
			t.Fatalf("%+v", p)
		}
		l := p.Lines[0]
		if l.Hours != 50 || l.Refunds != 1 || l.Charged != 50*money.USD || l.Refunded != 5 || l.Name != last.Name ||
			!l.From.Equal(hour(account, dep, 0, money.USD).From) || !l.To.Equal(refund.From) ||
			l.Seconds != 50*3600-int64(refund.To.Sub(refund.From).Seconds()) {
			t.Errorf("%+v", l)
		}
	})
}

func TestPeriodBeginsAndEndsWithinDays(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		at := c.Now().Add(10*time.Hour + time.Minute)
		account := r.account(money.Dollars(1000))
		dep := r.ids.New(id.Deployment)
		for n := range int64(50) {
			r.charge(hour(account, dep, n, money.USD))
			c.Advance(time.Hour)
		}
		p, err := r.ledger.Period(t.Context(), account, at, at.Add(30*time.Hour))
		if err != nil || p.Opening != 989*money.USD || p.Closing != 959*money.USD || p.Lines[0].Hours != 30 {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// A transaction that began before an instant and was done after one that began later counts to the
// time before the instant.
func TestPeriodsMeetWhereTransactionsOverlap(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		start := c.Now()
		account := r.account(money.Dollars(1000))
		middle := start.Add(time.Hour)
		for n, seconds := range []int{-50, -3, 2, -2, 5, -1, 1, -4, 40, -45, 0, 59} {
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				tx.Now = middle.Add(time.Duration(seconds) * time.Second)
				_, err := r.ledger.Credit(ctx, tx, wallet.Credit{
					Account: account, Type: wallet.TypeCredit, Amount: 1 << n, Description: "x", Dedupe: fmt.Sprint(n),
				})
				return err
			})
			for _, at := range []time.Time{middle, middle.Add(time.Second), middle.Add(-3 * time.Second)} {
				before, err := r.ledger.Period(t.Context(), account, start, at)
				if err != nil {
					t.Fatal(err)
				}
				after, err := r.ledger.Period(t.Context(), account, at, at.Add(time.Hour))
				if err != nil || before.Closing != after.Opening || after.Closing != r.get(account).Balance {
					t.Errorf("after %d: %s, then %s to %s: %v", n, before.Closing, after.Opening, after.Closing, err)
				}
			}
		}
	})
}

// BenchmarkPeriod reads a month of an account with a hundred machines that always run.
func BenchmarkPeriod(b *testing.B) {
	for name, open := range map[string]func(testing.TB, clock.Clock) *db.DB{
		"sqlite":   dbtest.SQLite,
		"postgres": func(tb testing.TB, c clock.Clock) *db.DB { return dbtest.Postgres(tb, c) },
	} {
		b.Run(name, func(b *testing.B) {
			c := clock.NewFrozen(dbtest.Start)
			d := open(b, c)
			r := newRig(b, d, c)
			account := r.account(money.Dollars(1_000_000))
			subjects := make([]id.ID, *periodMachines)
			for i := range subjects {
				subjects[i] = r.ids.New(id.Deployment)
			}
			for n := range int64(720) {
				var charges []wallet.Charge
				for _, s := range subjects {
					charges = append(charges, hour(account, s, n, 2_490_000))
				}
				r.tx(func(ctx context.Context, tx *db.Tx) error {
					_, err := r.ledger.ChargeAll(ctx, tx, charges)
					return err
				})
				c.Advance(time.Hour)
			}
			for b.Loop() {
				p, err := r.ledger.Period(b.Context(), account, dbtest.Start, c.Now())
				if err != nil || len(p.Lines) != len(subjects) {
					b.Fatal(err, len(p.Lines))
				}
			}
		})
	}
}
