package ratelimit

import (
	"context"
	"sync"
	"time"
)

// Window is how long a window lasts.
const Window = time.Minute

// maxBuckets bounds the memory in a flood from many addresses to about 50 MB. Buckets beyond it
// share one.
const maxBuckets = 300_000

// Decision is the result of counting one request.
type Decision struct {
	Allowed bool
	// Limit is how many requests the window admits, Remaining how many more it will.
	Limit, Remaining int
	// Reset is when the window ends.
	Reset time.Time
}

// Limiter counts requests. Implementations are Memory and redislimit.Limiter.
type Limiter interface {
	// Take counts one request in the bucket if it is within the limit, which is at least 1.
	Take(ctx context.Context, bucket string, limit int) (Decision, error)
	// Give uncounts one request that Take admitted with that decision, unless its window has ended.
	Give(ctx context.Context, bucket string, d Decision)
}

// Decide returns the decision on a request before which the window admitted used others.
func Decide(used, limit int, reset time.Time) Decision {
	if used >= limit {
		return Decision{Limit: limit, Reset: reset}
	}
	return Decision{Allowed: true, Limit: limit, Remaining: limit - used - 1, Reset: reset}
}

// Memory counts in this process.
type Memory struct {
	now func() time.Time

	mu     sync.Mutex
	window time.Time
	used   map[string]int
}

// NewMemory returns a Memory with that clock, which returns real time.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		panic("ratelimit: NewMemory needs a clock")
	}
	return &Memory{now: now}
}

// Take counts one request. It never fails.
func (m *Memory) Take(_ context.Context, bucket string, limit int) (Decision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A clock that is set back a little stays in its window. One that was far ahead must not keep
	// the window for hours.
	if start := m.now().Truncate(Window); start.After(m.window) || m.window.Sub(start) > Window {
		m.window, m.used = start, map[string]int{}
	}
	if _, known := m.used[bucket]; !known && len(m.used) >= maxBuckets {
		bucket = ""
	}
	d := Decide(m.used[bucket], limit, m.window.Add(Window))
	if d.Allowed {
		m.used[bucket]++
	}
	return d, nil
}

// Give uncounts a request.
func (m *Memory) Give(_ context.Context, bucket string, d Decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.Allowed && d.Reset.Equal(m.window.Add(Window)) && m.used[bucket] > 0 {
		m.used[bucket]--
	}
}
