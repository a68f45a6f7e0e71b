package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/migrate"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/db/sqlite"
)

// Start is where the frozen clock of Engines stands: hostile on purpose, late
// on the last day of a leap-year February.
var Start = time.Date(2028, 2, 29, 23, 58, 30, 123456000, time.UTC)

// Engines runs f once on each engine with a frozen clock that f may move.
func Engines(t *testing.T, f func(t *testing.T, d *db.DB, c *clock.Simulated)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		c := clock.NewFrozen(Start)
		f(t, SQLite(t, c), c)
	})
	t.Run("postgres", func(t *testing.T) {
		c := clock.NewFrozen(Start)
		f(t, Postgres(t, c), c)
	})
}

// SQLite returns a fresh, migrated database in a temporary folder, below BILLET_TEST_MEMORY where
// that is set.
func SQLite(tb testing.TB, c clock.Clock) *db.DB {
	tb.Helper()
	dir, err := os.MkdirTemp(os.Getenv("BILLET_TEST_MEMORY"), "billet-db")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "billet.db")
	image, err := sqliteImage()
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, image, 0o600); err != nil {
		tb.Fatal(err)
	}
	d, err := sqlite.Open(context.Background(), path, c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

// sqliteImage migrates once per test binary; each test starts from a copy.
var sqliteImage = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "billet-dbtest")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "image.db")
	ctx := context.Background()
	d, err := sqlite.Open(ctx, path, clock.System{})
	if err != nil {
		return nil, err
	}
	if _, err := migrate.Up(ctx, d, migrate.Options{}); err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil { // the last connection writes the log back into the file
		return nil, err
	}
	return os.ReadFile(path)
})

// Postgres returns a fresh, migrated database on the test server, dropped when the test ends.
func Postgres(tb testing.TB, c clock.Clock) *db.DB {
	tb.Helper()
	d, err := postgres.Open(context.Background(), PostgresURL(tb), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

// PostgresURL returns the URL of a fresh, migrated database on the test
// server, dropped when the test ends, for a test that starts the whole binary.
func PostgresURL(tb testing.TB) string {
	tb.Helper()
	if os.Getenv("BILLET_TEST_POSTGRES") == "" {
		if os.Getenv("BILLET_TEST_REQUIRE_POSTGRES") != "" {
			tb.Fatal("BILLET_TEST_POSTGRES names no server, and BILLET_TEST_REQUIRE_POSTGRES is set")
		}
		tb.Skip("BILLET_TEST_POSTGRES names no server; `make test` starts one")
	}
	s, err := postgresServer()
	if err != nil {
		tb.Fatal(err)
	}
	name := fmt.Sprintf("%s_%d", s.template, s.count.Add(1))
	if _, err := s.admin.Exec(`CREATE DATABASE ` + name + ` TEMPLATE ` + s.template); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := s.admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			tb.Error(err)
		}
	})
	return s.named(name)
}

type server struct {
	base     *url.URL
	admin    *sql.DB
	template string
	count    atomic.Int64
}

func (s *server) named(database string) string {
	u := *s.base
	u.Path = "/" + database
	return u.String()
}

// postgresServer migrates one template per test binary; each test copies it. The
// template outlives the binary: the next `make test` starts a new server.
var postgresServer = sync.OnceValues(func() (*server, error) {
	base, err := url.Parse(os.Getenv("BILLET_TEST_POSTGRES"))
	if err != nil {
		return nil, err
	}
	s := &server{base: base, template: fmt.Sprintf("billet_test_%d_%d", os.Getpid(), time.Now().UnixNano())}
	if s.admin, err = sql.Open("pgx", base.String()); err != nil {
		return nil, err
	}
	s.admin.SetMaxOpenConns(2)
	if _, err := s.admin.Exec(`CREATE DATABASE ` + s.template); err != nil {
		return nil, err
	}
	ctx := context.Background()
	d, err := postgres.Open(ctx, s.named(s.template), clock.System{})
	if err != nil {
		return nil, err
	}
	if _, err := migrate.Up(ctx, d, migrate.Options{}); err != nil {
		return nil, err
	}
	return s, d.Close()
})
