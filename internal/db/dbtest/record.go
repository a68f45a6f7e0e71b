package dbtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/jackc/pgx/v5/stdlib"
	sqlite3 "modernc.org/sqlite"
)

// Asked is one query that went to the database.
type Asked struct {
	Text string
	Args []any
}

// Recorder notes the queries of a database, and can have statements fail.
type Recorder struct {
	driver.Connector
	mu     sync.Mutex
	asked  []Asked
	left   int      // statements until one fails; below zero if none does
	spared []string // parts of statements that do not fail
	failed string   // the statement that failed
}

// Take returns what was asked since the last call.
func (r *Recorder) Take() []Asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.asked
	r.asked = nil
	return out
}

// Connect opens a connection whose queries are noted.
func (r *Recorder) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &recorded{c, r}, nil
}

type recorded struct {
	driver.Conn
	r *Recorder
}

func (c *recorded) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c *recorded) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.r.fault(text); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
}

func (c *recorded) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.r.fault(text); err != nil {
		return nil, err
	}
	a := Asked{Text: text}
	for _, v := range args {
		a.Args = append(a.Args, v.Value)
	}
	c.r.mu.Lock()
	c.r.asked = append(c.r.asked, a)
	c.r.mu.Unlock()
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, text, args)
}

// Recorded returns a fresh, migrated database of that engine whose queries are noted.
func Recorded(tb testing.TB, engine db.Engine, c clock.Clock) (*db.DB, *Recorder) {
	tb.Helper()
	r := &Recorder{left: -1}
	var err error
	if engine == db.SQLite {
		var path string
		d := SQLite(tb, c)
		if err = d.QueryRow(tb.Context(), `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(
			&path); err == nil {
			r.Connector, err = sqlite3.NewConnector("file:" + path +
				"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
		}
	} else {
		r.Connector, err = stdlib.GetDefaultDriver().(driver.DriverContext).OpenConnector(PostgresURL(tb))
	}
	if err != nil {
		tb.Fatal(err)
	}
	pool := sql.OpenDB(r)
	tb.Cleanup(func() { _ = pool.Close() })
	return db.New(db.Config{
		Engine: engine, Write: pool, Read: pool, Clock: c, Trouble: func(error) db.Trouble { return db.NoTrouble },
	}), r
}

// Scans returns what of the query's plan reads a whole table, or a whole index, of those that are
// named; with the plan. aliases are what queries call a table beside its name.
func Scans(tb testing.TB, d *db.DB, q Asked, tables []string, aliases map[string]string) (found []string, plan string) {
	tb.Helper()
	explain := `EXPLAIN `
	if d.Engine() == db.SQLite {
		explain = `EXPLAIN QUERY PLAN `
	}
	rows, err := d.Query(tb.Context(), explain+q.Text, q.Args...)
	if err != nil {
		tb.Fatalf("%s: %v", q.Text, err)
	}
	defer func() { _ = rows.Close() }()
	var lines []string
	for rows.Next() {
		var line string
		dest := []any{&line}
		if d.Engine() == db.SQLite {
			dest = []any{new(int), new(int), new(int), &line}
		}
		if err := rows.Scan(dest...); err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	for i, line := range lines {
		if d.Engine() == db.SQLite {
			rest, is := strings.CutPrefix(line, "SCAN ")
			name, using, _ := strings.Cut(rest, " ")
			if full, known := aliases[name]; known {
				name = full
			}
			if is && slices.Contains(tables, name) {
				found = append(found, name+" "+using)
			}
			continue
		}
		_, rest, is := strings.Cut(line, "Seq Scan on ")
		name, _, _ := strings.Cut(rest, " ")
		if is && slices.Contains(tables, name) {
			found = append(found, name)
		}
		// An index that is read from end to end has no condition below its line.
		for _, kind := range []string{"Index Scan ", "Index Only Scan "} {
			_, rest, is := strings.Cut(line, kind)
			_, on, _ := strings.Cut(rest, " on ")
			name, _, _ := strings.Cut(on, " ")
			_, index, _ := strings.Cut(rest, "using ")
			index, _, _ = strings.Cut(index, " ")
			bounded := i+1 < len(lines) && strings.Contains(lines[i+1], "Index Cond:")
			if is && !bounded && slices.Contains(tables, name) {
				found = append(found, name+" USING INDEX "+index)
			}
		}
	}
	return found, strings.Join(lines, "\n")
}
