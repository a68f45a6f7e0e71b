package wallet_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// A statement that fails fails the operation, so that its transaction is rolled back as a whole.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	ids := id.NewMaker(c, rand.Reader)
	r := &rig{fataler: t, db: d, clock: c, ids: ids, ledger: wallet.New(wallet.Config{DB: d, IDs: ids})}
	account, dep, vol := ids.New(id.Account), ids.New(id.Deployment), ids.New(id.Volume)
	write := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	write("Open", func(ctx context.Context, tx *db.Tx) error { return r.ledger.Open(ctx, tx, account) })
	write("Credit", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.ledger.Credit(ctx, tx, wallet.Credit{
			Account: account, Type: wallet.TypeCredit, Amount: money.Dollars(30), Dedupe: "x",
		})
		return err
	})
	for _, subject := range []id.ID{dep, vol} {
		write("Hold", func(ctx context.Context, tx *db.Tx) error {
			return r.ledger.Hold(ctx, tx, wallet.Hold{Account: account, Subject: subject, Amount: money.Dollars(10)})
		})
	}
	write("Release", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.ledger.Release(ctx, tx, vol)
		return err
	})
	write("Describe", func(ctx context.Context, tx *db.Tx) error {
		return r.ledger.Describe(ctx, tx, wallet.Subject{ID: dep, Account: account})
	})
	charge := hour(account, dep, 0, money.Dollars(29))
	write("Charge", func(ctx context.Context, tx *db.Tx) error {
		_, _, err := r.ledger.Charge(ctx, tx, charge)
		return err
	})
	write("ChargeAll", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.ledger.ChargeAll(ctx, tx, []wallet.Charge{charge, hour(account, dep, 1, money.Dollars(29))})
		return err
	})
	write("Describe again", func(ctx context.Context, tx *db.Tx) error {
		return r.ledger.Describe(ctx, tx, wallet.Subject{ID: dep, Account: account, Project: "p"})
	})
	write("Refund", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.ledger.Refund(ctx, tx, back(charge, money.USD))
		return err
	})
	want := wallet.Wallet{Account: account, Balance: -money.Dollars(27), Available: -money.Dollars(27)}
	if got := r.get(account); got.Balance != want.Balance || got.Available != want.Available || got.Held != 0 {
		t.Errorf("the wallet after failures is %+v, want %+v", got, want)
	}
	r.audited()

	read := func(name string, f func(ctx context.Context) error) {
		t.Helper()
		faults.FailEach(t, name, func() error { return f(t.Context()) })
	}
	read("Get", func(ctx context.Context) error { _, err := r.ledger.Get(ctx, d, account); return err })
	read("GetAll", func(ctx context.Context) error { _, err := r.ledger.GetAll(ctx, d, []id.ID{account}); return err })
	read("GetMany", func(ctx context.Context) error {
		_, err := r.ledger.GetMany(ctx, d, []id.ID{account})
		return err
	})
	read("HeldAll", func(ctx context.Context) error { _, err := r.ledger.HeldAll(ctx, d, []id.ID{dep}); return err })
	read("PaidAll", func(ctx context.Context) error {
		_, err := r.ledger.PaidAll(ctx, d, map[id.ID]int64{dep: 0})
		return err
	})
	read("Held", func(ctx context.Context) error { _, err := r.ledger.Held(ctx, d, dep); return err })
	read("Paid", func(ctx context.Context) error { _, err := r.ledger.Paid(ctx, d, dep, 0); return err })
	read("Audit", func(ctx context.Context) error { _, err := r.ledger.Audit(ctx); return err })
	read("Transactions", func(ctx context.Context) error {
		_, _, err := r.ledger.Transactions(ctx, d, account, wallet.Filter{}, db.Page{Number: 1, Limit: 10})
		return err
	})
	read("Export", func(ctx context.Context) error {
		return r.ledger.Export(ctx, d, account, wallet.Filter{}, func(wallet.Transaction) error { return nil })
	})
	from, to := dbtest.Start.Add(-50*time.Hour), dbtest.Start.Add(50*time.Hour)
	for _, by := range []wallet.GroupBy{wallet.ByDay, wallet.ByDeployment, wallet.ByGPUType} {
		read("Usage", func(ctx context.Context) error {
			_, err := r.ledger.Usage(ctx, d, account, wallet.UsageQuery{From: from, To: to, By: by})
			return err
		})
	}
	for _, by := range []wallet.GroupBy{wallet.ByDay, wallet.ByAccount} {
		read("Revenue", func(ctx context.Context) error {
			_, err := r.ledger.Revenue(ctx, d, from, to, to, by)
			return err
		})
	}
}
