package migrate_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/db/migrate"
	"github.com/pressly/goose/v3/lock"
)

// with returns the migrations of this version and further ones.
func with(t *testing.T, later map[string]string) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{}
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
		all[name] = &fstest.MapFile{Data: text}
	}
	for name, text := range later {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

func exec(t *testing.T, d *db.DB, query string) {
	t.Helper()
	if _, err := d.Handle().ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func refused(t *testing.T, err error, want migrate.Reason) {
	t.Helper()
	if r, is := errors.AsType[*migrate.RefusedError](err); !is || r.Reason != want {
		t.Errorf("got the error %v, want %s", err, want)
	}
}

func numbers(all []migrate.Migration) (n []int64) {
	for _, m := range all {
		n = append(n, m.Number)
	}
	return n
}

const addNote = `-- +billet expand works-with=1
-- +goose Up
ALTER TABLE job ADD COLUMN test_note TEXT NOT NULL DEFAULT 'none';
UPDATE job SET test_note = 'upgraded' WHERE kind = 'test';
`

// A database with data of the first schema gets a later migration, once. A server without that
// migration works with it if the migration says so.
func TestUp_ExpandMigrationIsToleratedByOlderServer(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		later := with(t, map[string]string{"90001_note.sql": addNote})
		exec(t, d, `INSERT INTO job (id, kind, subject, run_at, generation, attempt, failures, lease_until, last_error,
			owner) VALUES ('job_1', 'test', 'dep_1', 0, 1, 0, 0, 0, '', '')`)
		refused(t, migrate.CheckIn(t.Context(), d, later), migrate.Older)
		for _, want := range []int{1, 0} { // the second time nothing is left to do
			done, err := migrate.UpTo(t.Context(), d, later, migrate.Options{By: "v1.2.3-o'brien; x"})
			if err != nil || len(done) != want {
				t.Fatalf("applied %v, %v; want %d", done, err, want)
			}
		}
		note, found, err := db.Find(t.Context(), d, db.Value[string], `SELECT test_note FROM job WHERE id = 'job_1'`)
		if note != "upgraded" || !found || err != nil {
			t.Errorf("got the note %q, found = %t, %v; want \"upgraded\"", note, found, err)
		}
		if err := migrate.CheckIn(t.Context(), d, later); err != nil {
			t.Error(err)
		}
		// a server without the file
		if err := migrate.Check(t.Context(), d); err != nil {
			t.Error(err)
		}
		if done, err := migrate.Up(t.Context(), d, migrate.Options{}); len(done) != 0 || err != nil {
			t.Errorf("an older server applied %v, %v", done, err)
		}
		s, err := migrate.Read(t.Context(), d)
		last := s.Migrations[len(s.Migrations)-1]
		if err != nil || s.Schema != 90001 || last.Number != 90001 || last.Kind != migrate.Expand || !last.Applied ||
			last.By != "v1.2.3-o'brien x" {
			t.Errorf("the status is %+v, %v", s, err)
		}
	})
}

// A contract migration waits until it is asked for, and ends older servers.
func TestUp_ContractMigrationRefusesOlderServer(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		files := map[string]string{
			"90001_note.sql": addNote,
			"90002_drop.sql": "-- +billet contract works-with=90001\n-- +goose Up\n" +
				"ALTER TABLE job DROP COLUMN test_note;\n",
		}
		later := with(t, files)
		up := func(o migrate.Options, want ...int64) error {
			t.Helper()
			done, err := migrate.UpTo(t.Context(), d, later, o)
			if got := numbers(done); len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
				t.Fatalf("applied %v, want %v (%v)", got, want, err)
			}
			return err
		}
		if err := up(migrate.Options{}, 90001); err != nil {
			t.Fatal(err)
		}
		if err := migrate.CheckIn(t.Context(), d, later); err != nil {
			t.Errorf("a server needs a contract migration: %v", err)
		}
		// An expand migration after it needs it.
		files["90003_more.sql"] = "-- +billet expand works-with=90002\n-- +goose Up\n" +
			"ALTER TABLE job ADD COLUMN more TEXT;\n"
		later = with(t, files)
		if err := up(migrate.Options{}); !errors.Is(err, migrate.ErrContract) {
			t.Errorf("got the error %v, want ErrContract", err)
		}
		if err := up(migrate.Options{Contract: true}, 90002, 90003); err != nil {
			t.Fatal(err)
		}
		refused(t, migrate.Check(t.Context(), d), migrate.Newer)
		_, err := migrate.Up(t.Context(), d, migrate.Options{})
		refused(t, err, migrate.Newer)
	})
}

