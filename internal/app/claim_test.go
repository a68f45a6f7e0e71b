package app

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/db/dbtest"
)

// Two worlds on one database would call each other's machines lost.
func TestOneSimulatorPerDatabase(t *testing.T) {
	c := Default()
	c.DatabaseURL, c.Sim, c.Version, c.Log = dbtest.PostgresURL(t), true, "test", slog.New(slog.DiscardHandler)
	open := func() (*App, error) {
		c.DataDir = t.TempDir()
		return Open(t.Context(), c)
	}
	first, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if second, err := open(); err == nil || !strings.Contains(err.Error(), "--sim") {
		if err == nil {
			err = second.Close()
		}
		t.Fatalf("a second simulator on the database: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
}
