package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
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
	turnsFor  = 20 * time.Millisecond // minimum validity of a list of turns
	held      = 20 * time.Millisecond // pause when what is due cannot be claimed
	firstWait = time.Second           // after a first failure; doubled by each further one
	lastWait  = 5 * time.Minute
	traceTime = 10 * time.Minute // how soon a job must run again for the run to be of the same trace
	busy      = 4 * time.Minute  // how long all workers may be busy: handlers have deadlines of their own

	// keptPart is the part of the workers that is reserved for owners without a running job: one in
	// so many.
	keptPart = 4
)

// Config configures a Runner. Every field is required.
type Config struct {
	DB    *db.DB
	Queue *Queue
	// Clock decides what is due. Real counts leases, and must be the same for all processes on the
	// database: outside tests db.Time, the database's own clock.
	Clock clock.Clock
	Real  func(ctx context.Context, r db.Reader) (time.Time, error)
	Log   *slog.Logger
	// Workers is how many jobs may run at once.
	Workers int
	// Observe is told of a run when it begins, and returns the run's context and what is called
	// with its error when it ends. It may be nil.
	Observe func(ctx context.Context, r Run) (context.Context, func(err error))
}

// Run is a run of a job, as Config.Observe is told of it.
type Run struct {
	Kind    Kind
	Subject id.ID
	Attempt int64
	// Trace is what WithTrace was called with where the job was enqueued, or "". A job of NoOwner
	// has none, and what it enqueues has none from it.
	Trace string
}

// Runner claims due jobs and runs them.
type Runner struct {
	cfg      Config
	handlers map[Kind]Handler
	periodic map[Kind]bool
	may      func() bool
	excludes func(Kind) bool

	slots chan struct{} // one for each run that Run has started
	alive atomic.Int64  // when Run last claimed, or a run ended: nanoseconds of the machine's own time
	full  atomic.Bool   // Run waits for a worker
	queue turnList      // used by Run only
	wg    sync.WaitGroup

	travel  sync.Mutex // one Travel at a time
	mu      sync.Mutex
	changed *sync.Cond // running fell to 0, or paused became false
	running int
	paused  bool // Travel runs what is due, and Run claims nothing
}

// NewRunner returns a Runner without handlers. It panics without workers.
func NewRunner(c Config) *Runner {
	if c.Workers < 1 {
		panic("job: a Runner needs workers")
	}
	r := &Runner{
		cfg: c, handlers: map[Kind]Handler{}, periodic: map[Kind]bool{}, may: func() bool { return true },
		excludes: func(Kind) bool { return false },
		slots:    make(chan struct{}, c.Workers),
	}
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

// HandlePeriodic registers the handler of a kind that repeats at an interval, so that one run
// instead of a thousand makes no difference: Travel does not stop for it.
func (r *Runner) HandlePeriodic(kind Kind, h Handler) {
	r.Handle(kind, h)
	r.periodic[kind] = true
}

// TakeOnlyWhile lets Run claim no jobs while may returns false. Call it before Run. Runs that have
// started continue.
func (r *Runner) TakeOnlyWhile(may func() bool) { r.may = may }

// Exclude lets no jobs be claimed of the kinds for which excludes returns true at that moment. Call
// it before Run, after all kinds have their handlers. Runs that have started continue.
func (r *Runner) Exclude(excludes func(Kind) bool) { r.excludes = excludes }

// excluded are the kinds in except, and those that Exclude excludes now.
func (r *Runner) excluded(except map[Kind]bool) map[Kind]bool {
	all := except
	for kind := range r.handlers {
		if !r.excludes(kind) || all[kind] {
			continue
		}
		if len(all) == len(except) {
			all = maps.Clone(except)
		}
		if all == nil {
			all = map[Kind]bool{}
		}
		all[kind] = true
	}
	return all
}

// TakeOver ends the leases that an earlier process left when it was killed, so that its jobs need
// not wait for them. Call it only if no other process works on this database.
func (r *Runner) TakeOver(ctx context.Context) error {
	return r.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := release(ctx, tx)
		if n > 0 {
			tx.AfterCommit(func() { r.cfg.Log.InfoContext(ctx, "took over the jobs of an earlier process", "jobs", n) })
		}
		return err
	})
}