// A database of an unreleased version has the same number and another schema.
func TestCheck_EditedMigrationIsRefused(t *testing.T) {
	for name, change := range map[string]string{
		"other text":                      `UPDATE schema_migration SET fingerprint = '00' WHERE migration = 1`,
		"before fingerprints were stored": `DROP TABLE schema_migration`,
		"not recorded":                    `DELETE FROM schema_migration WHERE migration = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
				if err := migrate.Check(t.Context(), d); err != nil {
					t.Fatal(err)
				}
				exec(t, d, change)
				refused(t, migrate.Check(t.Context(), d), migrate.Edited)
				_, err := migrate.Up(t.Context(), d, migrate.Options{})
				refused(t, err, migrate.Edited)
			})
		})
	}
}

// A newer migration that says nothing is one that no older server works with.
func TestCheck_UnrecordedNewerMigrationIsRefused(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		exec(t, d, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (90001, TRUE)`)
		refused(t, migrate.Check(t.Context(), d), migrate.Newer)
	})
}

// Comments and spaces may be changed, literals may not.
func TestFingerprint(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		const one = "-- +billet expand works-with=1\n-- +goose Up\n" +
			"ALTER TABLE job ADD COLUMN x TEXT DEFAULT 'a--b'; -- why\n"
		_, err := migrate.UpTo(t.Context(), d, with(t, map[string]string{"90001_x.sql": one}), migrate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for text, same := range map[string]bool{
			strings.Replace(one, "-- why", "-- because\n-- of that", 1): true,
			strings.Replace(one, "ADD COLUMN", "ADD\n    COLUMN", 1):    true,
			strings.Replace(one, "a--b", "a--c", 1):                     false,
			strings.Replace(one, "x TEXT", "y TEXT", 1):                 false,
		} {
			err := migrate.CheckIn(t.Context(), d, with(t, map[string]string{"90001_x.sql": text}))
			if same && err != nil {
				t.Errorf("%s\n%v", text, err)
			} else if !same {
				refused(t, err, migrate.Edited)
			}
		}
	})
}

