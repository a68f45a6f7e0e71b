package job_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

const kind job.Kind = "test"

type rig struct {
	t     *testing.T
	db    *db.DB
	clock *clock.Simulated
	real  *clock.Simulated
	queue *job.Queue
}

func newRig(t *testing.T, d *db.DB, c *clock.Simulated) *rig {
	return &rig{t: t, db: d, clock: c, real: clock.NewFrozen(dbtest.Start),
		queue: job.NewQueue(id.NewMaker(c, rand.Reader))}
}

func (r *rig) runner(h job.Handler) *job.Runner {
	n := job.NewRunner(job.Config{DB: r.db, Queue: r.queue, Clock: r.clock, Real: r.leases,
		Log: slog.New(slog.DiscardHandler), Workers: 4})
	n.Handle(kind, h)
	return n
}

// leases tells the time that the rig's leases are counted in.
func (r *rig) leases(context.Context, db.Reader) (time.Time, error) { return r.real.Now(), nil }

func (r *rig) enqueue(subject id.ID, after time.Duration) {
	r.t.Helper()
	err := r.db.InTx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return r.queue.Enqueue(ctx, tx, job.NoOwner, kind, subject, tx.Now.Add(after))
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) drain(n *job.Runner) {
	r.t.Helper()
	if err := n.Drain(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func TestJobRunsAtTheEarlierTime(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, runs := newRig(t, d, c), 0
		n := r.runner(func(context.Context, id.ID) (job.Outcome, error) { runs++; return job.Done(), nil })
		r.enqueue("dep_1", time.Hour)
		r.enqueue("dep_1", time.Minute)
		r.enqueue("dep_1", 2*time.Hour)
		for _, step := range []struct {
			move time.Duration
			want int
		}{{0, 0}, {59 * time.Second, 0}, {time.Second, 1}, {24 * time.Hour, 1}} {
			c.Advance(step.move)
			r.drain(n)
			if runs != step.want {
				t.Fatalf("after %s more: %d runs, want %d", step.move, runs, step.want)
			}
		}
	})
}

func TestRolledBackChangeLeavesNoJob(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, boom := newRig(t, d, c), errors.New("boom")
		n := r.runner(func(context.Context, id.ID) (job.Outcome, error) {
			t.Error("ran a job that was never committed")
			return job.Done(), nil
		})
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(r.queue.Enqueue(ctx, tx, job.NoOwner, kind, "dep_1", tx.Now), boom)
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		r.drain(n)
	})
}

// A job that is enqueued while it runs, runs again at once, whether the run was its last or not.
// The log does not claim that the run had lost it.
func TestEnqueueDuringRunIsNotLost(t *testing.T) {
	for name, ends := range map[string]func(now time.Time) job.Outcome{
		"done":      func(time.Time) job.Outcome { return job.Done() },
		"postponed": func(now time.Time) job.Outcome { return job.At(now.Add(time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
				r, runs := newRig(t, d, c), 0
				var log bytes.Buffer
				n := job.NewRunner(job.Config{DB: r.db, Queue: r.queue, Clock: r.clock, Real: r.leases,
					Log: slog.New(slog.NewTextHandler(&log, nil)), Workers: 4})
				n.Handle(kind, func(context.Context, id.ID) (job.Outcome, error) {
					if runs++; runs == 1 {
						r.enqueue("dep_1", 0)
					}
					return ends(c.Now()), nil
				})
				r.enqueue("dep_1", 0)
				r.drain(n)
				if runs != 2 {
					t.Errorf("%d runs, want 2", runs)
				}
				if log.Len() > 0 {
					t.Errorf("logged %s", log.String())
				}
			})
		})
	}
}

