package migrate_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/db/migrate"
)

// A database with data of the first schema gets a later migration, once. A server without that
// migration then refuses it.
func TestUp_UpgradesAndRefusesNewerDatabase(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		later := fstest.MapFS{"99999_test.sql": {Data: []byte(`-- +goose Up
ALTER TABLE job ADD COLUMN test_note TEXT NOT NULL DEFAULT 'none';
UPDATE job SET test_note = 'upgraded' WHERE kind = 'test';
`)}}
		dir, err := fs.Sub(migrate.Files, "sql")
		if err != nil {
			t.Fatal(err)
		}
		names, err := fs.Glob(dir, "*.sql")
		if err != nil || len(names) == 0 {
			t.Fatalf("got the migrations %v, %v", names, err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			later[name] = &fstest.MapFile{Data: text}
		}
		exec := func(query string) {
			t.Helper()
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.Exec(ctx, query)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		exec(`INSERT INTO job (id, kind, subject, run_at, generation, attempt, failures, lease_until, last_error, owner)
			VALUES ('job_1', 'test', 'dep_1', 0, 1, 0, 0, 0, '', '')`)
		for range 2 { // the second time nothing is left to do
			if err := migrate.UpTo(t.Context(), d, later); err != nil {
				t.Fatal(err)
			}
		}
		note, found, err := db.Find(t.Context(), d, db.Value[string], `SELECT test_note FROM job WHERE id = 'job_1'`)
		if note != "upgraded" || !found || err != nil {
			t.Errorf("got the note %q, found = %t, %v; want \"upgraded\"", note, found, err)
		}
		newer, is := errors.AsType[*migrate.NewerError](migrate.Up(t.Context(), d))
		if !is || newer.Database != 99999 || newer.Known >= newer.Database {
			t.Errorf("a server without the migration: got %v, want a NewerError", newer)
		}
	})
}