// Alive returns when Run last claimed due jobs successfully, or ended one; now while Travel runs.
// If it is long ago, Run is stuck.
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
		case err != nil && ctx.Err() == nil: // the disk is full or the database is gone: retry after a pause
			r.cfg.Log.ErrorContext(ctx, "claiming jobs failed", "error", err)
			_ = clock.System{}.SleepUntil(ctx, time.Now().Add(poll))
		case started < batch:
			r.lives()
			r.wait(ctx, started == 0)
		default:
			r.lives()
		}
	}
}

// wait returns when a job may be due: by the clock, by a wake-up, or because it is time to poll. If
// nothing could be claimed, another transaction has what is due by now, and gets a moment to end.
func (r *Runner) wait(ctx context.Context, idle bool) {
	ctx, cancel := context.WithTimeout(ctx, poll)
	defer cancel()
	next, found, err := r.nextDue(ctx, nil)
	due := make(chan struct{})
	if err == nil && found {
		moment := time.Now().Add(held)
		go func() {
			if idle && (clock.System{}).SleepUntil(ctx, moment) != nil {
				return
			}
			if r.cfg.Clock.SleepUntil(ctx, next) == nil {
				close(due)
			}
		}()
	}
	select {
	case <-due:
	case <-r.cfg.Queue.wake:
	case <-ctx.Done():
	}
}

// startDue claims what is due, up to the number of free workers, and starts it.
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
	if free == 0 { // all are busy: wait for one
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
				r.cfg.Queue.nudge() // its owner may have a worker again
			}()
			r.run(ctx, c)
		})
	}
	if err != nil {
		return 0, err
	}
	return len(jobs), nil
}

// enter counts n runs as started once Travel does not run. It returns false if the context ends
// first.
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

// Drain runs everything that is due now, and what becomes due by that, and returns when nothing is.
// It is for tests with a frozen clock, without Run.
func (r *Runner) Drain(ctx context.Context) error {
	for {
		if n, err := r.runSome(ctx, batch, nil); err != nil || n == 0 {
			return errors.Join(err, ctx.Err())
		}
	}
}

// runSome runs up to limit due jobs at once, and returns how many.
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
	real, err := r.cfg.Real(ctx, r.cfg.DB)
	if err != nil {
		return time.Time{}, false, err
	}
	return nextDue(ctx, r.cfg.DB, real, r.excluded(except))
}

func (r *Runner) countDue(ctx context.Context, except map[Kind]bool) (int, error) {
	real, err := r.cfg.Real(ctx, r.cfg.DB)
	if err != nil {
		return 0, err
	}
	return countDue(ctx, r.cfg.DB, r.cfg.Clock.Now(), real, r.excluded(except))
}

// claim claims up to limit due jobs, of none of the kinds in except, in turns of their owners.
func (r *Runner) claim(ctx context.Context, limit int, except map[Kind]bool) ([]claimed, error) {
	// Read before the write lock is taken: an idle server writes nothing.
	some, err := r.turns(ctx, limit, except)
	if err != nil || len(some) == 0 {
		return nil, err
	}
	return r.take(ctx, some)
}

func (r *Runner) turns(ctx context.Context, limit int, except map[Kind]bool) ([]turn, error) {
	real, err := r.cfg.Real(ctx, r.cfg.DB)
	if err != nil {
		return nil, err
	}
	return turns(ctx, r.cfg.DB, r.cfg.Clock.Now(), real, limit, r.excluded(except))
}

// take claims those of the jobs that are still available.
func (r *Runner) take(ctx context.Context, some []turn) (jobs []claimed, err error) {
	began := time.Now()
	err = r.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		real, err := r.cfg.Real(ctx, tx)
		if err != nil {
			return err
		}
		jobs, err = claim(ctx, tx, tx.Now, real, lease, some)
		return err
	})
	if err != nil {
		// Also if it may have been committed: two runs would hold one attempt. Its lease expires.
		return nil, err
	}
	for i := range jobs {
		jobs[i].held = began.Add(lease)
	}
	return jobs, nil
}