func TestUp_RefusesFilesWithoutKind(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		for _, text := range []string{
			"-- +goose Up\nSELECT 1;\n", "-- +billet expand\n-- +goose Up\nSELECT 1;\n",
			"-- +billet expand works-with=1\n",
			"-- +billet other works-with=1\n-- +goose Up\n", "-- +billet expand works-with=90002\n-- +goose Up\n",
		} {
			_, err := migrate.UpTo(t.Context(), d, with(t, map[string]string{"90001_x.sql": text}), migrate.Options{})
			if err == nil || !strings.Contains(err.Error(), "90001_x.sql") {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

const addIndex = `-- +billet expand works-with=1
-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS job_test;
CREATE INDEX CONCURRENTLY job_test ON job (kind, subject);
`

// An index is built without blocking writers. Another process that waits for its turn to migrate
// meanwhile does not keep the build from ending.
func TestUp_BuildsIndexConcurrently(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		later := with(t, map[string]string{"90001_index.sql": addIndex})
		processes := map[db.Engine]int{db.SQLite: 1, db.Postgres: 3}[d.Engine()]
		errs := make(chan error, processes)
		for range processes {
			go func() {
				_, err := migrate.UpTo(t.Context(), d, later, migrate.Options{})
				errs <- err
			}()
		}
		for range processes {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		query := `SELECT COUNT(*) FROM sqlite_master WHERE name = 'job_test'`
		if d.Engine() == db.Postgres {
			query = `SELECT COUNT(*) FROM pg_index WHERE indexrelid = 'job_test'::regclass AND indisvalid`
		}
		var n int64
		if err := d.QueryRow(t.Context(), query).Scan(&n); err != nil || n != 1 {
			t.Errorf("%d valid indexes, %v", n, err)
		}
		if err := migrate.CheckIn(t.Context(), d, later); err != nil {
			t.Error(err)
		}
	})
}

// A migration does not wait long for a lock, because everything else waits behind it. It says what
// to do, and succeeds later.
func TestUp_GivesUpWaitingForLock(t *testing.T) {
	d := dbtest.Postgres(t, clock.System{})
	later := with(t, map[string]string{"90001_note.sql": addNote})
	reader, err := d.Handle().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback() }()
	if _, err := reader.ExecContext(t.Context(), `SELECT COUNT(*) FROM job`); err != nil { // and keeps its lock
		t.Fatal(err)
	}
	_, err = migrate.UpTo(t.Context(), d, later, migrate.Options{Attempts: 2})
	if err == nil || !strings.Contains(err.Error(), "pg_stat_activity") ||
		!strings.Contains(err.Error(), "2 attempts") {
		t.Fatalf("got the error %v", err)
	}
	refused(t, migrate.CheckIn(t.Context(), d, later), migrate.Older)
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if done, err := migrate.UpTo(t.Context(), d, later, migrate.Options{}); len(done) != 1 || err != nil {
		t.Errorf("applied %v, %v", done, err)
	}
}

// A migration that waits for a lock for a moment is applied without a second command.
func TestUp_TriesAgainForLock(t *testing.T) {
	d := dbtest.Postgres(t, clock.System{})
	later := with(t, map[string]string{"90001_note.sql": addNote})
	reader, err := d.Handle().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback() }()
	if _, err := reader.ExecContext(t.Context(), `SELECT COUNT(*) FROM job`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := migrate.UpTo(context.WithoutCancel(t.Context()), d, later, migrate.Options{Attempts: 1000})
		ended <- err
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waits := false; !waits; <-tick.C { // until it waits
		err := d.QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted
			AND relation = 'job'::regclass)`).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestUp_WaitsForItsTurn(t *testing.T) {
	d := dbtest.Postgres(t, clock.System{})
	other, err := d.Handle().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback() }()
	if _, err := other.ExecContext(t.Context(), `SELECT pg_advisory_xact_lock($1)`, lock.DefaultLockID); err != nil {
		t.Fatal(err)
	}
	later := with(t, map[string]string{"90001_note.sql": addNote})
	_, err = migrate.UpTo(t.Context(), d, later, migrate.Options{Wait: time.Nanosecond})
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got the error %v", err)
	}
}

// A command that is interrupted while it waits does not say that it has waited to the end.
func TestUp_StopsWaitingWhenInterrupted(t *testing.T) {
	d := dbtest.Postgres(t, clock.System{})
	other, err := d.Handle().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback() }()
	if _, err := other.ExecContext(t.Context(), `SELECT pg_advisory_xact_lock($1)`, lock.DefaultLockID); err != nil {
		t.Fatal(err)
	}
	later := with(t, map[string]string{"90001_note.sql": addNote})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan error, 1)
	go func() {
		_, err := migrate.UpTo(ctx, d, later, migrate.Options{Wait: time.Hour})
		ended <- err
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waits := false; !waits; <-tick.C { // between two attempts
		err := d.QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction'
			AND query LIKE 'SET LOCAL idle_in_transaction_session_timeout%')`).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
	}
	interrupt()
	if err := <-ended; !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "has been migrating") {
		t.Errorf("got the error %v", err)
	}
}
