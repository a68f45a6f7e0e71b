package job_test

import (
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
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/job/jobtest"
)

// ahead are two replicas on one database, the clock of the second ahead of the first's.
func ahead(t *testing.T, by time.Duration, f func(t *testing.T, one, two *rig)) {
	t.Run("sqlite", func(t *testing.T) {
		c := clock.NewFrozen(dbtest.Start)
		d := dbtest.SQLite(t, c)
		f(t, newRig(t, d, c), newRig(t, d, clock.NewFrozen(dbtest.Start.Add(by))))
	})
	t.Run("postgres", func(t *testing.T) {
		url := dbtest.PostgresURL(t)
		var rigs []*rig
		for _, at := range []time.Time{dbtest.Start, dbtest.Start.Add(by)} {
			c := clock.NewFrozen(at)
			d, err := postgres.Open(t.Context(), url, c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close() })
			rigs = append(rigs, newRig(t, d, c))
		}
		f(t, rigs[0], rigs[1])
	})
}

func (r *rig) onDatabaseTime(h job.Handler) *job.Runner {
	n := job.NewRunner(job.Config{DB: r.db, Queue: r.queue, Clock: r.clock, Real: db.Time,
		Log: slog.New(slog.DiscardHandler), Workers: 4})
	n.Handle(kind, h)
	return n
}

// Leases are the database's: a replica whose clock is ahead does not take what another is at work
// on, nor does one whose clock is behind leave a lease that is over.
func TestReplicaWithWrongClockClaimsNoLeasedJob(t *testing.T) {
	for _, by := range []time.Duration{130 * time.Second, time.Hour, -130 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			ahead(t, by, func(t *testing.T, one, two *rig) {
				entered, answer := make(chan struct{}), make(chan struct{})
				first := one.onDatabaseTime(func(context.Context, id.ID) (job.Outcome, error) {
					close(entered)
					<-answer
					return job.Done(), nil
				})
				var stolen atomic.Int32
				second := two.onDatabaseTime(func(context.Context, id.ID) (job.Outcome, error) {
					stolen.Add(1)
					return job.Done(), nil
				})
				one.enqueue("dep_1", min(by, 0))
				var wg sync.WaitGroup
				wg.Go(func() { one.drain(first) })
				<-entered
				two.drain(second)
				close(answer)
				wg.Wait()
				if n := stolen.Load(); n != 0 {
					t.Errorf("taken %d times from the replica that was at work on it", n)
				}
			})
		})
	}
}

