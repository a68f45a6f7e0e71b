package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// pingTime is how long a connection that comes out of the pool may take to show that it lives;
	// pingAfter is for how long one that was just used is trusted.
	pingTime, pingAfter = 3 * time.Second, time.Second
	// beginTime includes the wait for a server's connection behind a pooler.
	beginTime = 10 * time.Second
	// commitTime is how long a commit may take. A standby that has to confirm it may be slow.
	commitTime = 15 * time.Second
	// endTime is how long a rollback or a good-bye may take.
	endTime = 2 * time.Second
)

// connector makes connections that know when the pool they belong to was found dead.
type connector struct {
	driver.Connector
	bounded bool   // the server may not stay silent indefinitely
	local   string // what is set in each transaction, behind a pooler, which keeps no settings of a session; ""
	// age counts how often a connection was found dead. One that is older than the last of these is
	// not used again: what ended one of them, a failover or a firewall, has most probably ended
	// all.
	age *atomic.Int64
	// dead is when the last of these was, in nanoseconds of the machine's clock.
	dead *atomic.Int64
}

// outlived makes all connections of that age, or an earlier one, too old.
func (c *connector) outlived(age int64) {
	if c.age.CompareAndSwap(age, age+1) {
		c.dead.Store(time.Now().UnixNano())
	}
}

type lineKey struct{}

func newConnector(c *pgx.ConnConfig, bounded bool, local string) *connector {
	o := stdlib.OptionBeforeConnect(func(ctx context.Context, c *pgx.ConnConfig) error {
		if l, is := ctx.Value(lineKey{}).(*line); is {
			c.DialFunc = l.open
		}
		return nil
	})
	return &connector{stdlib.GetConnector(*c, o), bounded, local, &atomic.Int64{}, &atomic.Int64{}}
}

// Connect opens a connection.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	age := c.age.Load()
	l := &line{bounded: c.bounded, dial: dialer().DialContext, gone: func() { c.outlived(age) }}
	if now := time.Now(); now.Sub(time.Unix(0, c.dead.Load())) < fresh {
		l.opened = now
	}
	raw, err := c.Connector.Connect(context.WithValue(ctx, lineKey{}, l))
	if err != nil {
		return nil, err
	}
	own, is := raw.(*stdlib.Conn)
	if !is {
		return nil, errors.Join(errors.New("postgres: the driver's connections have changed"), raw.Close())
	}
	l.connected.Store(true)
	return &conn{Conn: own, c: c, line: l, age: age}, nil
}

// conn is one connection. database/sql ensures exclusive use.
type conn struct {
	*stdlib.Conn
	c    *connector
	line *line
	age  int64
	used time.Time
}

// pg is the connection as the protocol knows it.
func (c *conn) pg() *pgconn.PgConn { return c.Conn.Conn().PgConn() }

// IsValid reports whether the connection may return to the pool.
func (c *conn) IsValid() bool {
	c.used = time.Now()
	return !c.pg().IsClosed() && c.age == c.c.age.Load()
}

// ResetSession checks that a connection from the pool still works.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.pg().IsClosed() || c.age != c.c.age.Load() || c.pg().TxStatus() != 'I' {
		return driver.ErrBadConn
	}
	if time.Since(c.used) < pingAfter {
		return nil
	}
	return c.Ping(ctx)
}

// Ping checks that the server answers.
func (c *conn) Ping(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	if err := c.pg().Ping(within); err != nil {
		if ctx.Err() != nil {
			return ctx.Err() // who asked gave up: that says nothing of the connection, which is closed all the same
		}
		c.found(err)
		return driver.ErrBadConn
	}
	return nil
}

// found draws the conclusion from an error for all connections of the pool.
func (c *conn) found(err error) {
	switch t := trouble(err); {
	case t == db.Lost, t == db.Down, t == db.ReadOnly, errors.Is(err, context.DeadlineExceeded):
		c.c.outlived(c.age)
	}
}

// ExecContext runs a statement that returns no rows.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	r, err := c.Conn.ExecContext(ctx, query, args)
	if err != nil && ctx.Err() == nil {
		c.found(err)
	}
	return r, err
}

// QueryContext runs a statement that returns rows.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := c.Conn.QueryContext(ctx, query, args)
	if err != nil && ctx.Err() == nil {
		c.found(err)
	}
	return r, err
}

// BeginTx begins a transaction.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	text := "begin"
	switch level := sql.IsolationLevel(o.Isolation); level {
	case sql.LevelDefault:
	case sql.LevelRepeatableRead:
		text += " isolation level repeatable read"
	default:
		return nil, fmt.Errorf("postgres: the isolation level %s is not supported", level)
	}
	if o.ReadOnly {
		text += " read only"
	}
	within, cancel := context.WithTimeout(ctx, beginTime)
	defer cancel()
	if _, err := c.simple(within, text+c.c.local); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		c.found(err)
		if pgconn.SafeToRetry(err) {
			return nil, driver.ErrBadConn
		}
		if within.Err() != nil {
			return nil, errSilent
		}
		return nil, err
	}
	return tx{c}, nil
}

// simple runs statements without parameters, in one round trip.
func (c *conn) simple(ctx context.Context, text string) (pgconn.CommandTag, error) {
	results, err := c.pg().Exec(ctx, text).ReadAll()
	if err != nil || len(results) == 0 {
		return pgconn.CommandTag{}, err
	}
	return results[len(results)-1].CommandTag, nil
}

type tx struct{ c *conn }

// Commit commits, whatever becomes of the context that the transaction began with. A commit that
// takes too long is left to the server, not cancelled: one that waits for a standby would be done
// without it.
func (t tx) Commit() error {
	ctx, cancel := context.WithTimeout(context.Background(), commitTime)
	defer cancel()
	t.c.line.committing.Store(true)
	tag, err := t.c.simple(ctx, "commit")
	if err != nil {
		if ctx.Err() != nil {
			return errSilent
		}
		t.c.found(err)
		if !t.c.pg().IsClosed() {
			t.c.line.committing.Store(false)
		}
		return err
	}
	t.c.line.committing.Store(false)
	if tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	return nil
}

// Rollback rolls back.
func (t tx) Rollback() error {
	if t.c.pg().IsClosed() {
		return nil // with the connection went the transaction
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	_, err := t.c.simple(ctx, "rollback")
	return err
}

// Close ends the session without waiting.
func (c *conn) Close() error {
	if w := c.line.wire.Load(); w != nil {
		_ = w.SetDeadline(time.Now().Add(endTime))
	}
	return c.Conn.Close()
}
