package budget_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// A statement that fails fails the operation, so that its transaction is rolled back as a whole: no
// hour begins because a budget could not be read.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	k := enginetest.New(t, d, c)
	s := budget.New(budget.Config{IDs: k.IDs, Clock: c, Events: k.Events, Jobs: k.Jobs})
	meters := meter.New(meter.Config{
		DB: d, Wallet: k.Wallet, Events: k.Events, Jobs: k.Jobs, Admit: s.AdmitHours,
	})
	account := k.NewAccount(money.Dollars(1000))
	write := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	of := wallet.Subject{ID: k.IDs.New(id.Deployment), Account: account, Tags: []string{"a"}}
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		if err := k.Wallet.Describe(ctx, tx, of); err != nil {
			return err
		}
		return meters.Start(ctx, tx, meter.Start{
			Subject: of.ID, Account: account, HourlyPrice: money.Dollars(10), At: tx.Now, Description: "1 × GPU",
		})
	})
	set := budget.Settings{
		Name: "b", Mode: budget.Terminate, Period: budget.Total, Amount: money.Dollars(25), Thresholds: []int{30, 70},
	}
	var made budget.Budget
	write("Create", func(ctx context.Context, tx *db.Tx) (err error) {
		made, err = s.Create(ctx, tx, account, creator.ByOperator, set)
		return err
	})
	write("Update", func(ctx context.Context, tx *db.Tx) error {
		_, err := s.Update(ctx, tx, account, made.ID, budget.Update{Name: new("c"), Thresholds: &[]int{35, 80}})
		return err
	})
	write("Admit", func(ctx context.Context, tx *db.Tx) error {
		events, err := budget.Admit(ctx, tx, budget.Cost{Of: of, Amount: money.Dollars(10)})
		if err != nil {
			return err
		}
		return k.Events.Append(ctx, tx, events...)
	})
	c.Advance(5 * time.Hour)
	write("AdmitHours", func(ctx context.Context, tx *db.Tx) error {
		refused, err := meters.BookUntil(ctx, tx, of.ID, tx.Now)
		if err == nil && refused == nil {
			t.Error("no hour was refused")
		}
		return err
	})
	faults.FailEach(t, "Get", func() error { _, err := s.Get(t.Context(), d, account, made.ID); return err })
	faults.FailEach(t, "List", func() error {
		_, _, err := s.List(t.Context(), d, account, db.Page{Number: 1, Limit: 10})
		return err
	})
	write("Delete", func(ctx context.Context, tx *db.Tx) error {
		_, err := s.Delete(ctx, tx, account, made.ID)
		return err
	})
}
