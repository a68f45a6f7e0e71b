package postgres_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/db/postgres"
)

// A standby takes no writes until it is the primary: a transaction that came too early runs again.
func TestWriteWaitsForStandbyPromotion(t *testing.T) {
	text := dbtest.PostgresURL(t)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	admin, err := postgres.Open(t.Context(), text, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	do := func(query string) {
		if _, err := admin.Handle().ExecContext(context.Background(), query); err != nil {
			t.Error(err)
		}
	}
	do(`CREATE TABLE canary (n BIGINT NOT NULL)`)
	do(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = on`) // for connections from now on
	d, err := postgres.Open(t.Context(), text, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	tries := 0
	err = d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		if tries++; tries == 3 {
			do(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = off`)
		}
		_, err := tx.Exec(ctx, `INSERT INTO canary VALUES (1)`)
		return err
	})
	n := 0
	if e := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM canary`).Scan(&n); err != nil || e != nil || n != 1 ||
		tries < 4 {
		t.Errorf("%d rows after %d tries: %v %v", n, tries, err, e)
	}
	for setting, want := range map[string]string{"statement_timeout": "30s", "lock_timeout": "8s",
		"idle_in_transaction_session_timeout": "1min"} {
		got := ""
		if err := d.QueryRow(t.Context(), `SELECT current_setting($1)`, setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v", setting, got, err)
		}
	}
}

func TestURLErrorHidesPassword(t *testing.T) {
	for _, text := range []string{"postgres://u:QZ@XX#w@h/d", "postgres://u:QZ%ZQ@h/d",
		"postgres://u:QZ@h/d?sslmode=XX", "postgres://u:QZ@h:70000/d",
		"postgres://u:QZ@127.0.0.1:1/d?connect_timeout=1"} {
		_, err := postgres.Open(t.Context(), text, clock.System{})
		if err == nil || strings.Contains(err.Error(), "QZ") || strings.Contains(err.Error(), "XX") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The pool opens no more than it may, and PostgreSQL knows of it.
func TestPoolIsBoundedAndCounted(t *testing.T) {
	d, err := postgres.OpenWith(t.Context(), dbtest.PostgresURL(t), clock.System{},
		postgres.Options{Connections: 6, Instance: "counted"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	r, err := postgres.CountConnections(t.Context(), d)
	if err != nil || r.Servers < 1 || r.Wanted < 7 || r.Allowed < 10 {
		t.Errorf("got %+v, %v", r, err)
	}
	name := ""
	if err := d.QueryRow(t.Context(), `SELECT current_setting('application_name')`).Scan(&name); err != nil ||
		name != "billetd counted pool=6" {
		t.Errorf("the connections are called %q, %v", name, err)
	}
	_, pool := d.Pools()
	if got := pool.Stats().MaxOpenConnections; got != 6 {
		t.Errorf("the pool has up to %d connections, want 6", got)
	}
	all, end := context.WithCancel(t.Context())
	defer end()
	for range 6 {
		c, err := pool.Conn(all)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	if s := pool.Stats(); s.OpenConnections != 6 || s.InUse != 6 {
		t.Errorf("got %+v, want 6 in use", s)
	}
}
