package migrate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/pressly/goose/v3"
)

// A database that has events already gets places for them, and goes on counting after them.
func TestEventsThatWereThereBeforeAreNumbered(t *testing.T) {
	found, err := filepath.Glob("sql/*_event_seq.sql")
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	var version int64
	if _, err := fmt.Sscanf(filepath.Base(found[0]), "%d_", &version); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, d *db.DB, dialect goose.Dialect) {
		p, err := goose.NewProvider(dialect, d.Handle(), os.DirFS("sql"), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.UpTo(t.Context(), version-1); err != nil {
			t.Fatal(err)
		}
		for i, account := range strings.Fields("b a a b a") {
			if _, err := d.Handle().ExecContext(t.Context(), `INSERT INTO event (id, account_id, subject, type, data, created_at) VALUES ($1, $2, 's', 't', '{}', 0)`, fmt.Sprint("evt_", i), account); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // down and up again, too
			if _, err := p.UpTo(t.Context(), version); err != nil {
				t.Fatal(err)
			}
			for query, want := range map[string]string{
				`SELECT id, seq FROM event ORDER BY account_id, seq`:             "evt_1=1 evt_2=2 evt_4=3 evt_0=1 evt_3=2",
				`SELECT account_id, last FROM event_counter ORDER BY account_id`: "a=3 b=2",
			} {
				rows, err := d.Query(t.Context(), query)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for rows.Next() {
					var name string
					var n int
					if err := rows.Scan(&name, &n); err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprint(name, "=", n))
				}
				if err := rows.Err(); err != nil || strings.Join(got, " ") != want {
					t.Errorf("%s: %v, %v", query, got, err)
				}
				_ = rows.Close()
			}
			if _, err := p.DownTo(t.Context(), version-1); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		d, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "old.db"), clock.NewFrozen(dbtest.Start))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		run(t, d, goose.DialectSQLite3)
	})
	t.Run("postgres", func(t *testing.T) {
		d := dbtest.Postgres(t, clock.NewFrozen(dbtest.Start))
		if _, err := d.Handle().ExecContext(t.Context(), `DROP SCHEMA public CASCADE; CREATE SCHEMA public`); err != nil {
			t.Fatal(err)
		}
		run(t, d, goose.DialectPostgres)
	})
}
