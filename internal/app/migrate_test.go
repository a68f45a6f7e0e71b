package app

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/wallet"
)

// change runs a statement on the database of a configuration.
func change(t *testing.T, c Config, statement string) {
	t.Helper()
	at, err := openDatabase(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := at.db.Handle().ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := at.db.Close(); err != nil {
		t.Fatal(err)
	}
}

// tables returns the number of tables, without those that the engine has.
func tables(t *testing.T, c Config) (n int64) {
	t.Helper()
	at, err := openDatabase(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = at.db.Close() }()
	query := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'`
	if at.db.Engine() == db.Postgres {
		query = `SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'`
	}
	if err := at.db.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func serves(t *testing.T, c Config) error {
	t.Helper()
	a, err := Open(t.Context(), c)
	if err != nil {
		return err
	}
	return a.Close()
}

// A server and a command refuse an empty PostgreSQL database, which may be the wrong one, and
// change nothing. SQLite's file is created by the first to need it.
func TestEmptyDatabase(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		if c.DatabaseURL == "" {
			if err := opens(t, c); err != nil {
				t.Errorf("a command: %v", err)
			}
			c.DataDir = t.TempDir()
			if err := serves(t, c); err != nil {
				t.Errorf("the server: %v", err)
			}
			return
		}
		change(t, c, `DROP SCHEMA public CASCADE`)
		change(t, c, `CREATE SCHEMA public`)
		for what, f := range map[string]func(*testing.T, Config) error{"a command": opens, "the server": serves,
			"secret-key replace": func(t *testing.T, c Config) error {
				_, _, err := ReplaceSecretKey(t.Context(), c)
				return err
			}} {
			err := f(t, c)
			if err == nil || !strings.Contains(err.Error(), "no tables") ||
				!strings.Contains(err.Error(), "`billetd migrate`") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if n := tables(t, c); n != 0 {
			t.Errorf("%d tables", n)
		}
		m, err := Migrate(t.Context(), c, MigrateOptions{DryRun: true})
		if err != nil || len(m.Done) == 0 || m.Schema != 0 {
			t.Errorf("a dry run: %+v, %v", m, err)
		}
		if n := tables(t, c); n != 0 {
			t.Errorf("%d tables after a dry run", n)
		}
		with := c
		with.Migrate = true
		if err := serves(t, with); err != nil {
			t.Errorf("the server with --migrate: %v", err)
		}
		if err := serves(t, c); err != nil {
			t.Errorf("the server afterwards: %v", err)
		}
	})
}

// A database that another text of the first migration created is one of a developer.
func TestDatabaseOfUnreleasedVersionIsRefused(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		if _, err := Migrate(t.Context(), c, MigrateOptions{}); err != nil {
			t.Fatal(err)
		}
		change(t, c, `UPDATE schema_migration SET fingerprint = '00'`)
		before := tables(t, c)
		with := c
		with.Migrate = true
		for what, err := range map[string]error{
			"a command": opens(t, c), "the server": serves(t, c), "with --migrate": serves(t, with),
			"migrate":       migrates(t.Context(), c, MigrateOptions{}),
			"its dry run":   migrates(t.Context(), c, MigrateOptions{DryRun: true}),
			"ledger verify": verifies(t.Context(), c),
		} {
			if err == nil || !strings.Contains(err.Error(), "from another text") ||
				!strings.Contains(err.Error(), "v1.2.3") || !strings.Contains(err.Error(), "empty database") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if after := tables(t, c); after != before {
			t.Errorf("%d tables, had %d", after, before)
		}
	})
}

func migrates(ctx context.Context, c Config, o MigrateOptions) error {
	_, err := Migrate(ctx, c, o)
	return err
}

func verifies(ctx context.Context, c Config) error {
	_, err := VerifyLedger(ctx, c, nil, wallet.VerifyOptions{})
	return err
}

// No command migrates SQLite's file under a running server.
func TestMigrate_RefusesRunningServer(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		if c.DatabaseURL != "" {
			t.Skip("PostgreSQL is migrated while servers run")
		}
		a, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Close() }()
		err = migrates(t.Context(), c, MigrateOptions{})
		if err == nil || !strings.Contains(err.Error(), "stop it first") {
			t.Errorf("got the error %v", err)
		}
	})
}

// What only reads does not create a database.
func TestSchemaStatus_CreatesNothing(t *testing.T) {
	c := Default()
	c.DataDir = t.TempDir()
	if _, err := SchemaStatus(t.Context(), c); err == nil {
		t.Error("there is a database")
	}
	if err := migrates(t.Context(), c, MigrateOptions{DryRun: true}); err == nil {
		t.Error("there is a database for a dry run")
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, "billet.db")); err == nil {
		t.Error("it made one")
	}
}

// A backup of a database that this version does not work with is not restored, and nothing of it
// is left: neither a changed database nor its key.
func TestRestore_RefusesDatabaseOfOtherVersion(t *testing.T) {
	for want, statement := range map[string]string{
		"newer billetd": `INSERT INTO goose_db_version (version_id, is_applied) VALUES (90001, 1)`,
		"another text":  `UPDATE schema_migration SET fingerprint = '00'`,
	} {
		c := Default()
		c.Log = slog.New(slog.DiscardHandler)
		c.DataDir = t.TempDir()
		if err := serves(t, c); err != nil {
			t.Fatal(err)
		}
		key, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		var good, changed bytes.Buffer
		if _, err := Backup(t.Context(), c, &good, true, key.Recipient()); err != nil {
			t.Fatal(err)
		}
		change(t, c, statement)
		if _, err := Backup(t.Context(), c, &changed, true, key.Recipient()); err != nil {
			t.Fatal(err)
		}
		c.DataDir = t.TempDir()
		_, err = Restore(t.Context(), c, &changed, key)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want %q", err, want)
		}
		for _, name := range []string{"billet.db", "secret.key"} {
			if _, err := os.Lstat(filepath.Join(c.DataDir, name)); err == nil {
				t.Errorf("%s: it left %s", want, name)
			}
		}
		if _, err := Restore(t.Context(), c, &good, key); err != nil {
			t.Errorf("a backup of this version: %v", err)
		}
	}
}

// What a message says about a database tells it from others, and has no password.
func TestDatabaseIsNamed(t *testing.T) {
	for url, want := range map[string]string{
		"": "SQLite in ./data",
		"postgres://billet:s3cret@db.example/billet?sslmode=disable": "PostgreSQL db.example:5432/billet",
		"postgres://billet:s3cret@db.example:6432/other":             "PostgreSQL db.example:6432/other",
		"postgres://billet:s3c#ret@db.example/billet":                "PostgreSQL with an invalid URL",
		"s3cret": "PostgreSQL with an invalid URL",
	} {
		if got := (Config{DataDir: "./data", DatabaseURL: url}).DatabaseName(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
