package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// withReplica returns a database whose replica is another one, which gets nothing from it.
func withReplica(t *testing.T) (d, replica *db.DB) {
	t.Helper()
	c := clock.NewFrozen(dbtest.Start)
	primary, replica := dbtest.SQLite(t, c), dbtest.SQLite(t, c)
	read, write := primary.Pools()
	pool, _ := replica.Pools()
	return db.New(db.Config{
		Engine: db.SQLite, Write: write, Read: read, Clock: c,
		Trouble: func(error) db.Trouble { return db.NoTrouble },
		Replica: &db.Replica{Pool: pool, Lag: func() (time.Duration, bool) { return 0, true }},
	}), replica
}

func one(ctx context.Context, t *testing.T, d *db.DB, query string) (v string) {
	t.Helper()
	if err := d.QueryRow(ctx, query).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOnlyReadsThatMayLagComeFromTheReplica(t *testing.T) {
	d, replica := withReplica(t)
	for at, in := range map[string]*db.DB{"primary": d, "replica": replica} {
		exec(t, in, `CREATE TABLE canary (k TEXT PRIMARY KEY)`)
		exec(t, in, `INSERT INTO canary VALUES ($1)`, at)
	}
	const query = `SELECT k FROM canary`
	lagging := db.MayLag(t.Context())
	for want, ctx := range map[string]context.Context{
		"replica": lagging, "primary": t.Context(),
	} {
		if got := one(ctx, t, d, query); got != want {
			t.Errorf("the row is the %s's, want the %s's", got, want)
		}
	}
	if got := one(db.Exact(lagging), t, d, query); got != "primary" {
		t.Errorf("an exact read within one that may lag is the %s's", got)
	}
	err := d.InTx(lagging, func(ctx context.Context, tx *db.Tx) error {
		var got string
		if err := tx.QueryRow(ctx, query).Scan(&got); err != nil || got != "primary" {
			t.Errorf("a writing transaction reads the %s: %v", got, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestARequestDoesNotGoBackToTheReplica: what it has read from the primary, the replica may lack.
func TestARequestDoesNotGoBackToTheReplica(t *testing.T) {
	d, replica := withReplica(t)
	exec(t, d, `CREATE TABLE canary (k TEXT PRIMARY KEY)`)
	exec(t, d, `CREATE TABLE later (k TEXT PRIMARY KEY)`)
	exec(t, replica, `CREATE TABLE canary (k TEXT PRIMARY KEY)`)
	exec(t, d, `INSERT INTO canary VALUES ('primary')`)
	exec(t, replica, `INSERT INTO canary VALUES ('replica')`)
	exec(t, d, `INSERT INTO later VALUES ('new')`)
	request := db.MayLag(t.Context())
	if got := one(request, t, d, `SELECT k FROM later`); got != "new" {
		t.Fatal(got)
	}
	if got := one(request, t, d, `SELECT k FROM canary`); got != "primary" {
		t.Errorf("after a read from the primary, the next one of the request is the %s's", got)
	}
	if got := one(db.MayLag(t.Context()), t, d, `SELECT k FROM canary`); got != "replica" {
		t.Errorf("another request reads the %s", got)
	}
}
