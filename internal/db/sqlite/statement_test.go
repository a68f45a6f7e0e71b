package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

// one is a pool of one connection, so that everything meets on it.
func one(t *testing.T) *sql.DB {
	t.Helper()
	p, err := pool(filepath.Join(t.TempDir(), "a.db"), "BEGIN IMMEDIATE", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	do(t, p, `CREATE TABLE a (n BIGINT NOT NULL)`)
	do(t, p, `INSERT INTO a VALUES (1), (2), (3)`)
	return p
}

type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func do(t *testing.T, on runner, query string, args ...any) {
	t.Helper()
	if _, err := on.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func number(t *testing.T, on runner, query string, args ...any) (n int64) {
	t.Helper()
	if err := on.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// kept is what the pool's connection keeps.
func kept(t *testing.T, p *sql.DB) (c *conn) {
	t.Helper()
	raw, err := p.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	if err := raw.Raw(func(x any) error { c = x.(*conn); return nil }); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStatementIsPreparedOnceAndSeesChanges(t *testing.T) {
	p := one(t)
	const q = `SELECT COUNT(*) FROM a WHERE n >= $1`
	for i, want := range []int64{3, 2, 1, 0} {
		if n := number(t, p, q, i+1); n != want {
			t.Errorf("%d: %d, want %d", i, n, want)
		}
	}
	c := kept(t, p)
	s := c.kept[q]
	if s == nil || s.busy {
		t.Fatalf("%+v", s)
	}
	do(t, p, `DELETE FROM a WHERE n = $1`, 3)
	do(t, p, `ALTER TABLE a ADD COLUMN m BIGINT`)
	if n := number(t, p, q, 1); n != 2 || c.kept[q] != s {
		t.Errorf("%d after a change of the schema, the same statement: %t", n, c.kept[q] == s)
	}
	if _, err := p.ExecContext(t.Context(), `INSERT INTO a (n) VALUES (NULL)`); err == nil {
		t.Error("NULL was taken")
	}
	do(t, p, `INSERT INTO a (n) VALUES ($1)`, 7)
}

func TestStatementWithOpenRowsIsNotReused(t *testing.T) {
	p := one(t)
	tx, err := p.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	const q = `SELECT n FROM a WHERE n > $1 ORDER BY n`
	outer, err := tx.QueryContext(t.Context(), q, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := []int64{}
	for outer.Next() {
		var n int64
		if err := outer.Scan(&n); err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, n); n < 3 {
			if next := number(t, tx, q, n); next != n+1 {
				t.Errorf("after %d comes %d", n, next)
			}
		}
	}
	if err := errors.Join(outer.Err(), tx.Commit()); err != nil || fmt.Sprint(seen) != "[1 2 3]" {
		t.Errorf("%v %v", seen, err)
	}
	if c := kept(t, p); c.kept[q] == nil || c.kept[q].busy {
		t.Errorf("%+v", c.kept[q])
	}
}

func TestPreparedStatementsAreLimited(t *testing.T) {
	p := one(t)
	const often = `SELECT COUNT(*) FROM a`
	for i := range 2 * keptStatements {
		number(t, p, fmt.Sprintf(`SELECT %d`, i))
		number(t, p, often)
	}
	if c := kept(t, p); len(c.kept) != keptStatements || c.kept[often] == nil || c.kept[`SELECT 0`] != nil {
		t.Errorf("%d are kept, the one in use: %t", len(c.kept), c.kept[often] != nil)
	}
}

func TestTransactionsNeverLeak(t *testing.T) {
	p := one(t)
	ended, end := context.WithCancel(t.Context())
	tx, err := p.BeginTx(ended, nil)
	if err != nil {
		t.Fatal(err)
	}
	do(t, tx, `DELETE FROM a`)
	end()
	if err := tx.Commit(); !errors.Is(err, context.Canceled) && !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("commit: %v", err)
	}
	if _, err := p.BeginTx(ended, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("begin: %v", err)
	}
	if n := number(t, p, `SELECT COUNT(*) FROM a`); n != 3 {
		t.Errorf("%d rows", n)
	}
	// A commit that fails, as for a foreign key that is checked then, ends the transaction all
	// the same.
	do(t, p, `CREATE TABLE b (k BIGINT PRIMARY KEY)`)
	do(t, p, `CREATE TABLE c (k BIGINT REFERENCES b (k) DEFERRABLE INITIALLY DEFERRED)`)
	if tx, err = p.BeginTx(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	do(t, tx, `INSERT INTO c VALUES (1)`)
	if err := tx.Commit(); err == nil {
		t.Error("a key that leads nowhere was committed")
	}
	if tx, err = p.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	if n := number(t, tx, `SELECT COUNT(*) FROM c`); n != 0 {
		t.Errorf("%d rows", n)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}

func TestUnnumberedRewritesOnlyPlainNumbering(t *testing.T) {
	for text, want := range map[string]string{
		`INSERT INTO a VALUES ($1, $2), ($3, $4)`: `INSERT INTO a VALUES (?, ?), (?, ?)`,
		`SELECT '$9' || "$8" || $1 || 'it''s $7'`: `SELECT '$9' || "$8" || ? || 'it''s $7'`,
		`SELECT 1`:               `SELECT 1`,
		`SELECT $2 - $1`:         ``,
		`SELECT $1 + $1`:         ``,
		`SELECT $1, $3`:          ``,
		`SELECT $01`:             ``,
		`SELECT $a`:              ``,
		`SELECT $`:               ``,
		`SELECT ?, $1`:           ``,
		`SELECT :a, $1`:          ``,
		`SELECT 'open, $1`:       ``,
		"SELECT $1 -- not $2":    ``,
		"SELECT $1 /* ' */, $2":  ``,
		"SELECT $1 AS [a'b], $2": ``,
	} {
		if want == "" {
			want = text
		}
		if got := unnumbered(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	p := one(t)
	do(t, p, `INSERT INTO a VALUES ($1), ($2), ($3)`, 10, 20, 30)
	if n := number(t, p, `SELECT COUNT(*) FROM a WHERE n IN ($1, $2) AND n > $3`, 10, 20, 15); n != 1 {
		t.Errorf("%d", n)
	}
	if n := number(t, p, `SELECT CAST($2 AS BIGINT) - CAST($1 AS BIGINT)`, 3, 10); n != 7 {
		t.Errorf("operands are swapped: %d", n)
	}
}
