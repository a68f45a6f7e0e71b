package upstream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// A misuse shows whether or not the list is in memory.
func TestListAndKeyedLock_RefuseInsideTransaction(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		list := upstream.NewList(c.Now, func(context.Context) ([]int, error) { return []int{1}, nil })
		if _, err := list.Fresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		var locks upstream.KeyedLock
		if err := d.InTx(t.Context(), func(ctx context.Context, _ *db.Tx) error {
			_, recent := list.Recent(ctx, time.Hour)
			_, fresh := list.Fresh(ctx)
			_, turn := locks.Lock(ctx, "dep_1")
			for what, err := range map[string]error{"Recent": recent, "Fresh": fresh, "Take": turn} {
				if !errors.Is(err, provider.ErrInsideTx) {
					t.Errorf("%s: %v", what, err)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if done, err := locks.Lock(t.Context(), "dep_1"); err != nil {
			t.Error(err)
		} else {
			done()
		}
	})
}
