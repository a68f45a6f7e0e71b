package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/sqlite"
)

func open(t *testing.T, path string) *db.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), path, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func run(t *testing.T, d *db.DB, query string, args ...any) error {
	t.Helper()
	return d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

func TestFilesAreReadableByOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	files := []string{path, path + "-wal", path + "-shm"}
	check := func(when string) {
		t.Helper()
		for _, name := range files {
			info, err := os.Stat(name)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", when, info.Mode(), err)
			}
		}
	}
	d := open(t, path)
	if err := run(t, d, `CREATE TABLE a (n BIGINT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	check("new")
	for _, name := range files {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	second := open(t, path) // while the first one has them open, as a command does beside the server
	if err := run(t, second, `INSERT INTO a VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	check("tightened")
}

// A full disk refuses writes and nothing else, is known as such, and is over as soon as there is
// space again.
func TestFullDiskIsUnavailableUntilThereIsSpace(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "a.db"))
	if err := run(t, d, `CREATE TABLE a (text TEXT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	if err := run(t, d, `PRAGMA max_page_count = 1`); err != nil { // it is never less than what there is
		t.Fatal(err)
	}
	large := strings.Repeat("x", 100_000)
	for range 2 {
		if err := run(t, d, `INSERT INTO a VALUES ($1)`, large); !db.Unavailable(err) || db.InDoubt(err) {
			t.Fatalf("%v", err)
		}
	}
	n := -1
	if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM a`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := run(t, d, `PRAGMA max_page_count = 100000`); err != nil {
		t.Fatal(err)
	}
	if err := run(t, d, `INSERT INTO a VALUES ($1)`, large); err != nil {
		t.Error(err)
	}
}

// A write that another process holds up for too long, and a database that may only be read, are no
// faults of the statement.
func TestUnwritableFileIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	d := open(t, path)
	if err := run(t, d, `CREATE TABLE a (n BIGINT PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Handle().ExecContext(t.Context(), `PRAGMA query_only(1)`); err != nil {
		t.Fatal(err)
	}
	if err := run(t, d, `INSERT INTO a VALUES (1)`); !db.Unavailable(err) {
		t.Errorf("read only: %v", err)
	}
	if _, err := d.Handle().ExecContext(t.Context(), `PRAGMA query_only(0)`); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{`INSERT INTO a VALUES (1)`, `INSERT INTO a VALUES (1)`} {
		if err := run(t, d, query); db.Unavailable(err) {
			t.Errorf("a key that is there: %v", err)
		}
	}
	if err := d.QueryRow(t.Context(), `SELECT n FROM a WHERE n = 2`).Scan(new(int)); !errors.Is(err, sql.ErrNoRows) {
		t.Error(err)
	}
}
