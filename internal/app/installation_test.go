package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/secret"
)

// each runs f with a configuration for each engine.
func each(t *testing.T, f func(t *testing.T, c Config)) {
	for name, url := range map[string]func(t *testing.T) string{"sqlite": func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return dbtest.PostgresURL(t) }} {
		t.Run(name, func(t *testing.T) {
			c := Default()
			c.Version, c.Log, c.DatabaseURL, c.DataDir = "v1.2.3", slog.New(slog.DiscardHandler), url(t), t.TempDir()
			f(t, c)
		})
	}
}

func opens(t *testing.T, c Config) error {
	t.Helper()
	o, err := OpenOperator(t.Context(), c) // as every command does, and the server
	if err != nil {
		return err
	}
	return o.Close()
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		o, err := OpenOperator(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied)
				VALUES (99001, TRUE)`); err != nil {
				return err
			}
			return installation.SetVersion(ctx, tx, c.Version)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		older := c
		older.Version = "v1.1.0"
		err = opens(t, older)
		if err == nil {
			t.Fatal("an older billetd works on it")
		}
		for _, want := range []string{"v1.1.0", "v1.2.3", "99001", "backup"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
	})
}

func TestDatabaseKeepsItsSecretKey(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		if err := opens(t, c); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(c.DataDir, secret.File)
		if err := os.Rename(file, file+".kept"); err != nil {
			t.Fatal(err)
		}
		err := opens(t, c)
		if err == nil || !strings.Contains(err.Error(), "secret.key is not in") ||
			!strings.Contains(err.Error(), "billetd secret-key replace") ||
			!strings.Contains(err.Error(), "BILLET_SECRET_KEY") {
			t.Errorf("without the key: %v", err)
		}
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Error("a key was made for a database that has one")
		}
		other := c
		other.SecretKey = base64.StdEncoding.EncodeToString(make([]byte, 32))
		if err := opens(t, other); err == nil || !strings.Contains(err.Error(), "the configured key is") {
			t.Errorf("with another key: %v", err)
		}
		kept, err := os.ReadFile(file + ".kept")
		if err != nil {
			t.Fatal(err)
		}
		same := c
		same.SecretKey = string(kept)
		if err := opens(t, same); err != nil {
			t.Errorf("with the same key, given otherwise: %v", err)
		}
		before, after, err := ReplaceSecretKey(t.Context(), other)
		if err != nil || before == after || before == "" {
			t.Fatalf("%s %s %v", before, after, err)
		}
		if err := opens(t, other); err != nil {
			t.Error(err)
		}
		if err := opens(t, same); err == nil {
			t.Error("the key that was replaced opens it")
		}
	})
}

func TestRoleWithoutPrivilegesGetsTheMissingGrants(t *testing.T) {
	c := Default()
	c.Version, c.Log, c.DatabaseURL, c.DataDir = "v1.2.3", slog.New(slog.DiscardHandler), dbtest.PostgresURL(t),
		t.TempDir()
	o, err := OpenOperator(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	role := strings.ToLower("billet_" + rand.Text())
	run := func(text string) {
		t.Helper()
		if _, err := o.DB.Handle().ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE ROLE ` + role + ` LOGIN`)
	defer func() { run(`DROP OWNED BY ` + role); run(`DROP ROLE ` + role) }()
	u, err := url.Parse(c.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	with := c
	with.DatabaseURL = u.String()
	refused := func(what string, wants ...string) {
		t.Helper()
		_, err := Migrate(t.Context(), with, MigrateOptions{})
		if err == nil {
			t.Errorf("%s: it works", what)
			return
		}
		for _, want := range append(wants, "permission denied", role) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", what, want, err)
			}
		}
	}
	for _, with.Migrate = range []bool{false, true} { // a server, too
		if _, err := Open(t.Context(), with); err == nil || !strings.Contains(err.Error(), "belong to another role") {
			t.Errorf("a server, with Migrate = %t: %v", with.Migrate, err)
		}
	}
	refused("tables of another role", "belong to another role")
	run(`DROP SCHEMA public CASCADE`)
	run(`CREATE SCHEMA public`) // no other role has rights on it
	refused("no schema", "GRANT USAGE, CREATE ON SCHEMA public TO")
	run(`GRANT USAGE ON SCHEMA public TO ` + role)
	refused("no right to create", `GRANT USAGE, CREATE ON SCHEMA "public" TO`)
	run(`GRANT CREATE ON SCHEMA public TO ` + role)
	with.DataDir = t.TempDir()
	if err := opens(t, with); err == nil || !strings.Contains(err.Error(), "billetd migrate") {
		t.Errorf("a command on an empty database: %v", err)
	}
	if _, err := Migrate(t.Context(), with, MigrateOptions{}); err != nil {
		t.Error(err)
	}
	if err := opens(t, with); err != nil {
		t.Errorf("after it was granted: %v", err)
	}
}
