package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	lease     = 30 * time.Second      // of real time; extended while the handler runs
	batch     = 32                    // jobs claimed at once
	poll      = time.Second           // how long a job enqueued by another process may wait
	turnsFor  = 20 * time.Millisecond // how long the order of turns counts that was read, at least
	held      = 20 * time.Millisecond // how long to wait for what is due and cannot be claimed
	firstWait = time.Second           // after a first failure; doubled by each further one
	lastWait  = 5 * time.Minute
	busy      = 4 * time.Minute // how long all workers may be at work and none end: handlers have deadlines of their own

	// keptPart is which part of the workers is kept for owners that have nothing at work: one in so many.
	keptPart = 4

	// crowd is how many jobs others may enqueue during a journey before it stops waiting for them: from then on it makes at
	// most crowdStops stops, and looks at most crowdLooks times at each for what has become due there.
	crowd, crowdStops, crowdLooks = 100, 500, 3
)

// Config is what a Runner needs. Every field is required.
type Config struct {
	DB    *db.DB
	Queue *Queue
	// Clock decides what is due. Leases are counted in Real, which all that work on the database must read alike: outside
	// tests db.Time, the database's own clock.
	Clock clock.Clock
	Real  func(ctx context.Context, r db.Reader) (time.Time, error)
	Log   *slog.Logger
	// Workers is how many jobs may run beside each other.
	Workers int
}

// Runner claims due jobs and runs them.
type Runner struct {
	c        Config
	handlers map[Kind]Handler
	periodic map[Kind]bool
	may      func() bool

	slots chan struct{} // one for each run of Run that is under way
	alive atomic.Int64  // when Run last claimed, or a run ended: nanoseconds of the machine's own time
	full  atomic.Bool   // Run waits for a worker
	queue turnList      // Run's alone
	wg    sync.WaitGroup

	travel  sync.Mutex // one traveller at a time
	mu      sync.Mutex
	changed *sync.Cond // running fell to 0, or paused became false
	running int
	paused  bool // a traveller runs what is due; Run claims nothing
}

// NewRunner returns a Runner without handlers. It panics when a field is missing.
func NewRunner(c Config) *Runner {
	if c.DB == nil || c.Queue == nil || c.Clock == nil || c.Real == nil || c.Log == nil || c.Workers < 1 {
		panic("job: NewRunner needs every field of its Config")
	}
	r := &Runner{c: c, handlers: map[Kind]Handler{}, periodic: map[Kind]bool{}, may: func() bool { return true }, slots: make(chan struct{}, c.Workers)}
	r.changed = sync.NewCond(&r.mu)
	return r
}

// Handle registers the handler of a kind, before Run. A kind has one.
func (r *Runner) Handle(kind Kind, h Handler) {
	if r.handlers[kind] != nil {
		panic("job: two handlers for " + string(kind))
	}
	r.handlers[kind] = h
}

// HandlePeriodic registers the handler of a kind that only looks round every so often, so that
// looking once instead of a thousand times makes no difference: Travel does not stop for it.
func (r *Runner) HandlePeriodic(kind Kind, h Handler) {
	r.Handle(kind, h)
	r.periodic[kind] = true
}

// TakeOnlyWhile has Run take no jobs while may is false, before Run. Those under way go on.
func (r *Runner) TakeOnlyWhile(may func() bool) { r.may = may }

// TakeOver ends the leases that an earlier process left when it was killed, so that its jobs need not wait for
// them. It is only for who knows that no other process works on this database.
func (r *Runner) TakeOver(ctx context.Context) error {
	return r.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := release(ctx, tx)
		if n > 0 {
			tx.AfterCommit(func() { r.c.Log.InfoContext(ctx, "jobs of an earlier process are taken over", "jobs", n) })
		}
		return err
	})
}

// Alive returns when Run last asked for due jobs with success, or ended one; the time of now while a traveller holds it up. Where it lies
// far back, Run stands still.
func (r *Runner) Alive() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, at := time.Now(), time.Unix(0, r.alive.Load())
	if r.paused {
		return now
	}
	if r.full.Load() {
		at = at.Add(busy)
	}
	if at.After(now) {
		return now
	}
	return at
}

