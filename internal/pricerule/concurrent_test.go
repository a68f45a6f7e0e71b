package pricerule_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/pricerule"
)

// waitsForLock returns once another transaction of the database waits for a lock, or the time is
// over.
func waitsForLock(ctx context.Context, t testing.TB, tx *db.Tx) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for waiting := 0; waiting == 0; {
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND pid IN (
			SELECT pid FROM pg_stat_activity WHERE datname = current_database())`).Scan(&waiting); err != nil {
			t.Errorf("no other change waits: %v", err)
			return
		}
	}
}

// Change replaces the whole rule, so the later of two changes must have read the earlier one.
func TestConcurrentChangesOfARule(t *testing.T) {
	each(t, func(k *testKit) {
		rule := k.add("a", 0).ID
		change := func(ctx context.Context, tx *db.Tx, set func(r *pricerule.Rule)) error {
			r, err := k.Get(ctx, tx, rule)
			if err != nil {
				return err
			}
			set(&r)
			_, err = k.Change(ctx, tx, r)
			return err
		}
		second := make(chan error, 1)
		err := k.tx(func(ctx context.Context, tx *db.Tx) error {
			if err := change(ctx, tx, func(r *pricerule.Rule) { r.Percent = 500 }); err != nil {
				return err
			}
			go func() {
				second <- k.tx(func(ctx context.Context, tx *db.Tx) error {
					return change(ctx, tx, func(r *pricerule.Rule) { r.FixedPerGPU = 7 })
				})
			}()
			if tx.Engine() == db.Postgres { // SQLite has one writer at a time
				waitsForLock(ctx, k.t, tx)
			}
			return nil
		})
		if err != nil {
			k.t.Fatal(err)
		}
		if err := <-second; err != nil {
			k.t.Fatal(err)
		}
		got, err := k.Get(k.t.Context(), k.db, rule)
		if err != nil || got.Percent != 500 || got.FixedPerGPU != 7 {
			k.t.Errorf("got %+v, %v, want both changes", got, err)
		}
	})
}

// A change that compares an ETag reads with Get, too: what it found is true until it commits.
func TestService_GetLocks(t *testing.T) {
	each(t, func(k *testKit) {
		rule, moved := k.add("a", 0).ID, k.add("b", 0)
		second := make(chan error, 1)
		err := k.tx(func(ctx context.Context, tx *db.Tx) error {
			if _, err := k.Get(ctx, tx, rule); err != nil {
				return err
			}
			go func() { // moves the first rule, too
				second <- k.tx(func(ctx context.Context, tx *db.Tx) error {
					moved.Position = 1
					_, err := k.Change(ctx, tx, moved)
					return err
				})
			}()
			if tx.Engine() == db.Postgres {
				waitsForLock(ctx, k.t, tx)
			}
			r, err := k.Get(ctx, tx, rule)
			if err == nil && r.Position != 1 {
				k.t.Errorf("the rule is at %d within one transaction, want 1", r.Position)
			}
			return err
		})
		if err != nil {
			k.t.Fatal(err)
		}
		if err := <-second; err != nil {
			k.t.Fatal(err)
		}
		k.order("after both", "b a")
	})
}
