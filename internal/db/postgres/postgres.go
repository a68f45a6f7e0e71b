package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DefaultConnections is the maximum for one replica; PostgreSQL's default allows 100 in all.
const DefaultConnections = 20

// Options configure the connections to a database.
type Options struct {
	// Connections is how many may be open at once, beside the one of migrations; 0 for
	// DefaultConnections.
	Connections int
	// Instance tells a server from others on the same PostgreSQL, so that CountConnections counts
	// what all of them may open; "" for a command, which opens few.
	Instance string
	// Replica is the URL of a standby of the same database, which serves reads that may lag; "" for
	// none. It need not answer when the database is opened.
	Replica string
}

// limits are enforced by the server, so that the locks of a client that vanished are released soon.
var limits = map[string]string{
	"statement_timeout":                   "30s",
	"lock_timeout":                        "8s", // shorter than silence
	"idle_in_transaction_session_timeout": "60s",
}

// serverKeepAlive lets the server detect a client that vanished.
var serverKeepAlive = map[string]string{
	"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	"tcp_user_timeout": "30000",
}

// Open connects to the database at a postgres:// URL, directly or through a pooler such as
// PgBouncer in session or transaction mode.
func Open(ctx context.Context, url string, c clock.Clock) (*db.DB, error) {
	return OpenWith(ctx, url, c, Options{})
}

// OpenWith is Open with options.
func OpenWith(ctx context.Context, url string, c clock.Clock, o Options) (*db.DB, error) {
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if err := CheckURL(url); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTime
	}
	pooled, err := behindPooler(ctx, config.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	if _, set := config.RuntimeParams[nameParam]; !set {
		config.RuntimeParams[nameParam] = o.name(pooled)
	}
	unbounded, local := config.Copy(), ""
	if pooled {
		unnamed(config)
		unnamed(unbounded)
		local = localLimits()
	} else {
		for name, value := range limits {
			if _, set := config.RuntimeParams[name]; !set {
				config.RuntimeParams[name] = value
			}
		}
		maps.Copy(config.RuntimeParams, serverKeepAlive)
	}
	pool := sql.OpenDB(newConnector(config, true, local))
	replica, err := o.replica(pool)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	pool.SetMaxOpenConns(o.Connections)
	pool.SetMaxIdleConns(o.Connections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	slow := sql.OpenDB(newConnector(unbounded, false, "")) // no connection is opened before one is needed
	slow.SetMaxIdleConns(1)
	slow.SetConnMaxIdleTime(time.Minute)
	d := db.New(db.Config{
		Engine: db.Postgres, Write: pool, Read: pool, Unbounded: slow, Clock: c, Trouble: trouble, Replica: replica,
	})
	if err := d.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to PostgreSQL: %w", err), d.Close())
	}
	return d, nil
}

// unnamed keeps no statements by name, for a pooler: the next one may meet another connection of
// the server's, which does not know it, or knows another.
func unnamed(c *pgx.ConnConfig) {
	if c.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
}

// localLimits sets the limits for one transaction, for a pooler, which keeps no settings.
func localLimits() (text string) {
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		text += "; set local " + name + " = '" + limits[name] + "'"
	}
	return text
}

// behindPooler reports whether what we connect to hands our statements on to a server's connection
// that is not ours: then the process that serves us is not the one that greeted us.
func behindPooler(ctx context.Context, c *pgx.ConnConfig) (bool, error) {
	l := &line{bounded: true, dial: dialer().DialContext, gone: func() {}}
	c.DialFunc = l.open
	conn, err := pgconn.ConnectConfig(ctx, &c.Config)
	if err != nil {
		return false, err
	}
	results, err := conn.Exec(ctx, "select pg_backend_pid()").ReadAll()
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return false, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return false, errors.New("the server does not say which process serves us")
	}
	return string(results[0].Rows[0][0]) != fmt.Sprint(conn.PID()), nil
}