func (r *Runner) lives() { r.alive.Store(time.Now().UnixNano()) }

// Run runs due jobs until the context ends, then waits for those under way.
func (r *Runner) Run(ctx context.Context) {
	defer r.wg.Wait()
	for ctx.Err() == nil {
		if !r.may() {
			r.lives()
			_ = clock.System{}.SleepUntil(ctx, time.Now().Add(poll))
			continue
		}
		started, err := r.startDue(ctx)
		switch {
		case err != nil && ctx.Err() == nil: // the disk is full, the database is gone: asking at once, and for ever, helps nobody
			r.c.Log.ErrorContext(ctx, "claiming jobs failed", "error", err)
			_ = clock.System{}.SleepUntil(ctx, time.Now().Add(poll))
		case started < batch:
			r.lives()
			r.wait(ctx, started == 0)
		default:
			r.lives()
		}
	}
}

// wait returns when a job may be due: by the clock, by a wake-up, or because it is time to poll. Where nothing could be
// claimed, what is due by now is in the hands of another's transaction, which is given a moment to end.
func (r *Runner) wait(ctx context.Context, idle bool) {
	ctx, cancel := context.WithTimeout(ctx, poll)
	defer cancel()
	next, any, err := r.nextDue(ctx, nil)
	due := make(chan struct{})
	if err == nil && any {
		moment := time.Now().Add(held)
		go func() {
			if idle && (clock.System{}).SleepUntil(ctx, moment) != nil {
				return
			}
			if r.c.Clock.SleepUntil(ctx, next) == nil {
				close(due)
			}
		}()
	}
	select {
	case <-due:
	case <-r.c.Queue.wake:
	case <-ctx.Done():
	}
}

// startDue claims what is due, up to the free workers, and starts it.
func (r *Runner) startDue(ctx context.Context) (int, error) {
	free := 0
	for free < batch {
		select {
		case r.slots <- struct{}{}:
			free++
			continue
		default:
		}
		break
	}
	if free == 0 { // all at work: wait for one
		r.full.Store(true)
		defer r.full.Store(false)
		select {
		case r.slots <- struct{}{}:
			free = 1
		case <-ctx.Done():
			return 0, nil
		}
	}
	defer func() {
		for ; free > 0; free-- {
			<-r.slots
		}
	}()
	if !r.enter(ctx, free) {
		return 0, nil
	}
	entered := free
	defer func() { r.leave(entered) }()
	jobs, err := r.claimInTurn(ctx, free)
	for _, c := range jobs {
		free--
		entered--
		r.wg.Go(func() {
			defer func() {
				r.queue.add(c.owner, -1)
				<-r.slots
				r.leave(1)
				r.lives()
				r.c.Queue.nudge() // its owner may have a worker again
			}()
			r.run(ctx, c)
		})
	}
	if err != nil {
		return 0, err
	}
	return len(jobs), nil
}

// enter counts n runs as under way once no traveller is. It is false when the context ends first.
func (r *Runner) enter(ctx context.Context, n int) bool {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changed.Broadcast()
	})
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.paused && ctx.Err() == nil {
		r.changed.Wait()
	}
	if ctx.Err() != nil {
		return false
	}
	r.running += n
	return true
}

func (r *Runner) leave(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running -= n
	if r.running == 0 {
		r.changed.Broadcast()
	}
}

