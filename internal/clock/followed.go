package clock

import (
	"context"
	"sync"
	"time"
)

// oftenEnough is the interval at which a sleeper reads a followed clock again, because it may have
// been set meanwhile.
const oftenEnough = 10 * time.Second

// Followed is the clock of another machine: it was read at some moment, and this machine counts the
// time since then, whatever its own clock is set to. Until the first reading it is this machine's
// clock.
type Followed struct {
	machine func() time.Time

	mu           sync.Mutex
	here, theirs time.Time // the same instant on both clocks; here is zero before the first reading
}

// NewFollowed returns a clock that was not read yet. The times that machine returns must have a
// monotonic reading, as those of time.Now do.
func NewFollowed(machine func() time.Time) *Followed { return &Followed{machine: machine} }

// Follow records that the other clock showed theirs when this machine's showed here.
func (f *Followed) Follow(here, theirs time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.here, f.theirs = here, theirs.UTC()
}

// Followed reports whether the other clock was read.
func (f *Followed) Followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.here.IsZero()
}

// At returns what the other clock shows when this machine's shows here.
func (f *Followed) At(here time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.here.IsZero() {
		return here.UTC()
	}
	return f.theirs.Add(here.Sub(f.here))
}

// Now returns the current time in UTC.
func (f *Followed) Now() time.Time { return f.At(f.machine()) }

// SleepUntil returns nil once Now has reached t, or the context's error.
func (f *Followed) SleepUntil(ctx context.Context, t time.Time) error {
	for {
		left := t.Sub(f.Now())
		timer := time.NewTimer(min(left, oftenEnough))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		if left <= oftenEnough && !f.Now().Before(t) {
			return nil
		}
	}
}
