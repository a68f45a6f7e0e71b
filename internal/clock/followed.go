package clock

import (
	"context"
	"sync"
	"time"
)

// oftenEnough is after how long a sleeper asks a followed clock again: it may have been set meanwhile.
const oftenEnough = 10 * time.Second

// Followed is the clock of another machine, as far as it can be told from here: it was read at some moment, and what has passed
// since then is counted by this machine, whatever its own clock is set to. Until it is read for the first time it is this machine's.
type Followed struct {
	machine func() time.Time

	mu           sync.Mutex
	here, theirs time.Time // the same instant by both clocks; here is zero before the first reading
}

// NewFollowed returns a clock that was not read yet. The time that machine returns must carry a monotonic reading, as
// that of time.Now does.
func NewFollowed(machine func() time.Time) *Followed { return &Followed{machine: machine} }

// Follow says that the other clock stood at theirs when this machine's stood at here.
func (f *Followed) Follow(here, theirs time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.here, f.theirs = here, theirs.UTC()
}

// Followed tells whether the other clock was read.
func (f *Followed) Followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.here.IsZero()
}

// At returns what the other clock says when this machine's says here.
func (f *Followed) At(here time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.here.IsZero() {
		return here.UTC()
	}
	return f.theirs.Add(here.Sub(f.here))
}

// Now returns the present instant in UTC.
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