// Travel moves a simulated clock to target as if the time had passed: it stops at each instant at
// which a job that is not periodic is due and runs all such, so that what happens at an hour happens at
// that hour; the periodic ones run once, at the end. It returns when every job due at target has run, other than those of this instant that keep failing.
//
// Others may go on enqueueing meanwhile, faster than what they ask for can be done. Where they enqueue more than a hundred jobs
// the journey comes to its end all the same, in steps of a five-hundredth of the way at least, and leaves to Run what they asked for last.
func (r *Runner) Travel(ctx context.Context, c *clock.Simulated, target time.Time) error {
	r.travel.Lock()
	defer r.travel.Unlock()
	r.mu.Lock()
	r.paused = true
	for r.running > 0 {
		r.changed.Wait()
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.paused = false
		r.changed.Broadcast()
	}()
	before, step := r.c.Queue.asked.Load(), target.Sub(c.Now())/crowdStops
	crowded := func() bool { return r.c.Queue.asked.Load()-before > crowd }
	for {
		if err := r.stop(ctx, r.periodic, crowded); err != nil {
			return err
		}
		now := c.Now()
		next, any, err := r.nextDue(ctx, r.periodic)
		if err != nil {
			return err
		}
		if any && crowded() && next.Before(now.Add(step)) {
			next = now.Add(step)
		}
		if !any || next.After(target) || crowded() && !now.Before(target) {
			if !now.Before(target) {
				return r.stop(ctx, nil, crowded)
			}
			next = target
		}
		c.AdvanceTo(next)
	}
}

// stop runs what is due, and what that makes due, until nothing is. In a crowd that may be never: then it looks a few
// times, each time runs what was due when it looked, and leaves the rest to the next stop.
func (r *Runner) stop(ctx context.Context, except map[Kind]bool, crowded func() bool) error {
	for looks := 0; ; {
		due, err := r.countDue(ctx, except)
		if err != nil || due == 0 {
			return errors.Join(err, ctx.Err())
		}
		if crowded() {
			if looks++; looks > crowdLooks {
				return nil
			}
		}
		for due > 0 {
			n, err := r.runSome(ctx, min(batch, due), except)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			due -= n
		}
	}
}

// Drain runs everything that is due now, and what that makes due, and returns when nothing is.
// It is for tests with a frozen clock; Run must not be under way.
func (r *Runner) Drain(ctx context.Context) error {
	for {
		if n, err := r.runSome(ctx, batch, nil); err != nil || n == 0 {
			return errors.Join(err, ctx.Err())
		}
	}
}

// runSome runs up to so many jobs that are due, beside each other, and returns how many.
func (r *Runner) runSome(ctx context.Context, limit int, except map[Kind]bool) (int, error) {
	jobs, err := r.claim(ctx, limit, except)
	var wg sync.WaitGroup
	for _, c := range jobs {
		wg.Go(func() { r.run(ctx, c) })
	}
	wg.Wait()
	return len(jobs), err
}

func (r *Runner) nextDue(ctx context.Context, except map[Kind]bool) (time.Time, bool, error) {
	real, err := r.c.Real(ctx, r.c.DB)
	if err != nil {
		return time.Time{}, false, err
	}
	return nextDue(ctx, r.c.DB, real, except)
}

func (r *Runner) countDue(ctx context.Context, except map[Kind]bool) (int, error) {
	real, err := r.c.Real(ctx, r.c.DB)
	if err != nil {
		return 0, err
	}
	return countDue(ctx, r.c.DB, r.c.Clock.Now(), real, except)
}

// claim claims up to limit jobs that are due, of none of the kinds in except, in turns of their owners.
func (r *Runner) claim(ctx context.Context, limit int, except map[Kind]bool) ([]claimed, error) {
	// A glance before the write lock is taken: an idle server writes nothing.
	some, err := r.turns(ctx, limit, except)
	if err != nil || len(some) == 0 {
		return nil, err
	}
	return r.take(ctx, some)
}

func (r *Runner) turns(ctx context.Context, limit int, except map[Kind]bool) ([]turn, error) {
	real, err := r.c.Real(ctx, r.c.DB)
	if err != nil {
		return nil, err
	}
	return turns(ctx, r.c.DB, r.c.Clock.Now(), real, limit, except)
}

// take claims those of the jobs that are still to be had.
func (r *Runner) take(ctx context.Context, some []turn) (jobs []claimed, err error) {
	began := time.Now()
	err = r.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		real, err := r.c.Real(ctx, tx)
		if err != nil {
			return err
		}
		jobs, err = claim(ctx, tx, tx.Now, real, lease, some)
		return err
	})
	if err != nil {
		// Not even where it may have been committed: two runs would hold one attempt. Its lease ends by itself.
		return nil, err
	}
	for i := range jobs {
		jobs[i].held = began.Add(lease)
	}
	return jobs, nil
}

