package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestFrozenClockMovesForwardOnly(t *testing.T) {
	c := clock.NewFrozen(start)
	c.Advance(time.Minute)
	c.Advance(-time.Hour)
	c.AdvanceTo(start)
	if got := c.Now(); !got.Equal(start.Add(time.Minute)) {
		t.Fatalf("clock at %s", got)
	}
	c.AdvanceTo(start.Add(time.Hour))
	if got := c.Now(); !got.Equal(start.Add(time.Hour)) {
		t.Fatalf("clock at %s", got)
	}
}

func TestSleepersWakeWhenTheClockMovesPastThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewFrozen(start)
		woke := make(chan error, 1)
		go func() { woke <- c.SleepUntil(t.Context(), start.Add(time.Hour)) }()
		synctest.Wait()
		c.Advance(59 * time.Minute)
		synctest.Wait()
		select {
		case <-woke:
			t.Fatal("woke a minute early")
		default:
		}
		c.Advance(time.Minute)
		if err := <-woke; err != nil {
			t.Fatal(err)
		}
	})
}

func TestSimulatedClockRunsAheadOfRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewSimulated(time.Hour)
		before := c.Now()
		if err := c.SleepUntil(t.Context(), before.Add(2*time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := c.Now().Sub(before); got != 2*time.Second {
			t.Fatalf("slept %s", got)
		}
		if got := c.Now().Sub(clock.System{}.Now()); got != time.Hour {
			t.Fatalf("ahead by %s", got)
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	for name, c := range map[string]clock.Clock{"system": clock.System{}, "frozen": clock.NewFrozen(start)} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.SleepUntil(ctx, c.Now().Add(time.Hour)); err != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
}
