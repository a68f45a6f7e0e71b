package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

// snapshotTries is how often Snapshots begins again on SQLite while others commit between its
// transactions. It pauses longer each time, up to longestSnapshotPause.
const (
	snapshotTries        = 200
	longestSnapshotPause = 100 * time.Millisecond
)

// Snapshots runs f once with n read-only transactions that see the same state, so that much can be
// read beside each other. PostgreSQL gives the others what the first one sees. On SQLite, state is
// a query of one text or number that every change which matters changes: where others wrote between
// the transactions, they begin again. There is no limit of time but that of ctx, so it is for
// commands and jobs that read whole tables. It writes nothing.
func (d *DB) Snapshots(ctx context.Context, n int, state string, f func(ctx context.Context, all []*Tx) error) error {
	if InsideTx(ctx) {
		return ErrInsideTx
	}
	pool, o := d.c.Read, &sql.TxOptions{ReadOnly: true}
	if d.c.Engine == Postgres { // whose other pool limits how long a statement takes
		pool, o.Isolation = d.c.Unbounded, sql.LevelRepeatableRead
	}
	pause := time.Millisecond
	for range snapshotTries {
		all, same, err := d.beginAlike(ctx, pool, o, n, state)
		if err == nil && same {
			err = f(context.WithValue(ctx, txMark{}, true), all)
		}
		for _, tx := range all {
			if e := tx.tx.Rollback(); err == nil && e != nil && !errors.Is(e, sql.ErrTxDone) {
				err = e
			}
		}
		if err != nil || same {
			return err
		}
		if err := (clock.System{}).SleepUntil(ctx, time.Now().Add(pause/2+rand.N(pause))); err != nil {
			return err
		}
		pause = min(2*pause, longestSnapshotPause)
	}
	return fmt.Errorf("db: others wrote between all of %d tries to read one state", snapshotTries)
}

// beginAlike begins n transactions, and reports whether they see the same state. Those that have
// begun are returned also with an error.
func (d *DB) beginAlike(
	ctx context.Context, pool *sql.DB, o *sql.TxOptions, n int, state string,
) (all []*Tx, same bool, err error) {
	var first any
	var exported string
	same = true
	for i := range n {
		raw, err := pool.BeginTx(ctx, o)
		if err != nil {
			return all, false, fmt.Errorf("begin: %w", err)
		}
		tx := &Tx{Now: d.c.Clock.Now().Truncate(time.Microsecond), tx: raw, engine: d.c.Engine}
		all = append(all, tx)
		if d.c.Engine == Postgres {
			if exported, err = sameSnapshot(ctx, raw, exported); err != nil {
				return all, false, fmt.Errorf("share a snapshot: %w", err)
			}
			continue
		}
		var seen any
		if err := raw.QueryRowContext(ctx, state).Scan(&seen); err != nil {
			return all, false, err
		}
		if i == 0 {
			first = seen
		}
		same = same && fmt.Sprint(seen) == fmt.Sprint(first)
	}
	return all, same, nil
}

// sameSnapshot has a transaction of PostgreSQL that has only begun see what the one that exported
// sees. Without one it exports what it sees itself.
func sameSnapshot(ctx context.Context, tx *sql.Tx, exported string) (string, error) {
	if exported == "" {
		err := tx.QueryRowContext(ctx, `SELECT pg_export_snapshot()`).Scan(&exported)
		return exported, err
	}
	// The statement takes no parameters. The name is PostgreSQL's own, of digits and hyphens.
	_, err := tx.ExecContext(ctx, `SET TRANSACTION SNAPSHOT '`+strings.ReplaceAll(exported, "'", "''")+`'`)
	return exported, err
}