// Whatever a run writes and does after another has taken its job is refused, however it was
// written.
func TestRunThatLostItsJobWritesNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		write := func(ctx context.Context) error {
			return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
				return r.queue.Enqueue(ctx, tx, job.NoOwner, kind, "dep_2", tx.Now.Add(time.Hour))
			})
		}
		runs := 0
		n := r.runner(func(ctx context.Context, subject id.ID) (job.Outcome, error) {
			if runs++; runs > 1 {
				return job.At(c.Now().Add(time.Hour)), nil
			}
			if err := errors.Join(job.Holds(ctx), write(ctx)); err != nil {
				t.Errorf("while it has the job: %v", err)
			}
			if err := d.InTx(ctx, func(ctx context.Context,
				tx *db.Tx) error {
				return r.queue.Cancel(ctx, tx, kind, "dep_2")
			}); err != nil {
				t.Error(err)
			}
			lost := func(ctx context.Context) {
				if err := job.Holds(ctx); !errors.Is(err, job.ErrLost) {
					t.Errorf("holds: %v", err)
				}
				if err := write(ctx); !errors.Is(err, job.ErrLost) {
					t.Errorf("wrote: %v", err)
				}
			}
			r.real.Advance(31 * time.Second)
			if err := job.Holds(ctx); !errors.Is(err, job.ErrLost) {
				t.Errorf("holds a lease that is over: %v", err)
			}
			_, err := jobtest.Stolen(d, func(ctx context.Context, _ id.ID) (job.Outcome, error) {
				lost(ctx)
				lost(context.WithoutCancel(ctx))
				return job.Done(), nil
			})(ctx, subject)
			return job.Done(), err
		})
		r.enqueue("dep_1", 0)
		r.drain(n)
		left := 0
		if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM job WHERE subject = 'dep_2'`).Scan(
			&left); err != nil || left != 0 || runs != 2 {
			t.Errorf("%d rows written after the job was lost, %d runs, %v", left, runs, err)
		}
	})
}

// A run's transaction that is checked, and not committed yet, keeps others from taking the job.
func TestJobCannotBeClaimedBetweenCheckAndCommit(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	d := dbtest.Postgres(t, c)
	r := newRig(t, d, c)
	runs := 0
	var other *job.Runner
	n := r.runner(func(ctx context.Context, _ id.ID) (job.Outcome, error) {
		if runs++; runs > 1 {
			return job.Done(), nil
		}
		return job.Done(), d.InTx(ctx, func(_ context.Context, tx *db.Tx) error {
			tx.BeforeCommit(func(context.Context) error { // after the check
				r.real.Advance(time.Minute)
				r.drain(other)
				if runs != 1 {
					t.Error("taken while a transaction of the run that has it was under way")
				}
				return nil
			})
			return nil
		})
	})
	other = r.runner(func(context.Context, id.ID) (job.Outcome, error) { runs++; return job.Done(), nil })
	r.enqueue("dep_1", 0)
	r.drain(n)
}

// bubble runs f with a runner in a bubble of simulated real time. SQLite is in the process, so
// nothing waits for the outside.
func bubble(t *testing.T, real func() (time.Time, error),
	h func(ctx context.Context, d *db.DB, subject id.ID) (job.Outcome, error)) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, clock.System{})
		q := job.NewQueue(id.NewMaker(clock.System{}, rand.Reader))
		n := job.NewRunner(job.Config{
			DB: d, Queue: q, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Workers: 1,
			Real: func(context.Context, db.Reader) (time.Time, error) { return real() },
		})
		runs := 0
		n.Handle(kind, func(ctx context.Context, subject id.ID) (job.Outcome, error) {
			if runs++; runs > 1 {
				return job.At(time.Now().Add(time.Hour)), nil
			}
			return h(ctx, d, subject)
		})
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return q.Enqueue(ctx, tx, job.NoOwner, kind, "dep_1", tx.Now)
		}); err != nil {
			t.Fatal(err)
		}
		if err := n.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func now() (time.Time, error) { return time.Now(), nil }

// endedAfter is how long the run went on until it was told to end; a run of many leases' length is
// not told.
func endedAfter(ctx context.Context) time.Duration {
	began := time.Now()
	_ = clock.System{}.SleepUntil(ctx, began.Add(10*time.Minute))
	return time.Since(began)
}

func TestLongRunKeepsItsLease(t *testing.T) {
	bubble(t, now, func(ctx context.Context, _ *db.DB, _ id.ID) (job.Outcome, error) {
		if lasted := endedAfter(ctx); lasted != 10*time.Minute || job.Holds(ctx) != nil {
			t.Errorf("ended after %s, %v", lasted, job.Holds(ctx))
		}
		return job.Done(), nil
	})
}

func TestRunThatLostItsLeaseIsCancelled(t *testing.T) {
	bubble(t, now, func(ctx context.Context, d *db.DB, subject id.ID) (job.Outcome, error) {
		return jobtest.Stolen(d, func(ctx context.Context, _ id.ID) (job.Outcome, error) {
			if lasted := endedAfter(ctx); lasted > 15*time.Second {
				t.Errorf("went on for %s", lasted)
			}
			return job.Done(), nil
		})(ctx, subject)
	})
}

// A replica that the database does not answer cannot know who has its jobs: it gives them up before
// their leases are over.
func TestRunIsCancelledBeforeAnUnextendedLeaseEnds(t *testing.T) {
	var down atomic.Bool
	real := func() (time.Time, error) {
		if down.Load() {
			return time.Time{}, errors.New("no answer")
		}
		return time.Now(), nil
	}
	bubble(t, real, func(ctx context.Context, _ *db.DB, _ id.ID) (job.Outcome, error) {
		if err := (clock.System{}).SleepUntil(ctx, time.Now().Add(15*time.Second)); err != nil {
			t.Error(err)
		}
		down.Store(true) // the lease was extended 5 s ago
		defer down.Store(false)
		if lasted := endedAfter(ctx); lasted < 20*time.Second || lasted > 25*time.Second {
			t.Errorf("went on for %s, and the lease for 25 s", lasted)
		}
		return job.Done(), nil
	})
}

func TestRunner_TakeOnlyWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dbtest.SQLite(t, clock.System{})
		q := job.NewQueue(id.NewMaker(clock.System{}, rand.Reader))
		n := job.NewRunner(job.Config{
			DB: d, Queue: q, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Workers: 1,
			Real: func(context.Context, db.Reader) (time.Time, error) { return now() },
		})
		var may atomic.Bool
		var runs atomic.Int32
		n.TakeOnlyWhile(may.Load)
		n.Handle(kind, func(context.Context, id.ID) (job.Outcome, error) { runs.Add(1); return job.Done(), nil })
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return q.Enqueue(ctx, tx, job.NoOwner, kind, "dep_1", tx.Now)
		}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { n.Run(ctx) })
		time.Sleep(time.Minute)
		if got := runs.Load(); got != 0 {
			t.Errorf("%d runs while it may not", got)
		}
		may.Store(true)
		time.Sleep(5 * time.Second)
		if got := runs.Load(); got != 1 {
			t.Errorf("%d runs once it may", got)
		}
		cancel()
		wg.Wait()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What was claimed in a transaction that was not committed is not run: its row may be claimed again
// with the same attempt.
func TestUncommittedClaimIsNotRun(t *testing.T) {
	ahead(t, 0, func(t *testing.T, one, _ *rig) {
		ran := 0
		n := one.onDatabaseTime(func(context.Context, id.ID) (job.Outcome, error) { ran++; return job.Done(), nil })
		one.enqueue("dep_1", 0)
		refused := errors.New("not committed")
		if err := n.Drain(db.WithGuard(t.Context(),
			func(context.Context, *db.Tx) error { return refused })); !errors.Is(err, refused) {
			t.Errorf("%v", err)
		}
		if ran != 0 {
			t.Errorf("%d runs of a claim that was rolled back", ran)
		}
		one.drain(n)
		if ran != 1 {
			t.Errorf("%d runs after all", ran)
		}
	})
}
