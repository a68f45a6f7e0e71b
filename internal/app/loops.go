package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/installation"
)

const (
	// maxDelay is how late a background loop may be, in addition to its interval, before the server
	// reports that it is not ready. It is longer than a query may take, so that a loop can recover
	// from one that timed out.
	maxDelay = time.Minute
	// writeTime limits the test write of /readyz.
	writeTime = 2 * time.Second
)

// loops records when each background loop last ran, so that a stuck loop is detected.
type loops struct {
	now func() time.Time

	mu  sync.Mutex
	all map[string]*loop
}

type loop struct {
	last  time.Time
	took  time.Duration // the last round that succeeded
	fails int64         // rounds that failed
	bound time.Duration
	// also returns another sign of life; may be nil.
	also func() time.Time
}

func newLoops(now func() time.Time) *loops { return &loops{now: now, all: map[string]*loop{}} }

// begin registers a loop that runs from now on at that interval.
func (r *loops) begin(name string, every time.Duration, also func() time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[name] = &loop{last: r.now(), bound: every + maxDelay, also: also}
}

// done records that a loop has run, in that time.
func (r *loops) done(name string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[name].last, r.all[name].took = r.now(), took
}

// failed records that a round failed.
func (r *loops) failed(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[name].fails++
}

// rounds are the figures of a loop.
type rounds struct {
	took  time.Duration
	fails int64
}

// rounds returns the figures of each loop.
func (r *loops) rounds() map[string]rounds {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]rounds{}
	for name, loop := range r.all {
		all[name] = rounds{loop.took, loop.fails}
	}
	return all
}

// ages returns how long ago each loop last ran, and the sorted names of those that are late.
func (r *loops) ages() (ages map[string]time.Duration, late []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	ages = map[string]time.Duration{}
	for name, loop := range r.all {
		last := loop.last
		if loop.also != nil {
			if at := loop.also(); at.After(last) {
				last = at
			}
		}
		ages[name] = now.Sub(last)
		if ages[name] > loop.bound {
			late = append(late, name)
		}
	}
	slices.Sort(late)
	return ages, late
}

// every runs f every d until the context ends. A run that fails is logged, and does not count.
func (r *loops) every(
	ctx context.Context, d time.Duration, log *slog.Logger, what string, f func(context.Context) error,
) {
	for (clock.System{}).SleepUntil(ctx, time.Now().Add(d)) == nil {
		began := r.now()
		switch err := f(ctx); {
		case err == nil:
			r.done(what, r.now().Sub(began))
		case ctx.Err() == nil:
			r.failed(what)
			log.ErrorContext(ctx, what, "error", err)
		}
	}
}

// serves returns an error if the server is not ready: the database refuses writes, or a background
// loop is stuck.
func (a *App) serves(ctx context.Context) error {
	if a.draining.Load() {
		return unready("This server is stopping.", nil)
	}
	within, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	if err := installation.TryWrite(within, a.DB, a.IDs); err != nil {
		return unready("The database does not accept writes.", err)
	}
	if _, late := a.loops.ages(); len(late) > 0 {
		return unready("A background task of this server is stuck: "+late[0]+".", fmt.Errorf("late: %v", late))
	}
	return nil
}

func unready(message string, cause error) error {
	return &apierr.Error{Code: apierr.ServiceUnavailable, Message: message, RetryAfter: 15 * time.Second, Cause: cause}
}
