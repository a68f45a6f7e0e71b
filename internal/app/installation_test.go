package app

import (
	"context"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/secret"
)

// each runs f with a configuration for each engine.
func each(t *testing.T, f func(t *testing.T, c Config)) {
	for name, url := range map[string]func(t *testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": func(t *testing.T) string { return dbtest.PostgresURL(t) }} {
		t.Run(name, func(t *testing.T) {
			c := Default()
			c.Version, c.Log, c.DatabaseURL, c.DataDir = "v1.2.3", slog.New(slog.DiscardHandler), url(t), t.TempDir()
			f(t, c)
		})
	}
}

func opens(t *testing.T, c Config) error {
	t.Helper()
	o, err := OpenOperator(t.Context(), c) // as every verb does, and the server
	if err != nil {
		return err
	}
	return o.Close()
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		o, err := OpenOperator(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99001, $1)`, true)
			return err
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

func TestADatabaseKeepsItsSecretKey(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		if err := opens(t, c); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(c.DataDir, secret.File)
		if err := os.Rename(file, file+".kept"); err != nil {
			t.Fatal(err)
		}
		err := opens(t, c)
		if err == nil || !strings.Contains(err.Error(), "there is no secret.key") || !strings.Contains(err.Error(), "billetd secret-key replace") || !strings.Contains(err.Error(), "BILLET_SECRET_KEY") {
			t.Errorf("without the key: %v", err)
		}
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Error("a key was made for a database that has one")
		}
		other := c
		other.SecretKey = base64.StdEncoding.EncodeToString(make([]byte, 32))
		if err := opens(t, other); err == nil || !strings.Contains(err.Error(), "the key given here is") {
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
