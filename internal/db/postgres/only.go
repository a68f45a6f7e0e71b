package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
)

// TryOnly takes the lock with that key, which one process at a time has on the database. PostgreSQL gives it free when the
// process ends, however it ends. Taken is false, and release nil, while another has it.
func TryOnly(ctx context.Context, d *db.DB, key int64) (release func() error, taken bool, err error) {
	conn, err := d.Handle().Conn(ctx) // the lock is the connection's: it stays out of the pool
	if err != nil {
		return nil, false, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, key).Scan(&taken); err != nil || !taken {
		return nil, false, errors.Join(err, conn.Close())
	}
	return func() error {
		_, err := conn.ExecContext(context.Background(), `SELECT pg_advisory_unlock($1)`, key)
		return errors.Join(err, conn.Close())
	}, true, nil
}