func TestFailuresAreRetriedAndListed(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, runs := newRig(t, d, c), 0
		n := r.runner(func(context.Context, id.ID) (job.Outcome, error) {
			switch runs++; runs {
			case 1:
				return job.Outcome{}, errors.New("no\x00answer")
			case 2:
				panic("worse")
			}
			return job.Done(), nil
		})
		r.enqueue("dep_1", 0)
		r.drain(n)
		failing, _, err := job.ListFailing(t.Context(), d, "", db.Page{Number: 1, Limit: 100})
		if err != nil || len(failing) != 1 || failing[0].LastError != "noanswer" || failing[0].Failures != 1 {
			t.Fatalf("%+v %v", failing, err)
		}
		c.Advance(2 * time.Second)
		r.drain(n)
		c.Advance(4 * time.Second)
		r.drain(n)
		if failing, _, err = job.ListFailing(t.Context(), d, "", db.Page{Number: 1, Limit: 100}); err != nil ||
			len(failing) != 0 || runs != 3 {
			t.Fatalf("%d runs; %+v %v", runs, failing, err)
		}
	})
}

// A worker that was killed keeps its lease until it ends in real time; then another takes over, and
// whatever the first still says is refused.
func TestLateWorkerIsRefused(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		var runs atomic.Int32
		entered, release := make(chan struct{}), make(chan struct{})
		n := r.runner(func(context.Context, id.ID) (job.Outcome, error) {
			if runs.Add(1) == 1 {
				close(entered)
				<-release
				return job.Done(), nil // too late
			}
			return job.At(c.Now().Add(time.Hour)), nil
		})
		r.enqueue("dep_1", 0)
		var wg sync.WaitGroup
		wg.Go(func() { _ = n.Drain(t.Context()) })
		<-entered
		c.Advance(24 * time.Hour) // time travel ends no lease
		r.drain(n)
		if got := runs.Load(); got != 1 {
			t.Fatalf("%d runs while the lease held", got)
		}
		r.real.Advance(31 * time.Second)
		r.drain(n)
		close(release)
		wg.Wait()
		c.Advance(time.Hour)
		r.drain(n)
		if got := runs.Load(); got != 3 {
			t.Fatalf("%d runs, want 3: the late worker must not have ended the job", got)
		}
	})
}

func TestTwoRunnersClaimNothingTwice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		ids := id.NewMaker(c, rand.Reader)
		for range 100 {
			r.enqueue(ids.New(id.Deployment), 0)
		}
		var mu sync.Mutex
		seen := map[id.ID]int{}
		h := func(_ context.Context, s id.ID) (job.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			seen[s]++
			return job.Done(), nil
		}
		var wg sync.WaitGroup
		for range 2 {
			n := r.runner(h)
			wg.Go(func() {
				if err := n.Drain(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(seen) != 100 {
			t.Fatalf("%d subjects seen", len(seen))
		}
		for s, times := range seen {
			if times != 1 {
				t.Errorf("%s ran %d times", s, times)
			}
		}
	})
}

func TestRunner_TravelStopsAtEachDueInstant(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		var mu sync.Mutex
		var at []time.Duration
		start := c.Now()
		n := r.runner(func(context.Context, id.ID) (job.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, c.Now().Sub(start))
			return job.At(c.Now().Add(time.Hour)), nil
		})
		r.enqueue("dep_1", time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { n.Run(ctx) })
		if err := n.Travel(t.Context(), c, start.Add(3*time.Hour+30*time.Minute)); err != nil {
			t.Fatal(err)
		}
		cancel()
		wg.Wait()
		want := []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}
		if len(at) != 3 || at[0] != want[0] || at[1] != want[1] || at[2] != want[2] ||
			c.Now().Sub(start) != 3*time.Hour+30*time.Minute {
			t.Fatalf("ran at %v, clock at +%s", at, c.Now().Sub(start))
		}
	})
}

