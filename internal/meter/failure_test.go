package meter_test

import (
	"context"
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

// A statement that fails fails the operation, so that its transaction is rolled back as a whole.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newRig(t, d, c)
	account, subject := r.account(money.Dollars(30)), r.ids.New(id.Deployment) // less than two hours cost
	start := b200(account, subject, c.Now())
	fail := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	stop := func(ctx context.Context, tx *db.Tx) error {
		_, err := r.meter.Stop(ctx, tx, subject, tx.Now, meter.FirstHour)
		return err
	}

	fail("Start", func(ctx context.Context, tx *db.Tx) error { return r.meter.Start(ctx, tx, start) })
	c.Advance(90 * time.Minute)
	faults.FailEach(t, "Sweep", func() error { _, err := r.meter.Sweep(t.Context(), meter.Fleet); return err })
	if got, want := r.cost(subject), 2*start.HourlyPrice; got != want {
		t.Errorf("the cost after failures is %s, want %s", got, want)
	}
	c.Advance(time.Hour)
	fail("Reprice", func(ctx context.Context, tx *db.Tx) error {
		return r.meter.Reprice(ctx, tx, subject, 2*rate, start.Labels, "16 × NVIDIA B200")
	})
	fail("CostChanges", func(ctx context.Context, tx *db.Tx) error {
		return r.meter.CostChanges(ctx, tx, subject, money.Dollars(7))
	})
	fail("Costs", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.meter.Costs(ctx, tx, []id.ID{subject})
		return err
	})
	fail("Rates", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.meter.Rates(ctx, tx, account)
		return err
	})
	fail("PreviewAll", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.meter.PreviewAll(ctx, tx, map[id.ID]time.Time{subject: tx.Now}, meter.CurrentHour)
		return err
	})
	fail("AllRunning", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.meter.AllRunning(ctx, tx)
		return err
	})
	fail("Loads", func(ctx context.Context, tx *db.Tx) error {
		_, err := meter.Loads(ctx, tx, []id.ID{account})
		return err
	})
	fail("Preview", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.meter.Previews(ctx, tx, subject, []time.Time{tx.Now}, meter.CurrentHour)
		return err
	})
	for _, by := range []wallet.GroupBy{wallet.ByProvider, wallet.ByDay} {
		fail("Margins", func(ctx context.Context, tx *db.Tx) error {
			_, err := r.meter.Margins(ctx, tx, dbtest.Start, tx.Now, tx.Now, by)
			return err
		})
	}
	fail("Stop", stop)
	fail("Stop again", stop)
	fail("CostEnds", func(ctx context.Context, tx *db.Tx) error {
		return r.meter.CostEnds(ctx, tx, subject, tx.Now)
	})
	fail("CostGoesOn", func(ctx context.Context, tx *db.Tx) error {
		return r.meter.CostGoesOn(ctx, tx, []id.ID{subject})
	})
	r.audited()
}
