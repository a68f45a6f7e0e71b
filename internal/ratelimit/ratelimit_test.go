package ratelimit_test

import (
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
