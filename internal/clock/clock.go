package clock

import (
	"context"
	"sync"
	"time"
)

// Clock returns the time in UTC, and wakes sleepers.
type Clock interface {
	// Now returns the current time in UTC.
	Now() time.Time
	// SleepUntil returns nil once Now has reached t, or the context's error.
	SleepUntil(ctx context.Context, t time.Time) error
}

// System is the operating system's clock. The zero value is ready.
type System struct{}

// Now returns the current time in UTC.
func (System) Now() time.Time { return time.Now().UTC() }

// SleepUntil returns nil once Now has reached t, or the context's error.
func (s System) SleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(t.Sub(s.Now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Simulated is a clock that can be moved forward. Make one with NewSimulated
// or NewFrozen.
type Simulated struct {
	base   func() time.Time
	frozen bool

	mu     sync.Mutex
	offset time.Duration
	moved  chan struct{} // closed and replaced at each move
}

// NewSimulated returns a clock that runs like real time, ahead of it by offset.
func NewSimulated(offset time.Duration) *Simulated { return NewSimulatedOn(System{}, offset) }

// NewSimulatedOn returns a clock that runs like base, ahead of it by offset.
func NewSimulatedOn(base Clock, offset time.Duration) *Simulated {
	return &Simulated{base: base.Now, offset: offset, moved: make(chan struct{})}
}

// NewFrozen returns a clock that stands at t until it is moved.
func NewFrozen(t time.Time) *Simulated {
	t = t.UTC()
	return &Simulated{base: func() time.Time { return t }, frozen: true, moved: make(chan struct{})}
}

// Now returns the simulated time in UTC.
func (s *Simulated) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base().Add(s.offset)
}

// Offset returns how far the clock is ahead of its base.
func (s *Simulated) Offset() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}

// Advance moves the clock forward by d and wakes every sleeper to check the time again. A negative
// d is ignored: time does not run backwards.
func (s *Simulated) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.move(d)
}

// AdvanceTo moves the clock forward to t. It does nothing if t has passed.
func (s *Simulated) AdvanceTo(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.move(t.Sub(s.base().Add(s.offset)))
}

func (s *Simulated) move(d time.Duration) {
	if d <= 0 {
		return
	}
	s.offset += d
	close(s.moved)
	s.moved = make(chan struct{})
}

// SleepUntil returns nil once Now has reached t, or the context's error.
func (s *Simulated) SleepUntil(ctx context.Context, t time.Time) error {
	for {
		s.mu.Lock()
		left, moved := t.Sub(s.base().Add(s.offset)), s.moved
		s.mu.Unlock()
		if left <= 0 {
			return nil
		}
		var ran <-chan time.Time
		if !s.frozen {
			timer := time.NewTimer(left)
			defer timer.Stop()
			ran = timer.C
		}
		select {
		case <-ran:
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