// run runs one job, keeping its lease, and records the outcome. The end of the server does not
// interrupt that: only the handler's context is cancelled with ctx.
func (r *Runner) run(ctx context.Context, c claimed) {
	log := r.cfg.Log.With("job", c.kind, "subject", c.subject, "attempt", c.attempt)
	handlerCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	beat := make(chan struct{})
	go func() {
		defer close(beat)
		r.keepLease(handlerCtx, cancel, c)
	}()
	outcome, err := r.observed(r.holding(handlerCtx, c), c)
	crashpoint.Reach(crashpoint.JobBeforeFinish)
	cancel()
	<-beat

	var again *time.Time
	failures, problem := int64(0), ""
	if err != nil {
		failures, problem = c.failures+1, truncated(err)
		at := r.cfg.Clock.Now().Add(backoff(failures))
		again = &at
		if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrLost) {
			log.WarnContext(ctx, "job failed and will be retried", "error", err, "failures", failures, "at", at)
		}
	} else if !outcome.again.IsZero() {
		again = &outcome.again
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	kept := false
	err = r.cfg.DB.InTx(end, func(ctx context.Context, tx *db.Tx) error {
		var err error
		kept, err = finish(ctx, tx, c, again, failures, problem, r.cfg.Clock.Now().Add(traceTime))
		return err
	})
	if err != nil {
		log.ErrorContext(ctx, "the outcome of a job could not be recorded; the job runs again when its lease expires",
			"error", err)
	} else if !kept {
		log.WarnContext(ctx, "job was cancelled or taken over while it ran")
	}
	r.cfg.Queue.nudge() // it may be due again at once, and Run did not see when while it was leased
}

// observed calls the handler, and tells Config.Observe.
func (r *Runner) observed(ctx context.Context, c claimed) (Outcome, error) {
	if r.cfg.Observe == nil {
		return r.call(ctx, c)
	}
	run := Run{Kind: c.kind, Subject: c.subject, Attempt: c.attempt, Trace: c.trace}
	fleet := c.owner == fleetOwner(c.kind, c.subject)
	if fleet {
		run.Trace = "" // an account enqueued it before
	}
	ctx, done := r.cfg.Observe(ctx, run)
	if fleet {
		ctx = WithTrace(ctx, "") // else all accounts' jobs that it enqueues were of one trace
	}
	o, err := r.call(ctx, c)
	done(err)
	return o, err
}

// Kinds returns the kinds that have a handler, sorted.
func (r *Runner) Kinds() []Kind { return slices.Sorted(maps.Keys(r.handlers)) }

// call calls the handler. A panic is a failure like any other: one bad subject must not stop the
// rest.
func (r *Runner) call(ctx context.Context, c claimed) (o Outcome, err error) {
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

// keepLease extends the lease while the handler runs. If the lease is lost, or could not be
// extended until it expires by this process's own count, the handler is cancelled: another run may
// have the job by then.
func (r *Runner) keepLease(ctx context.Context, lost context.CancelFunc, c claimed) {
	held := c.held
	for pause := lease / 3; ; {
		if (clock.System{}).SleepUntil(ctx, time.Now().Add(pause)) != nil {
			return
		}
		began, kept := time.Now(), false
		ask, cancel := context.WithTimeout(ctx, min(lease/3, time.Until(held)))
		err := r.cfg.DB.InTx(ask, func(ctx context.Context, tx *db.Tx) error {
			real, err := r.cfg.Real(ctx, tx)
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
			r.cfg.Log.ErrorContext(ctx, "stopping a job whose lease could not be extended", "job", c.kind, "subject",
				c.subject, "error", err)
			lost()
			return
		}
		r.cfg.Log.WarnContext(ctx, "could not extend the lease of a job", "job", c.kind, "subject", c.subject, "error",
			err)
		pause = min(poll, time.Until(held))
	}
}

// backoff grows with consecutive failures. It is randomized, so that jobs that failed together do
// not retry together.
func backoff(failures int64) time.Duration {
	d := lastWait
	if failures < 10 {
		d = min(firstWait<<(failures-1), lastWait)
	}
	return d/2 + rand.N(d/2)
}

// truncated returns an error's text as the job's row stores it: at most 500 characters, and without
// the NUL that PostgreSQL refuses.
func truncated(err error) string {
	s := []rune(err.Error())
	out := make([]rune, 0, min(len(s), 500))
	for _, c := range s[:min(len(s), 500)] {
		if c != 0 {
			out = append(out, c)
		}
	}
	return string(out)
}

// Subject returns the subject of something that has no ID: "provider/voltage-park".
func Subject(kind, name string) id.ID { return id.ID(kind + "/" + name) }
