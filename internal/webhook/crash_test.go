package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/billetcloud/billet/internal/webhook/outbound"
	"pgregory.net/rapid"
)

// crash ends a run of a job where it stands, as the death of its server does: nothing after it is
// done.
type crash struct{}

// address is a receiver without a network: it takes what it is sent, or does not, or the sender
// dies just before or after.
type address struct {
	mu    sync.Mutex
	first []string // ids, in the order in which each was first taken or refused
	took  map[string]int
	body  map[string]string
	next  func() string
	t     *rapid.T
}

func (a *address) post(_ context.Context, _ string, header map[string]string, body []byte) outbound.Response {
	a.mu.Lock()
	defer a.mu.Unlock()
	fate := a.next()
	if fate == "dies before" {
		panic(crash{})
	}
	event := header["webhook-id"]
	if known, seen := a.body[event]; !seen {
		a.first = append(a.first, event)
		a.body[event] = string(body)
	} else if known != string(body) {
		a.t.Errorf("%s came with another body", event)
	}
	switch fate {
	case "dies after":
		a.took[event]++
		panic(crash{})
	case "refuses":
		return outbound.Response{Status: 500}
	case "is away":
		return outbound.Response{Problem: "The connection was refused."}
	}
	a.took[event]++
	return outbound.Response{Status: 200}
}

// Whatever the address answers, and wherever servers die: in the end every event has been taken,
// first attempts came in the order of the events, and the ids are those of the log.
func TestNoEventIsLostInACrash(t *testing.T) {
	for engine, open := range map[string]func(testing.TB, clock.Clock) *db.DB{"sqlite": dbtest.SQLite,
		"postgres": dbtest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			c := clock.NewFrozen(dbtest.Start)
			d := open(t, c)
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				account := id.ID(fmt.Sprintf("acc_%d", n))
				fates := rapid.SampledFrom([]string{"takes", "takes", "takes", "refuses", "is away", "dies before",
					"dies after"})
				to := &address{took: map[string]int{}, body: map[string]string{}, t: rt}
				to.next = func() string { return fates.Draw(rt, "fate") }
				w := newWorld(t, d, c)
				w.replica = w.newReplica(to.post)
				hook, _ := w.create(account, webhook.Request{URL: "https://example.com"})
				sent := 0
				boom := errors.New("boom")
				run := func() {
					defer func() {
						if p := recover(); p != nil && p != any(crash{}) {
							panic(p)
						}
					}()
					if _, err := w.Send(t.Context(), hook.ID); err != nil {
						rt.Fatal(err)
					}
				}
				rt.Repeat(map[string]func(*rapid.T){
					"happens": func(rt *rapid.T) {
						k := rapid.IntRange(1, 3).Draw(rt, "events")
						kinds := make([]string, k)
						for i := range kinds {
							kinds[i] = "a.b"
						}
						w.happen(account, kinds...)
						sent += k
					},
					"is rolled back": func(*rapid.T) {
						err := w.tx(func(ctx context.Context, tx *db.Tx) error {
							if err := appendTo(ctx, tx, w.events, account, "never.was"); err != nil {
								return err
							}
							tx.BeforeCommit(func(context.Context) error { return boom })
							return nil
						})
						if !errors.Is(err, boom) {
							rt.Fatal(err)
						}
					},
					"sends": func(*rapid.T) { run() },
					"time": func(rt *rapid.T) {
						c.Advance(time.Duration(
							rapid.IntRange(1, 600).Draw(rt, "seconds")) * time.Second)
					},
				})
				to.next = func() string { return "takes" }
				w.pass(13 * time.Hour) // longer than the longest wait
				all := w.history(account)
				if len(all) != sent {
					rt.Fatalf("%d events in the log, %d were made", len(all), sent)
				}
				for i, e := range all {
					if len(to.first) <= i || to.first[i] != string(e.ID) {
						rt.Fatalf("first attempts were made in the order %v, and event %d is %s", to.first, i, e.ID)
					}
					if to.took[string(e.ID)] == 0 {
						rt.Fatalf("%s was never taken", e.ID)
					}
				}
				if len(to.first) != sent {
					rt.Fatalf("%d ids came, of %d events", len(to.first), sent)
				}
				if left := w.deliveries(account, hook.ID, webhook.Pending); len(left) != 0 {
					rt.Fatalf("%+v", left)
				}
			})
		})
	}
}

