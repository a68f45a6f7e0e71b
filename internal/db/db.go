package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

// Engine names a database engine.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// ErrInsideTx is returned when the outer handle is used, or a second
// transaction is begun, with the context of a running one.
var ErrInsideTx = errors.New("db: the outer handle was used inside a transaction; pass the tx on instead")

// attempts is how often InTx runs a transaction that keeps conflicting with others.
const attempts = 20

// Config configures a DB. Engines' Open functions fill it in.
type Config struct {
	Engine Engine
	// Write runs transactions, Read everything else; they may be the same pool.
	Write, Read *sql.DB
	// Unbounded has no statement timeout, for migrations; nil to use Write.
	Unbounded *sql.DB
	Clock     clock.Clock
	// Trouble classifies an error of the engine.
	Trouble func(error) Trouble
	// Replica serves reads that may lag; nil for none.
	Replica *Replica
}

// DB is an open database.
type DB struct {
	c              Config
	reads, written away
}

// New returns a DB over open pools. It panics when a field is missing.
func New(c Config) *DB {
	if c.Engine == "" || c.Write == nil || c.Read == nil || c.Clock == nil || c.Trouble == nil {
		panic("db: New needs every field of its Config")
	}
	if c.Unbounded == nil {
		c.Unbounded = c.Write
	}
	return &DB{c: c}
}

// Close closes the pools.
func (d *DB) Close() error {
	err := d.c.Write.Close()
	if d.c.Read != d.c.Write {
		err = errors.Join(err, d.c.Read.Close())
	}
	if d.c.Unbounded != d.c.Write {
		err = errors.Join(err, d.c.Unbounded.Close())
	}
	if d.c.Replica != nil {
		err = errors.Join(err, d.c.Replica.Pool.Close())
	}
	return err
}

// Engine returns the engine.
func (d *DB) Engine() Engine { return d.c.Engine }

// Handle returns a pool that writes and whose statements have no timeout, for migrations.
func (d *DB) Handle() *sql.DB { return d.c.Unbounded }

// Pools returns both pools, for measuring the database itself.
func (d *DB) Pools() (read, write *sql.DB) { return d.c.Read, d.c.Write }

// Ping returns an error unless both pools answer.
func (d *DB) Ping(ctx context.Context) error {
	return errors.Join(d.c.Write.PingContext(ctx), d.c.Read.PingContext(ctx))
}

// Tx is one transaction.
type Tx struct {
	// Now is the time of the whole change, in UTC, truncated to the microsecond.
	Now time.Time

	tx           *sql.Tx
	engine       Engine
	writes       bool
	beforeCommit []func(ctx context.Context) error
	afterCommit  []func()
}

// Engine returns the engine, for statements that must differ.
func (t *Tx) Engine() Engine { return t.engine }

// Writes reports whether this is a transaction of InTx, not of View.
func (t *Tx) Writes() bool { return t.writes }

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(ctx, query, values(args)...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// BeforeCommit calls f as a part of the transaction when everything else in it is done, in the
// order of the calls. Use it to lock a row that many transactions need: it is then locked only
// briefly, and never while waiting for another lock.
func (t *Tx) BeforeCommit(f func(ctx context.Context) error) {
	t.beforeCommit = append(t.beforeCommit, f)
}

// AfterCommit calls f once the transaction has committed. It is for wake-ups only: a crash in
// between loses the call, so whatever must happen is a row.
func (t *Tx) AfterCommit(f func()) { t.afterCommit = append(t.afterCommit, f) }

type txMark struct{}

// InsideTx reports whether the context belongs to a running transaction.
func InsideTx(ctx context.Context) bool { return ctx.Value(txMark{}) != nil }

type guardMark struct{}

// WithGuard returns a context with which every writing transaction calls guard when everything else
// in it is done, and does not commit if guard returns an error. It is for writers that may write
// only as long as a row allows it: guard locks that row, so that it stays valid until the commit.
func WithGuard(ctx context.Context, guard func(ctx context.Context, tx *Tx) error) context.Context {
	return context.WithValue(ctx, guardMark{}, guard)
}

// InTx runs f in a writing transaction, and commits it when f returns nil. It runs f again, from
// the start, after a conflict with another transaction and while the database is briefly
// unavailable. If the database stays unavailable, or it is unknown whether the commit was done,
// InTx returns an *UnavailableError.
func (d *DB) InTx(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	return d.repeat(ctx, &d.written, txTime, func(ctx context.Context) error { return d.once(ctx, d.c.Write, nil, f) })
}

// View runs f in a read-only transaction, so that several queries see one state. It may run f again
// as InTx does.
func (d *DB) View(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	o := &sql.TxOptions{ReadOnly: true}
	if d.c.Engine == Postgres {
		o.Isolation = sql.LevelRepeatableRead
	}
	return d.read(ctx, txTime, func(ctx context.Context, pool *sql.DB) error { return d.once(ctx, pool, o, f) })
}

func (d *DB) once(ctx context.Context, pool *sql.DB, o *sql.TxOptions,
	f func(ctx context.Context, tx *Tx) error) error {
	if InsideTx(ctx) {
		return ErrInsideTx
	}
	raw, err := pool.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{Now: d.c.Clock.Now().Truncate(time.Microsecond), tx: raw, engine: d.c.Engine, writes: o == nil}
	done := false
	defer func() {
		if !done { // also if f panics: the connection must be returned
			_ = raw.Rollback()
		}
	}()
	inside := context.WithValue(ctx, txMark{}, true)
	if err := f(inside, tx); err != nil {
		return err
	}
	if guard, guarded := ctx.Value(guardMark{}).(func(context.Context, *Tx) error); guarded && tx.writes {
		if err := guard(inside, tx); err != nil {
			return err
		}
	}
	for _, call := range tx.beforeCommit {
		if err := call(inside); err != nil {
			return err
		}
	}
	done = true
	if err := raw.Commit(); err != nil {
		if err = fmt.Errorf("commit: %w", err); tx.writes {
			err = errCommit{err}
		}
		return err
	}
	for _, call := range tx.afterCommit {
		call()
	}
	return nil
}
