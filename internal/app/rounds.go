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
	// roundBound is how late a background loop may be, beyond the time between its rounds, before the server says that it
	// does not serve. It is longer than a query may take, so that one that was given up is followed by one that is not.
	roundBound = time.Minute
	// writeTime is how long the database may take for the try to write of /readyz.
	writeTime = 2 * time.Second
)

// rounds remembers when each background loop last came round, so that a loop that stands still is seen from outside.
type rounds struct {
	now func() time.Time

	mu    sync.Mutex
	loops map[string]*round
}

type round struct {
	last  time.Time
	bound time.Duration
	// also tells of a later sign of life than the last round; may be nil.
	also func() time.Time
}

func newRounds(now func() time.Time) *rounds { return &rounds{now: now, loops: map[string]*round{}} }

// begin says that a loop runs from now on, and comes round so often.
func (r *rounds) begin(name string, every time.Duration, also func() time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loops[name] = &round{last: r.now(), bound: every + roundBound, also: also}
}

// done says that a loop has come round.
func (r *rounds) done(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loops[name].last = r.now()
}

// ages returns how long ago each loop last came round, and the names of those for which that is too long, in order.
func (r *rounds) ages() (ages map[string]time.Duration, late []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	ages = map[string]time.Duration{}
	for name, loop := range r.loops {
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

// every runs f every d until the context ends. A round that fails is logged, and is none.
func (r *rounds) every(ctx context.Context, d time.Duration, log *slog.Logger, what string, f func(context.Context) error) {
	for (clock.System{}).SleepUntil(ctx, time.Now().Add(d)) == nil {
		switch err := f(ctx); {
		case err == nil:
			r.done(what)
		case ctx.Err() == nil:
			log.ErrorContext(ctx, what, "error", err)
		}
	}
}

// serves tells what keeps this server from serving: nothing can be written, or one of its background loops stands still.
func (a *App) serves(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	if err := installation.TryWrite(within, a.DB, a.IDs); err != nil {
		return unready("Nothing can be written to the database.", err)
	}
	if _, late := a.rounds.ages(); len(late) > 0 {
		return unready("A background task of this server stands still: "+late[0]+".", fmt.Errorf("late: %v", late))
	}
	return nil
}

func unready(message string, cause error) error {
	return &apierr.Error{Code: apierr.ServiceUnavailable, Message: message, RetryAfter: 15 * time.Second, Cause: cause}
}
