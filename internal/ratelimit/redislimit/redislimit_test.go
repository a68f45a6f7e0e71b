package redislimit_test

import (
	"crypto/rand"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/ratelimit/ratelimittest"
	"github.com/billetcloud/billet/internal/ratelimit/redislimit"
)

func open(t *testing.T, url string, now func() time.Time) *redislimit.Limiter {
	t.Helper()
	l, err := redislimit.New(redislimit.Config{URL: url, Log: slog.New(slog.DiscardHandler), Now: now,
		Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// The suite moves time, which a real server does not let it; the next test asks one.
func TestSuite(t *testing.T) {
	ratelimittest.Run(t, func(t *testing.T) ([]ratelimit.Limiter, func() time.Time, func(time.Duration)) {
		server := miniredis.RunT(t)
		at := time.Date(2026, 3, 1, 12, 0, 17, 0, time.UTC)
		server.SetTime(at)
		var replicas []ratelimit.Limiter
		for range 2 {
			replicas = append(replicas, open(t, "redis://"+server.Addr(), time.Now))
		}
		return replicas, func() time.Time { return at }, func(d time.Duration) {
			at = at.Add(d)
			server.SetTime(at)
			server.FastForward(d)
		}
	})
}

func TestTwoReplicasOnARealServerAdmitTheLimit(t *testing.T) {
	url := os.Getenv("BILLET_TEST_REDIS")
	if url == "" {
		if os.Getenv("BILLET_TEST_REQUIRE_REDIS") != "" {
			t.Fatal("BILLET_TEST_REDIS names no server, and BILLET_TEST_REQUIRE_REDIS is set")
		}
		t.Skip("BILLET_TEST_REDIS names no server; `make test` starts one")
	}
	replicas := []*redislimit.Limiter{open(t, url, time.Now), open(t, url, time.Now)}
	for range 5 { // a window may end in the middle; it does not do so five times
		bucket := rand.Text()
		var admitted atomic.Int32
		var resets sync.Map
		var wg sync.WaitGroup
		for i := range 400 {
			wg.Go(func() {
				d, err := replicas[i%2].Take(t.Context(), bucket, 60)
				if err != nil {
					t.Error(err)
				}
				resets.Store(d.Reset, true)
				if d.Allowed {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		windows := 0
		resets.Range(func(any, any) bool { windows++; return true })
		if windows == 1 && replicas[0].Failures()+replicas[1].Failures() == 0 {
			if n := admitted.Load(); n != 60 {
				t.Fatalf("%d of 400 admitted, want 60", n)
			}
			return
		}
	}
	t.Fatal("no storm lay in one window with a Redis that answered in time")
}

func TestWithoutRedisEachReplicaCountsForItself(t *testing.T) {
	const url = "redis://127.0.0.1:1" // the system assigns port 1 to no socket
	c := clock.NewFrozen(time.Date(2026, 3, 1, 12, 0, 17, 0, time.UTC))
	l := open(t, url, c.Now)
	admitted := 0
	for range 10 {
		d, err := l.Take(t.Context(), "a", 3)
		if err != nil {
			t.Fatal(err)
		}
		if d.Allowed {
			admitted++
		}
	}
	if admitted != 3 || l.Failures() != 10 {
		t.Fatalf("got %d admitted, %d counted locally, want 3 and 10", admitted, l.Failures())
	}
}

func TestLimiter_RedisRecovers(t *testing.T) {
	server := miniredis.RunT(t)
	c := clock.NewFrozen(time.Now())
	l := open(t, "redis://"+server.Addr(), c.Now)
	server.SetError("LOADING")
	for range 2 {
		if _, err := l.Take(t.Context(), "a", 3); err != nil {
			t.Fatal(err)
		}
	}
	server.SetError("")
	c.Advance(4 * time.Second)
	if d, err := l.Take(t.Context(), "a", 3); err != nil || d.Remaining != 2 || l.Failures() != 2 {
		t.Fatalf("Take: got %+v, %v, %d counted locally", d, err, l.Failures())
	}
}

func TestNew_InvalidURLs(t *testing.T) {
	for _, url := range []string{"redis://:QZ@%zz", "redis://:QZ#ZQ@127.0.0.1:1", "redis://:QZ/ZQ@127.0.0.1:1",
		"redis://:ZQ@127.0.0.1:1/QZ", "redis://:ZQ@127.0.0.1:1/0?QZ=1", "http://QZ"} {
		_, err := redislimit.New(redislimit.Config{URL: url, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err == nil || strings.Contains(err.Error(), "Q") {
			t.Errorf("New(%s): got %v, want an error without the password", url, err)
		}
	}
}
