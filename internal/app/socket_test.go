package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

func TestClockFileHasTheTime(t *testing.T) {
	c := Default()
	c.DataDir, c.Sim, c.Version, c.Log = t.TempDir(), true, "test", slog.New(slog.DiscardHandler)
	c.SimMachines = "banner" // this test program is no machine
	a, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	same := func(after string) {
		t.Helper()
		_, kept, err := loadClock(c.DataDir, true, clock.System{})
		if err != nil || kept.Offset() != a.simulated.Offset() {
			t.Fatalf("after %s the file says %s, the clock %s, %v", after, kept.Offset(), a.simulated.Offset(), err)
		}
	}
	if err := a.simulator.advance(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	same("an hour")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.simulator.advance(gone, 100*time.Hour); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	same("a journey that was broken off")
	if a.simulated.Offset() > time.Hour {
		t.Fatalf("the clock went on: %s", a.simulated.Offset())
	}
}