// run runs one job, keeping its lease, and writes down what came of it. The end of the server does
// not end a run half-way: ctx is passed on without its cancellation but for the handler itself.
func (r *Runner) run(ctx context.Context, c claimed) {
	log := r.c.Log.With("job", c.kind, "subject", c.subject, "attempt", c.attempt)
	handlerCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	beat := make(chan struct{})
	go func() {
		defer close(beat)
		r.keepLease(handlerCtx, cancel, c)
	}()
	outcome, err := r.look(r.holding(handlerCtx, c), c)
	crashpoint.Reach(crashpoint.JobBeforeFinish)
	cancel()
	<-beat

	var again *time.Time
	failures, problem := int64(0), ""
	if err != nil {
		failures, problem = c.failures+1, text(err)
		at := r.c.Clock.Now().Add(backoff(failures))
		again = &at
		if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrLost) {
			log.WarnContext(ctx, "job failed; it is tried again", "error", err, "failures", failures, "at", at)
		}
	} else if !outcome.again.IsZero() {
		again = &outcome.again
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	kept := false
	err = r.c.DB.InTx(end, func(ctx context.Context, tx *db.Tx) error {
		var err error
		kept, err = finish(ctx, tx, c, again, failures, problem)
		return err
	})
	if err != nil {
		log.ErrorContext(ctx, "job's end could not be written; it is run again when its lease ends", "error", err)
	} else if !kept {
		log.WarnContext(ctx, "job was cancelled or taken over while it ran")
	}
	r.c.Queue.nudge() // it may be due again at once, and while it was leased Run did not see when
}

// look calls the handler. A panic is a failure like any other: one bad subject must not stop the rest.
func (r *Runner) look(ctx context.Context, c claimed) (o Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	h := r.handlers[c.kind]
	if h == nil {
		return o, fmt.Errorf("no handler for jobs of kind %q in this version of the server", c.kind)
	}
	return h(context.WithValue(ctx, inRun{}, true), c.subject)
}

// keepLease extends the lease while the handler runs. Where it is lost, or could not be extended for as long as it lasts, by
// this process's own count, the handler is to stop: another may have the job by then.
func (r *Runner) keepLease(ctx context.Context, lost context.CancelFunc, c claimed) {
	held := c.held
	for pause := lease / 3; ; {
		if (clock.System{}).SleepUntil(ctx, time.Now().Add(pause)) != nil {
			return
		}
		began, kept := time.Now(), false
		ask, cancel := context.WithTimeout(ctx, min(lease/3, time.Until(held)))
		err := r.c.DB.InTx(ask, func(ctx context.Context, tx *db.Tx) error {
			real, err := r.c.Real(ctx, tx)
			if err != nil {
				return err
			}
			kept, err = extend(ctx, tx, c, real.Add(lease))
			return err
		})
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && kept:
			held, pause = began.Add(lease), lease/3
			continue
		case err == nil:
			lost()
			return
		case time.Until(held) <= 0:
			r.c.Log.ErrorContext(ctx, "job is given up, since its lease could not be extended", "job", c.kind, "subject", c.subject, "error", err)
			lost()
			return
		}
		r.c.Log.WarnContext(ctx, "job's lease could not be extended", "job", c.kind, "subject", c.subject, "error", err)
		pause = min(poll, time.Until(held))
	}
}

// backoff grows with the failures in a row, apart by chance so that what failed together does not come back together.
func backoff(failures int64) time.Duration {
	d := lastWait
	if failures < 10 {
		d = min(firstWait<<(failures-1), lastWait)
	}
	return d/2 + rand.N(d/2)
}

// text is what the job's row keeps of an error: bounded, and without the NUL that PostgreSQL refuses.
func text(err error) string {
	s := []rune(err.Error())
	out := make([]rune, 0, min(len(s), 500))
	for _, c := range s[:min(len(s), 500)] {
		if c != 0 {
			out = append(out, c)
		}
	}
	return string(out)
}

// Subject returns the id-like subject of something that has no id of its own: "provider/voltage-park".
func Subject(kind, name string) id.ID { return id.ID(kind + "/" + name) }
