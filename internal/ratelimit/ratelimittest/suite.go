package ratelimittest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/ratelimit"
)

// Open returns limiters that share their counts, as replicas do, at least one. advance moves their
// time.
type Open func(t *testing.T) (replicas []ratelimit.Limiter, now func() time.Time, advance func(time.Duration))

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"CountsDownUntilReset": testCountsDown,
		"ChangedLimit":         testChangedLimit,
		"Give":                 testGive,
		"Concurrent":           testConcurrent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func testCountsDown(t *testing.T, open Open) {
	replicas, now, advance := open(t)
	l := replicas[0]
	first := take(t, l, "a", 3)
	if want := now().Truncate(ratelimit.Window).Add(ratelimit.Window); !first.Reset.Equal(want) {
		t.Fatalf("got reset at %s, want %s", first.Reset, want)
	}
	for i, want := range []ratelimit.Decision{{Allowed: true, Remaining: 1}, {Allowed: true}, {}, {}} {
		d := take(t, replicas[i%len(replicas)], "a", 3)
		if d.Allowed != want.Allowed || d.Remaining != want.Remaining || d.Limit != 3 || !d.Reset.Equal(first.Reset) {
			t.Fatalf("request %d: got %+v, want %+v", i+2, d, want)
		}
	}
	if d := take(t, l, "b", 3); !d.Allowed || d.Remaining != 2 {
		t.Fatalf("another bucket: got %+v", d)
	}
	advance(first.Reset.Sub(now()) - time.Second)
	if d := take(t, l, "a", 3); d.Allowed {
		t.Fatalf("a second before the reset: got %+v, want a refusal", d)
	}
	advance(time.Second)
	if d := take(t, l, "a", 3); !d.Allowed || d.Remaining != 2 || !d.Reset.Equal(first.Reset.Add(ratelimit.Window)) {
		t.Fatalf("at the reset: got %+v, want a full limit", d)
	}
}

func testChangedLimit(t *testing.T, open Open) {
	replicas, _, _ := open(t)
	for range 5 {
		take(t, replicas[0], "a", 10)
	}
	if d := take(t, replicas[0], "a", 3); d.Allowed || d.Remaining != 0 || d.Limit != 3 {
		t.Fatalf("lower limit: got %+v, want a refusal", d)
	}
	if d := take(t, replicas[0], "a", 6); !d.Allowed || d.Remaining != 0 {
		t.Fatalf("higher limit: got %+v, want the last one admitted", d)
	}
}

func testGive(t *testing.T, open Open) {
	replicas, now, advance := open(t)
	l, other := replicas[0], replicas[len(replicas)-1]
	first, second := take(t, l, "a", 2), take(t, l, "a", 2)
	refused := take(t, other, "a", 2)
	other.Give(t.Context(), "a", refused)
	if d := take(t, l, "a", 2); d.Allowed {
		t.Fatalf("after Give of a refused request: got %+v, want a refusal", d)
	}
	other.Give(t.Context(), "a", second)
	if d := take(t, l, "a", 2); !d.Allowed || d.Remaining != 0 {
		t.Fatalf("after Give: got %+v, want the last one admitted", d)
	}
	if d := take(t, l, "a", 2); d.Allowed {
		t.Fatalf("Give counted twice: got %+v", d)
	}
	advance(first.Reset.Sub(now()))
	take(t, l, "a", 2)
	l.Give(t.Context(), "a", first)
	if d := take(t, l, "a", 2); !d.Allowed || d.Remaining != 0 {
		t.Fatalf("after Give in a later window: got %+v, want the last one admitted", d)
	}
}

func testConcurrent(t *testing.T, open Open) {
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
		t.Fatalf("got %d of 200 admitted, want 60", n)
	}
}

func take(t *testing.T, l ratelimit.Limiter, bucket string, limit int) ratelimit.Decision {
	t.Helper()
	d, err := l.Take(t.Context(), bucket, limit)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
