package provideraccount_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provideraccount"
)

// waitsForLock returns once another transaction of the database waits for a lock of tx, or the time
// is over.
func waitsForLock(ctx context.Context, t *testing.T, tx *db.Tx) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for waiting := 0; waiting == 0; {
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM pg_locks WHERE NOT granted`).Scan(&waiting); err != nil {
			t.Errorf("no other change waits: %v", err)
			return
		}
	}
}

// Each change writes all columns that can change, so the later one must have read the earlier one.
func TestConcurrentChangesOfAnAccount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		s, name := service(t, 'a'), "Renamed"
		if _, err := add(t.Context(), d, s, provideraccount.Provider{Kind: "iron-park"}, key); err != nil {
			t.Fatal(err)
		}
		second := make(chan error, 1)
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := s.Update(ctx, tx, "iron-park", provideraccount.Update{Name: &name}); err != nil {
				return err
			}
			go func() {
				second <- d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					_, _, err := s.SetUse(ctx, tx, "iron-park", provider.Draining)
					return err
				})
			}()
			if tx.Engine() == db.Postgres { // SQLite has one writer at a time
				waitsForLock(ctx, t, tx)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-second; err != nil {
			t.Fatal(err)
		}
		p, err := s.Get(t.Context(), d, "iron-park")
		if err != nil || p.Name != name || p.DrainingAt == nil {
			t.Errorf("got %+v, %v, want the new name and draining", p, err)
		}
	})
}
