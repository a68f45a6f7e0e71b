package job_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// enqueueMany enqueues n jobs of the account, all due now.
func enqueueMany(t testing.TB, d *db.DB, q *job.Queue, account id.ID, n int) {
	t.Helper()
	err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for i := range n {
			if err := q.Enqueue(ctx, tx, account, kind, id.ID(fmt.Sprintf("%s/%d", account, i)), tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// One account has 5,000 deploys to make, of six steps each, and another has one. Each step of the
// one is claimed within one reading of the turns and what is at work, however many the other has.
func TestFloodOfOneAccountDoesNotDelayOthers(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		const workers, steps, list = 16, 6, 32
		q := job.NewQueue(id.NewMaker(c, rand.Reader))
		n := job.NewRunner(job.Config{DB: d, Queue: q, Clock: c, Real: db.Time, Log: slog.New(slog.DiscardHandler),
			Workers: workers})
		var flood atomic.Int64
		var mu sync.Mutex
		var waited []int64
		var since int64
		underWay, done := make(chan struct{}), make(chan struct{})
		n.Handle(kind, func(_ context.Context, subject id.ID) (job.Outcome, error) {
			if subject != "single/0" {
				if flood.Add(1) == 100 {
					close(underWay)
				}
				return job.At(c.Now()), nil // the next step is due at once
			}
			mu.Lock()
			defer mu.Unlock()
			waited = append(waited, flood.Load()-since)
			since = flood.Load()
			if len(waited) == steps {
				close(done)
				return job.Done(), nil
			}
			return job.At(c.Now()), nil
		})
		enqueueMany(t, d, q, "flood", 5000)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { n.Run(ctx) })
		<-underWay
		mu.Lock()
		since = flood.Load()
		mu.Unlock()
		enqueueMany(t, d, q, "single", 1)
		<-done
		cancel()
		wg.Wait()
		for i, jobs := range waited {
			if jobs > 2*list+2*workers+100 { // those that a poll, and this test's own transaction, let pass
				t.Errorf("step %d waited for %d jobs of the other account", i+1, jobs)
			}
		}
		t.Logf("the steps waited for %v of 5000 jobs", waited)
	})
}

// In turns, and to the number: of what is due each account's first is claimed before any account's
// second.
func TestAccountsTakeTurns(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		var mu sync.Mutex
		var order []id.ID
		n := r.runner(func(_ context.Context, subject id.ID) (job.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, subject)
			return job.Done(), nil
		})
		enqueueMany(t, d, r.queue, "many", 100)
		c.Advance(time.Second)
		enqueueMany(t, d, r.queue, "some", 3)
		r.enqueue("fleet", 0)
		r.drain(n)
		at := map[id.ID]int{}
		for i, s := range order {
			at[s] = i
		}
		if len(order) != 104 {
			t.Fatalf("%d runs", len(order))
		}
		// jobs that are claimed at once run in any order
		for _, s := range []id.ID{"some/0", "some/1", "some/2", "fleet"} {
			if at[s] >= 32 {
				t.Errorf("%s was the %dth", s, at[s]+1)
			}
		}
	})
}

// An account whose runs all hang leaves workers to others, but not to more of its own.
func TestWorkersAreReservedForIdleAccounts(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		q := job.NewQueue(id.NewMaker(c, rand.Reader))
		n := job.NewRunner(job.Config{DB: d, Queue: q, Clock: c, Real: db.Time, Log: slog.New(slog.DiscardHandler),
			Workers: 8})
		var hang atomic.Int64
		full, hanging, other := make(chan struct{}), make(chan struct{}), make(chan id.ID, 10)
		n.Handle(kind, func(_ context.Context, subject id.ID) (job.Outcome, error) {
			if subject[0] == 'h' {
				if hang.Add(1) == 6 {
					close(full)
				}
				<-hanging
				return job.Done(), nil
			}
			other <- subject
			return job.Done(), nil
		})
		enqueueMany(t, d, q, "hanging", 50)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { n.Run(ctx) })
		<-full
		for _, account := range []id.ID{"a", "b", "a2"} {
			enqueueMany(t, d, q, account, 1)
			<-other
		}
		if got := hang.Load(); got != 6 {
			t.Errorf("%d of 8 workers hang", got)
		}
		close(hanging)
		cancel()
		wg.Wait()
	})
}

// An account whose job is behind those of ten others has its turn as well.
func TestFloodsOfManyAccountsDoNotDelayOthers(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		runs, at := 0, map[id.ID]int{}
		var mu sync.Mutex
		n := r.runner(func(_ context.Context, subject id.ID) (job.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			at[subject], runs = runs, runs+1
			return job.Done(), nil
		})
		for i := range 10 {
			enqueueMany(t, d, r.queue, id.ID(fmt.Sprintf("flood-%d", i)), 60)
			c.Advance(time.Millisecond)
		}
		enqueueMany(t, d, r.queue, "last", 1)
		r.drain(n)
		if runs != 601 || at["last/0"] >= 32 {
			t.Errorf("of %d runs it was the %dth", runs, at["last/0"]+1)
		}
	})
}
