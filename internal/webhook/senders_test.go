package webhook_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/billetcloud/billet/internal/webhook/outbound"
)

// Two accounts, and then four, have ten endpoints each that take two seconds for everything, or two
// that take nearly one, and then say 200. Another has 100 events, one by one and then 300 at once,
// for one that takes 10 ms: each arrives after at most twice the time that it takes alone, and in
// order. The time is simulated; SQLite takes none of it.
func TestSlowReceiversDoNotDelayOthers(t *testing.T) {
	const single, burst, each = 100, 300, 10 * time.Millisecond
	alone := beside(t, 0, 0, single, burst, each)
	for _, c := range []struct {
		slow int
		by   time.Duration
		// by how much each may be late: free workers are polled every few hundredths of a second
		moved time.Duration
	}{{2, 2 * time.Second, 0}, {4, 2 * time.Second, 0}, {2, 900 * time.Millisecond, 50 * time.Millisecond}} {
		took := beside(t, c.slow, c.by, single, burst, each)
		t.Logf("one by one %s and at once %s; alone %s and %s", took[0], took[1], alone[0], alone[1])
		if took[0] > 2*alone[0]+single*c.moved || took[1] > 2*alone[1] {
			t.Errorf("beside %d accounts with answers after %s events took %s one by one and %s at once; alone %s "+
				"and %s", c.slow, c.by, took[0], took[1], alone[0], alone[1])
		}
	}
}

// beside returns how long the events of one account waited and took beside so many accounts with
// slow receivers: one by one, in all, and at once.
func beside(t *testing.T, slow int, by time.Duration, single, burst int, each time.Duration) (took [2]time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewSimulated(0)
		w := newWorld(t, dbtest.SQLite(t, clock.System{}), c)
		got := make(chan string, burst)
		w.replica = w.newReplica(func(ctx context.Context, url string, header map[string]string,
			_ []byte) outbound.Response {
			if strings.Contains(url, "slow") {
				_ = clock.System{}.SleepUntil(ctx, time.Now().Add(by))
				return outbound.Response{Status: 200}
			}
			_ = clock.System{}.SleepUntil(ctx, time.Now().Add(each))
			got <- header["webhook-id"]
			return outbound.Response{Status: 200}
		})
		for i := range slow {
			account := id.ID(fmt.Sprintf("acc_slow%d", i))
			for range webhook.MaxPerAccount {
				w.create(account, webhook.Request{URL: "https://example.com/slow"})
			}
			w.happen(account, slices.Repeat([]string{"a.b"}, 300)...)
		}
		w.create(bob, webhook.Request{URL: "https://example.com/quick"})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.runner.Run(ctx) })
		time.Sleep(20 * time.Second) // the slow ones are at it
		var order []string
		for range single {
			time.Sleep(300 * time.Millisecond)
			began := time.Now()
			w.happen(bob, "a.b")
			order = append(order, <-got)
			took[0] += time.Since(began)
		}
		began := time.Now()
		w.happen(bob, slices.Repeat([]string{"a.b"}, burst)...)
		for range burst {
			order = append(order, <-got)
		}
		took[1] = time.Since(began)
		cancel()
		wg.Wait()
		all := w.history(bob)
		for i, e := range all[len(all)-len(order):] {
			if order[i] != string(e.ID) {
				t.Fatalf("the %dth was %s, not %s", i+1, order[i], e.ID)
			}
		}
		if err := w.d.Close(); err != nil {
			t.Error(err)
		}
	})
	return took
}

// What an address says of when it wants requests again is kept to, for all that goes there and
// within bounds.
func TestRetryAfterIsRespected(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		rest, not time.Duration // what is said, and for how long nothing comes
	}{
		"longer than our own wait":   {429, time.Hour, time.Hour},
		"of a server in maintenance": {503, 10 * time.Minute, 10 * time.Minute},
		"shorter than our own wait":  {429, time.Second, 5 * time.Second},
		"said with nothing":          {429, 0, 5 * time.Second},
		"longer than is believed":    {429, 40 * 24 * time.Hour, 12 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, w *world) {
				answer, sent := outbound.Response{Status: c.status, RetryAfter: c.rest}, 0
				w.replica = w.newReplica(func(context.Context, string, map[string]string, []byte) outbound.Response {
					sent++
					return answer
				})
				hook, _ := w.create(ada, webhook.Request{URL: "https://example.com/"})
				w.happen(ada, "a.b")
				w.drain()
				if sent != 1 {
					t.Fatalf("%d requests", sent)
				}
				answer = outbound.Response{Status: 200}
				w.pass(c.not - time.Second)
				if c.rest > time.Second { // a new event waits as well
					w.happen(ada, "c.d")
					w.drain()
				}
				if sent != 1 {
					t.Fatalf("%d requests before the time", sent)
				}
				w.pass(3 * time.Second)
				if left := w.deliveries(ada, hook.ID, webhook.Pending); sent < 2 || len(left) != 0 {
					t.Errorf("%d requests, left %+v", sent, left)
				}
			})
		})
	}
}

// now has something sent that a tenant asks for.
func (w *world) now(ask func(ctx context.Context, tx *db.Tx) (webhook.Delivery, error)) {
	w.t.Helper()
	err := w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := ask(ctx, tx)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A tenant who wants something sent now need not wait for what the address once said.
func TestTenantEndsTheRest(t *testing.T) {
	for name, act := range map[string]func(w *world, hook id.ID, d webhook.Delivery){
		"by a replay": func(w *world, hook id.ID, d webhook.Delivery) {
			w.now(func(ctx context.Context, tx *db.Tx) (webhook.Delivery, error) {
				return w.Replay(ctx, tx, ada, hook, d.ID)
			})
		},
		"by another address": func(w *world, hook id.ID, _ webhook.Delivery) {
			url := "https://example.com/new"
			w.update(ada, hook, webhook.Update{URL: &url})
			w.happen(ada, "c.d")
		},
		"by a test": func(w *world, hook id.ID, _ webhook.Delivery) {
			w.now(func(ctx context.Context, tx *db.Tx) (webhook.Delivery, error) { return w.Test(ctx, tx, ada, hook) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, w *world) {
				sent := 0
				w.replica = w.newReplica(func(context.Context, string, map[string]string, []byte) outbound.Response {
					if sent++; sent == 1 {
						return outbound.Response{Status: 429, RetryAfter: time.Hour}
					}
					return outbound.Response{Status: 200}
				})
				hook, _ := w.create(ada, webhook.Request{URL: "https://example.com/"})
				w.happen(ada, "a.b")
				w.drain()
				act(w, hook.ID, w.deliveries(ada, hook.ID, webhook.Pending)[0])
				w.pass(2 * time.Second)
				if sent != 2 {
					t.Errorf("%d requests", sent)
				}
			})
		})
	}
}
