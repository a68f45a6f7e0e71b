package db_test

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// TestSnapshotsSeeOneStateWhileOthersWrite reads by two transactions, again and again, while
// another writes without a pause.
func TestSnapshotsSeeOneStateWhileOthersWrite(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		exec(t, d, `CREATE TABLE canary (n BIGINT NOT NULL)`)
		exec(t, d, `INSERT INTO canary VALUES (1)`)
		stop, wrote := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				select {
				case <-stop:
					wrote <- nil
					return
				default:
				}
				err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					_, err := tx.Exec(ctx, `UPDATE canary SET n = n + 1`)
					return err
				})
				if err != nil {
					wrote <- err
					return
				}
			}
		}()
		const state = `SELECT n FROM canary`
		for range 30 {
			err := d.Snapshots(t.Context(), 2, state, func(ctx context.Context, all []*db.Tx) error {
				var n [2]int64
				for range 3 {
					for i, tx := range all {
						if err := tx.QueryRow(ctx, state).Scan(&n[i]); err != nil {
							return err
						}
					}
					if n[0] != n[1] {
						t.Errorf("one sees %d, the other %d", n[0], n[1])
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		close(stop)
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	})
}

// TestPostgresSharesSnapshots reads what no two transactions would see alike by themselves: a
// server may be so busy that something is written between any two.
func TestPostgresSharesSnapshots(t *testing.T) {
	d := dbtest.Postgres(t, clock.NewFrozen(dbtest.Start))
	ran := 0
	err := d.Snapshots(t.Context(), 3, `SELECT random()`, func(context.Context, []*db.Tx) error {
		ran++
		return nil
	})
	if err != nil || ran != 1 {
		t.Errorf("ran %d times, %v", ran, err)
	}
}
