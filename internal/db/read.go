package db

import (
	"context"
	"database/sql"
	"errors"
)

// Reader runs queries: a *DB, each query on its own, or a *Tx.
type Reader interface {
	Engine() Engine
	Query(ctx context.Context, query string, args ...any) (*Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) Row
}

// ForUpdate is the end of a SELECT whose row stays as it was read until the transaction ends. It is
// empty outside a writing transaction, and on SQLite, which has one writer at a time.
func ForUpdate(r Reader) string {
	if tx, is := r.(*Tx); is && tx.engine == Postgres && tx.writes {
		return ` FOR UPDATE`
	}
	return ""
}

// ByBytes follows a text in a query that is compared with others, so that both engines compare it
// as Go does: PostgreSQL would by the collation of the database. Equality needs no ByBytes.
func ByBytes(r Reader) string {
	if r.Engine() == Postgres {
		return ` COLLATE "C"`
	}
	return ""
}

// Row is the single row of a query.
type Row interface{ Scan(dest ...any) error }

// Rows are the rows of a query. They must be closed; reading them to the end closes them, too.
type Rows struct {
	*sql.Rows
	db     *DB                // nil in a transaction, whose errors are classified as a whole
	cancel context.CancelFunc // releases the query's deadline
}

// Next advances to the next row.
func (r *Rows) Next() bool {
	more := r.Rows.Next()
	if !more && r.cancel != nil {
		r.cancel()
	}
	return more
}

// Scan reads the row. A time is read from microseconds, a boolean from 0 or 1.
func (r *Rows) Scan(dest ...any) error { return r.Rows.Scan(destinations(dest)...) }

// Close ends the query.
func (r *Rows) Close() error {
	err := r.Rows.Close()
	if r.cancel != nil {
		r.cancel()
	}
	return err
}

// Err returns the error that ended the rows, if any.
func (r *Rows) Err() error {
	err := r.Rows.Err()
	if err != nil && r.db != nil {
		return r.db.classified(err)
	}
	return err
}

// Query runs a query outside any transaction.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	if InsideTx(ctx) {
		return nil, ErrInsideTx
	}
	args = values(args)
	within, cancel := context.WithTimeout(ctx, queryTime)
	var rows *sql.Rows
	err := d.read(ctx, queryTime, func(attempt context.Context, pool *sql.DB) (err error) {
		if pool != d.c.Read { // a replica, whose time is up long before that of the query
			rows, err = firstRows(within, attempt, pool, query, args)
			return err
		}
		rows, err = pool.QueryContext(within, query, args...) // the rows live longer than this call
		return err
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return &Rows{rows, d, cancel}, nil
}

// firstRows begins a query whose rows live as long as ctx, if they begin to come within attempt.
func firstRows(ctx, attempt context.Context, pool *sql.DB, query string, args []any) (*sql.Rows, error) {
	within, cancel := context.WithCancel(ctx)
	lives := context.AfterFunc(attempt, cancel)
	rows, err := pool.QueryContext(within, query, args...)
	if err == nil && !lives() {
		err = errors.Join(attempt.Err(), rows.Close())
	}
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, cancel)
	return rows, nil
}

// QueryRow runs a query for one row outside any transaction.
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) Row {
	if InsideTx(ctx) {
		return failedRow{ErrInsideTx}
	}
	return oneRow{d, ctx, query, values(args)}
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// oneRow runs its query when it is scanned, so that the query can be retried.
type oneRow struct {
	d     *DB
	ctx   context.Context
	query string
	args  []any
}

func (r oneRow) Scan(dest ...any) error {
	dest = destinations(dest)
	return r.d.read(r.ctx, queryTime, func(ctx context.Context, pool *sql.DB) error {
		return pool.QueryRowContext(ctx, r.query, r.args...).Scan(dest...)
	})
}

// Query runs a query within the transaction.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	rows, err := t.tx.QueryContext(ctx, query, values(args)...)
	if err != nil {
		return nil, err
	}
	return &Rows{Rows: rows}, nil
}

// QueryRow runs a query for one row within the transaction.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	return txRow{t.tx.QueryRowContext(ctx, query, values(args)...)}
}

type txRow struct{ row *sql.Row }

func (r txRow) Scan(dest ...any) error { return r.row.Scan(destinations(dest)...) }
