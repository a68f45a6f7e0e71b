package spendlimit_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
)

// A limit that cannot be read is no permission.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	const key, other id.ID = "key_1", "key_2"
	limits := spendlimit.SpendingLimits{MaxHourlyPrice: dollars(10), MaxSpendPerDay: dollars(1000)}
	until := c.Now().Add(time.Hour)
	use := spendlimit.Use{Subject: "dep_1", HourlyPrice: money.Dollars(5), From: c.Now(), Until: &until}
	for _, op := range []struct {
		name string
		do   func(ctx context.Context, tx *db.Tx) error
	}{
		{"Set", func(ctx context.Context, tx *db.Tx) error { return spendlimit.Set(ctx, tx, key, limits) }},
		{"Of", func(ctx context.Context, tx *db.Tx) error {
			_, err := spendlimit.Of(ctx, tx, []id.ID{key})
			return err
		}},
		{"Begin", func(ctx context.Context, tx *db.Tx) error {
			_, err := spendlimit.Begin(ctx, tx, key, use)
			return err
		}},
		{"Change", func(ctx context.Context, tx *db.Tx) error { return spendlimit.Change(ctx, tx, key, use) }},
		{"Reprice", func(ctx context.Context, tx *db.Tx) error {
			return spendlimit.Reprice(ctx, tx, key, use.Subject, money.Dollars(6))
		}},
		{"Reprice by another key", func(ctx context.Context, tx *db.Tx) error {
			return spendlimit.Reprice(ctx, tx, other, use.Subject, money.Dollars(6))
		}},
		{"Foreign", func(ctx context.Context, tx *db.Tx) error { return spendlimit.Foreign(ctx, tx, other) }},
		{"Used", func(ctx context.Context, tx *db.Tx) error {
			_, err := spendlimit.Used(ctx, tx, key, tx.Now)
			return err
		}},
		{"End", func(ctx context.Context, tx *db.Tx) error { return spendlimit.End(ctx, tx, use.Subject, &tx.Now) }},
		{"End of what is not paid", func(ctx context.Context, tx *db.Tx) error {
			return spendlimit.End(ctx, tx, use.Subject, nil)
		}},
		{"Set without limits", func(ctx context.Context, tx *db.Tx) error {
			return spendlimit.Set(ctx, tx, key, spendlimit.SpendingLimits{})
		}},
	} {
		faults.FailEachTx(t, op.name, d, op.do)
	}
}
