package ratelimittest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/ratelimit"
)

// Run runs the suite. open returns several limiters that share their counts, as replicas would, one
// at the least, and advance, which moves the time of all of them.
func Run(t *testing.T, open func(t *testing.T) (replicas []ratelimit.Limiter, now func() time.Time, advance func(time.Duration))) {
	t.Run("CountsDownAndIsFreshAgainAtReset", func(t *testing.T) {
		replicas, now, advance := open(t)
		l := replicas[0]
		first := take(t, l, "a", 3)
		if want := now().Truncate(ratelimit.Window).Add(ratelimit.Window); !first.Reset.Equal(want) {
			t.Fatalf("reset at %s, want %s", first.Reset, want)
		}
		for i, want := range []ratelimit.Decision{{Allowed: true, Remaining: 1}, {Allowed: true}, {}, {}} {
			d := take(t, replicas[i%len(replicas)], "a", 3)
			if d.Allowed != want.Allowed || d.Remaining != want.Remaining || d.Limit != 3 || !d.Reset.Equal(first.Reset) {
				t.Fatalf("request %d: %+v", i+2, d)
			}
		}
		if d := take(t, l, "b", 3); !d.Allowed || d.Remaining != 2 {
			t.Fatalf("another bucket: %+v", d)
		}
		advance(first.Reset.Sub(now()) - time.Second)
		if d := take(t, l, "a", 3); d.Allowed {
			t.Fatalf("a second before the reset: %+v", d)
		}
		advance(time.Second)
		if d := take(t, l, "a", 3); !d.Allowed || d.Remaining != 2 || !d.Reset.Equal(first.Reset.Add(ratelimit.Window)) {
			t.Fatalf("at the reset: %+v", d)
		}
	})
	t.Run("ALimitThatChanges", func(t *testing.T) {
		replicas, _, _ := open(t)
		for range 5 {
			take(t, replicas[0], "a", 10)
		}
		if d := take(t, replicas[0], "a", 3); d.Allowed || d.Remaining != 0 || d.Limit != 3 {
			t.Fatalf("%+v", d)
		}
		if d := take(t, replicas[0], "a", 6); !d.Allowed || d.Remaining != 0 {
			t.Fatalf("%+v", d)
		}
	})
	t.Run("WhatIsGivenBackCanBeTakenAgain", func(t *testing.T) {
		replicas, now, advance := open(t)
		l, other := replicas[0], replicas[len(replicas)-1]
		first, second := take(t, l, "a", 2), take(t, l, "a", 2)
		refused := take(t, other, "a", 2)
		other.Give(t.Context(), "a", refused)
		if d := take(t, l, "a", 2); d.Allowed {
			t.Fatalf("a refused request was given back: %+v", d)
		}
		other.Give(t.Context(), "a", second)
		if d := take(t, l, "a", 2); !d.Allowed || d.Remaining != 0 {
			t.Fatalf("after one was given back: %+v", d)
		}
		if d := take(t, l, "a", 2); d.Allowed {
			t.Fatalf("one that was given back counts twice: %+v", d)
		}
		advance(first.Reset.Sub(now()))
		take(t, l, "a", 2)
		l.Give(t.Context(), "a", first)
		if d := take(t, l, "a", 2); !d.Allowed || d.Remaining != 0 {
			t.Fatalf("a request of an earlier minute was given back: %+v", d)
		}
	})
	t.Run("ExactUnderManyAtOnce", func(t *testing.T) {
		replicas, _, _ := open(t)
		var admitted atomic.Int32
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				d, err := replicas[i%len(replicas)].Take(t.Context(), "a", 60)
				if err != nil {
					t.Error(err)
				}
				if d.Allowed {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		if n := admitted.Load(); n != 60 {
			t.Fatalf("%d of 200 admitted, want 60", n)
		}
	})
}

func take(t *testing.T, l ratelimit.Limiter, bucket string, limit int) ratelimit.Decision {
	t.Helper()
	d, err := l.Take(t.Context(), bucket, limit)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
