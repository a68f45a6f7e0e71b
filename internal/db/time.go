package db

import (
	"context"
	"fmt"
	"time"
)

// Time reads the database's own clock: real time, and the same for all processes that use the
// database. Within a transaction it is the current time, not the start of the transaction.
func Time(ctx context.Context, r Reader) (time.Time, error) {
	query := `SELECT CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)`
	if r.Engine() == Postgres {
		query = `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
	}
	var us int64
	if err := r.QueryRow(ctx, query).Scan(&us); err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return at(us), nil
}
