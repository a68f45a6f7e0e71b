package app

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/installation"
)

func simulatorOn(t *testing.T) (open func(dir string) (*App, error)) {
	c := Default()
	c.DatabaseURL, c.Sim, c.Version, c.Log = dbtest.PostgresURL(t), true, "test", slog.New(slog.DiscardHandler)
	c.SimMachines = "banner" // this test program is no machine
	c.SecretKey = base64.StdEncoding.EncodeToString(make([]byte, 32))
	return func(dir string) (*App, error) {
		c.DataDir = dir
		return Open(t.Context(), c)
	}
}

// Two worlds on one database would call each other's machines lost.
func TestOneSimulatorPerDatabase(t *testing.T) {
	open := simulatorOn(t)
	dir := t.TempDir()
	first, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "--sim") {
		if err == nil {
			err = second.Close()
		}
		t.Fatalf("a second simulator on the database: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
}

// A server that was killed has its lease again at once, and one that lost it to another data
// directory ends.
func TestSimulatorLeaseBelongsToTheDataDirectory(t *testing.T) {
	open := simulatorOn(t)
	dir := t.TempDir()
	first, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	holder, err := dataDirID(dir)
	if err != nil {
		t.Fatal(err)
	}
	take := func(as string) bool {
		taken, _, err := first.takeClaim(t.Context(), as)
		if err != nil {
			t.Fatal(err)
		}
		return taken
	}
	if !take(holder) || take("another") {
		t.Error("the lease is not the data directory's")
	}
	err = first.DB.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		if err := installation.GiveSimulator(ctx, tx, holder); err != nil {
			return err
		}
		_, _, err := installation.TakeSimulator(ctx, tx, "another", time.Hour)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.keepClaim(t.Context(), holder); err != nil {
		t.Fatal(err)
	}
	if err := <-first.claimLost; !errors.Is(err, errClaimLost) {
		t.Error(err)
	}
}
