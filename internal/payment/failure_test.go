package payment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/payment"
)

// A statement that fails fails the operation: no payment is forgotten because its job was not
// enqueued, and no movement is taken for compared.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	w := newWorld(t, d, c)
	w.Pass(24 * time.Hour) // into a month
	faults.FailEachTx(t, "Create", d, func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.Create(ctx, tx, w.account, creator.ByOperator, payment.Request{Amount: 10 * usd})
		return err
	})
	w.paid(10 * usd)
	faults.FailEachTx(t, "SetAutomatic", d, func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.SetAutomatic(ctx, tx, w.account, creator.ByOperator, payment.AutoTopUpRequest{
			Enabled: true, Threshold: 50 * usd, Amount: 80 * usd, MonthlyLimit: 80 * usd,
		})
		return err
	})
	faults.FailEach(t, "Sweep", func() error { _, err := w.svc.Sweep(t.Context(), payment.Fleet); return err })
	faults.FailEach(t, "TopUpNow", func() error { _, err := w.svc.TopUpNow(t.Context(), w.account); return err })
	c.Advance(24 * time.Hour)
	faults.FailEach(t, "Compare", func() error { _, err := w.svc.Compare(t.Context(), payment.Fleet); return err })
	methods, err := w.svc.Methods(t.Context(), d, w.account)
	w.Must(err)
	faults.FailEachTx(t, "RemoveMethod", d, func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.RemoveMethod(ctx, tx, w.account, methods[0].ID)
		return err
	})
}