// Two replicas with their workers on one database, and events from both: each is delivered once, in
// order.
func TestReplicasDeliverOnce(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		const each = 60
		answered := make(chan struct{}, 4*each)
		client := local(outbound.Config{})
		send := func(ctx context.Context, url string, header map[string]string, body []byte) outbound.Response {
			defer func() { answered <- struct{}{} }()
			return client.Post(ctx, url, header, body)
		}
		w.replica = w.newReplica(send)
		other := w.newReplica(send)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		ctx, stop := context.WithCancel(t.Context())
		var working, writing sync.WaitGroup
		for _, r := range []replica{w.replica, other} {
			working.Go(func() { r.runner.Run(ctx) })
			writing.Go(func() {
				for range each {
					if err := w.tx(func(ctx context.Context,
						tx *db.Tx) error {
						return appendTo(ctx, tx, r.events, ada, "a.b")
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		late := time.After(time.Minute)
		for n := range 2 * each {
			select {
			case <-answered:
			case <-late:
				t.Fatalf("%d of %d answered", n, 2*each)
			}
		}
		stop()
		working.Wait()
		if _, n, err := w.Deliveries(t.Context(), w.d, ada, hook.ID, webhook.Delivered,
			db.Page{Number: 1, Limit: 1}); err != nil || n.Total != 2*each {
			t.Errorf("%d delivered, %v", n.Total, err)
		}
		got := to.take()
		same(t, "requests", len(got), 2*each)
		for i, e := range w.history(ada) {
			if got[i].id != string(e.ID) {
				t.Fatalf("request %d is %s, event %s", i, got[i].id, e.ID)
			}
		}
	})
}

// A late run that lost its lease changes nothing that another has written.
func TestLateRunChangesNothing(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		sending, answer := make(chan struct{}), make(chan outbound.Response)
		late := w.newReplica(func(context.Context, string, map[string]string, []byte) outbound.Response {
			close(sending)
			return <-answer
		})
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		w.happen(ada, "a.b")
		done := make(chan error)
		go func() {
			_, err := late.Send(t.Context(), hook.ID)
			done <- err
		}()
		<-sending
		w.drain()
		answer <- outbound.Response{Status: 410}
		if err := <-done; err != nil {
			t.Error(err)
		}
		d := w.deliveries(ada, hook.ID, "")[0]
		if e := w.get(ada, hook.ID); !e.Enabled || e.FailingSince != nil || d.Status != webhook.Delivered ||
			len(d.Attempts) != 1 {
			t.Errorf("%+v %+v", e, d)
		}
	})
}

// Endpoints that hang do not block others: their runs do not wait for one another, but retry later.
func TestHangingEndpointsDoNotBlockOthers(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		var hanging sync.WaitGroup
		begun := make(chan struct{}, 100)
		w.replica = w.newReplica(func(_ context.Context, url string, _ map[string]string, _ []byte) outbound.Response {
			if url != "https://example.com/hangs" {
				return outbound.Response{Status: 200}
			}
			begun <- struct{}{}
			<-release
			return outbound.Response{Problem: "It took longer than 15s."}
		})
		var hooks []id.ID
		for range 10 {
			h, _ := w.create(ada, webhook.Request{URL: "https://example.com/hangs"})
			hooks = append(hooks, h.ID)
		}
		ended := make(chan struct{}, 100)
		send := func(of []id.ID) {
			for _, h := range of {
				hanging.Go(func() {
					defer func() { ended <- struct{}{} }()
					if _, err := w.Send(t.Context(), h); err != nil {
						t.Error(err)
					}
				})
			}
		}
		w.happen(ada, "a.b")
		send(hooks[:4])
		for range 4 {
			<-begun
		}
		close(release)
		hanging.Wait() // those four are failing now
		for range 4 {
			<-ended
		}
		release = make(chan struct{})
		w.happen(ada, "c.d")
		send(hooks[:4])
		for range 2 { // of four, two find a place
			<-begun
		}
		for range 2 {
			select {
			case <-ended: // and the others do not wait for one
			case <-begun:
				t.Error("more than two places were taken by endpoints of one account that fail")
			}
		}
		good, _ := w.create(bob, webhook.Request{URL: "https://example.com/good"})
		w.happen(bob, "a.b")
		if _, err := w.Send(t.Context(), good.ID); err != nil {
			t.Fatal(err)
		}
		if d := w.deliveries(bob, good.ID, webhook.Delivered); len(d) != 1 {
			t.Errorf("%+v", d)
		}
		close(release)
		hanging.Wait()
	})
}

// A tenant whose addresses take long for everything, and do answer, does not have all places of the
// process.
func TestOneAccountDoesNotBlockOthers(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		release, begun, waiting := make(chan struct{}), make(chan struct{}, 100), make(chan struct{}, 100)
		w.replica = w.newReplica(func(_ context.Context, url string, _ map[string]string, _ []byte) outbound.Response {
			if url == "https://example.com/slow" {
				begun <- struct{}{}
				<-release
			}
			return outbound.Response{Status: 200}
		})
		var slow sync.WaitGroup
		var hooks []id.ID
		for range webhook.MaxPerAccount {
			h, _ := w.create(ada, webhook.Request{URL: "https://example.com/slow"})
			hooks = append(hooks, h.ID)
		}
		w.happen(ada, "a.b")
		for _, h := range hooks {
			slow.Go(func() {
				if _, err := w.Send(t.Context(), h); err != nil {
					t.Error(err)
				}
				waiting <- struct{}{}
			})
		}
		for range webhook.MaxPerAccount { // each is under way, or has found no place
			select {
			case <-begun:
			case <-waiting:
			}
		}
		quick, _ := w.create(bob, webhook.Request{URL: "https://example.com/quick"})
		w.happen(bob, "a.b")
		if _, err := w.Send(t.Context(), quick.ID); err != nil {
			t.Error(err)
		}
		if d := w.deliveries(bob, quick.ID, webhook.Delivered); len(d) != 1 {
			t.Error("another account's slow addresses have every place")
		}
		close(release)
		slow.Wait()
	})
}