// Tenants who enqueue without a pause, faster than anybody can work, do not keep the clock from
// arriving; a few do not change its stops.
func TestRunner_TravelArrivesWhileOthersEnqueue(t *testing.T) {
	for name, c := range map[string]struct {
		asked int
		exact bool
	}{"a few": {90, true}, "without end": {1 << 30, false}} {
		t.Run(name, func(t *testing.T) {
			dbtest.Engines(t, func(t *testing.T, d *db.DB, clk *clock.Simulated) {
				r, asked, start := newRig(t, d, clk), 0, clk.Now()
				var mu sync.Mutex
				var hours []time.Duration
				n := r.runner(func(_ context.Context, subject id.ID) (job.Outcome, error) {
					mu.Lock()
					defer mu.Unlock()
					if subject == "hour" {
						hours = append(hours, clk.Now().Sub(start))
						return job.At(start.Add(time.Duration(len(hours)+1) * time.Hour)), nil
					}
					if asked++; asked < c.asked { // while one request is served the next comes in
						r.enqueue("tenant", 0)
					}
					return job.Done(), nil
				})
				r.enqueue("hour", time.Hour)
				r.enqueue("tenant", 0)
				if err := n.Travel(t.Context(), clk, start.Add(5*time.Hour)); err != nil {
					t.Fatal(err)
				}
				if got := clk.Now().Sub(start); got != 5*time.Hour || len(hours) != 5 || asked > 2000 {
					t.Fatalf("at +%s after %d requests, hours at %v", got, asked, hours)
				}
				for i, at := range hours {
					late := at - time.Duration(i+1)*time.Hour
					if late < 0 || late > time.Minute || c.exact && late != 0 {
						t.Errorf("hour %d came %s late", i+1, late)
					}
				}
			})
		})
	}
}

func TestRunner_RunStopsWithItsContext(t *testing.T) {
	d := dbtest.SQLite(t, clock.System{})
	q := job.NewQueue(id.NewMaker(clock.System{}, rand.Reader))
	for range 50 {
		n := job.NewRunner(job.Config{DB: d, Queue: q, Clock: clock.System{}, Real: db.Time,
			Log: slog.New(slog.DiscardHandler), Workers: 2})
		ran := make(chan struct{}, 1)
		n.Handle(kind, func(context.Context, id.ID) (job.Outcome, error) {
			select {
			case ran <- struct{}{}:
			default:
			}
			return job.Done(), nil
		})
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return q.Enqueue(ctx, tx, job.NoOwner, kind, "dep_1", tx.Now)
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { n.Run(ctx); close(stopped) }()
		<-ran
		cancel()
		<-stopped
	}
}

// lines counts what is logged.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(p []byte) (int, error) { l.n.Add(1); return len(p), nil }

// With a full disk jobs are found and cannot be claimed. That is retried, with pauses.
func TestUnclaimableJobsAreRetriedWithPauses(t *testing.T) {
	var logged lines
	running(t, slog.New(slog.NewTextHandler(&logged, nil)), nil, func(t *testing.T, d *db.DB) {
		if _, err := d.Handle().ExecContext(t.Context(), `PRAGMA query_only(1)`); err != nil {
			t.Fatal(err)
		}
	}, func(*testing.T) { time.Sleep(300 * time.Millisecond) })
	if got := logged.n.Load(); got != 1 {
		t.Errorf("in 0.3 s: got %d lines in the log, want 1", got)
	}
}

func TestJobDueAgainAtOnceDoesNotWaitForPoll(t *testing.T) {
	runs, done := 0, make(chan time.Time, 1)
	running(t, slog.New(slog.DiscardHandler), func(context.Context, id.ID) (job.Outcome, error) {
		if runs++; runs < 6 {
			return job.At(clock.System{}.Now()), nil
		}
		done <- time.Now()
		return job.Done(), nil
	}, func(*testing.T, *db.DB) {}, func(t *testing.T) {
		began := time.Now()
		if took := (<-done).Sub(began); took > time.Second { // five polls are five seconds
			t.Errorf("six runs: took %s of simulated time, want less than a second", took)
		}
	})
}

// running runs one job in a bubble of simulated time, in which SQLite takes none, while the last
// function lasts. prepare is called between the job's creation and the runner's start.
func running(
	t *testing.T, log *slog.Logger, h job.Handler, prepare func(*testing.T, *db.DB), while func(*testing.T),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, clock.System{})
		q := job.NewQueue(id.NewMaker(clock.System{}, rand.Reader))
		n := job.NewRunner(job.Config{
			DB: d, Queue: q, Clock: clock.System{}, Log: log, Workers: 2,
			Real: func(context.Context, db.Reader) (time.Time, error) { return now() },
		})
		if h != nil {
			n.Handle(kind, h)
		}
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return q.Enqueue(ctx, tx, job.NoOwner, kind, "dep_1", tx.Now)
		}); err != nil {
			t.Fatal(err)
		}
		prepare(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { n.Run(ctx) })
		while(t)
		cancel()
		wg.Wait()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}
