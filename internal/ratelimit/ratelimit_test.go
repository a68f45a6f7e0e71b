package ratelimit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/ratelimit/ratelimittest"
)

func TestMemory(t *testing.T) {
	ratelimittest.Run(t, func(*testing.T) ([]ratelimit.Limiter, func() time.Time, func(time.Duration)) {
		c := clock.NewFrozen(time.Date(2026, 3, 1, 12, 0, 17, 5000, time.UTC))
		return []ratelimit.Limiter{ratelimit.NewMemory(c.Now)}, c.Now, c.Advance
	})
}

func TestMemory_BoundedAndFollowsClock(t *testing.T) {
	c := time.Date(2026, 3, 1, 12, 0, 17, 0, time.UTC)
	m := ratelimit.NewMemory(func() time.Time { return c })
	refused := 0
	for i := range 300_100 {
		d, err := m.Take(t.Context(), strconv.Itoa(i), 60)
		if err != nil {
			t.Fatal(err)
		}
		if !d.Allowed {
			refused++
		}
	}
	if refused != 40 {
		t.Fatalf("got %d refused, want 40: the last 100 buckets share one", refused)
	}
	ahead := c.Add(time.Hour)
	back := c
	c = ahead
	_, _ = m.Take(t.Context(), "a", 60)
	c = back
	if d, _ := m.Take(t.Context(), "a", 60); d.Reset.After(back.Add(ratelimit.Window)) {
		t.Fatalf("got a window that ends at %s after the clock was set back", d.Reset)
	}
}

func BenchmarkMemory(b *testing.B) {
	m := ratelimit.NewMemory(time.Now)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := m.Take(b.Context(), "key/key_01jd0000000000000000000000/read", 60); err != nil {
				b.Fatal(err)
			}
		}
	})
}
