package db

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

// Trouble classifies an engine's error.
type Trouble int

// The kinds of trouble.
const (
	// NoTrouble is an error of the statement; the database works.
	NoTrouble Trouble = iota
	// Conflict is a conflict with another transaction: the whole transaction runs again at once.
	Conflict
	// Refused means that the database cannot do it now, and that retrying at once does not help:
	// its disk is full, or the statement took too long. Nothing was done.
	Refused
	// Down means that the database is starting or stopping, and may soon work. Nothing was done.
	Down
	// ReadOnly is a write to a standby, which may soon be the primary.
	ReadOnly
	// Lost means that the connection broke, so that the result of the current statement is unknown.
	// A transaction that was not being committed is rolled back.
	Lost
)

const (
	// queryTime limits a query whose caller has no deadline, txTime a whole transaction. The
	// deadline of a request is shorter.
	queryTime = 45 * time.Second
	txTime    = time.Minute
	// outage is how long to retry when the database does not answer. Once it is known to be
	// unavailable, callers get the error at once.
	outage = 10 * time.Second
	// firstPause and longestPause are the pauses between two attempts.
	firstPause, longestPause = 20 * time.Millisecond, time.Second
)

// UnavailableError is returned when the database is unavailable. The same call may succeed later.
type UnavailableError struct {
	Err error
	// InDoubt is true if the connection was lost during a commit, so that the transaction may be
	// committed.
	InDoubt bool
}

// Error returns the engine's text.
func (e *UnavailableError) Error() string {
	if e.InDoubt {
		return "the outcome of a commit is not known: " + e.Err.Error()
	}
	return e.Err.Error()
}

// Unwrap returns the engine's error.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Unavailable reports whether the error means that the database is unavailable.
func Unavailable(err error) bool {
	_, is := errors.AsType[*UnavailableError](err)
	return is
}

// InDoubt reports whether it is unknown whether a transaction was committed.
func InDoubt(err error) bool {
	e, is := errors.AsType[*UnavailableError](err)
	return is && e.InDoubt
}

// errCommit marks the error of a commit.
type errCommit struct{ error }

func (e errCommit) Unwrap() error { return e.error }

// away records since when reads or writes have failed, so that only the first callers wait for the
// end of an outage.
type away struct{ since atomic.Int64 } // nanoseconds of the machine's clock; 0 while they work

func (a *away) works() { a.since.Store(0) }

// patient reports whether the outage is recent enough to wait for its end.
func (a *away) patient(now time.Time) bool {
	a.since.CompareAndSwap(0, now.UnixNano())
	return now.Sub(time.Unix(0, a.since.Load())) < outage
}

// repeat runs f, which has no effect unless it succeeds, and runs it again if the engine's error
// allows it. The caller's deadline bounds it, and limit if the caller has none.
func (d *DB) repeat(ctx context.Context, a *away, limit time.Duration, f func(ctx context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conflicts, pause := 0, firstPause
	for {
		err := f(within)
		if err == nil {
			a.works()
			return nil
		}
		if ctx.Err() != nil {
			return d.classified(err) // the caller no longer waits
		}
		trouble := d.c.Trouble(err)
		if trouble == ReadOnly && a == &d.reads {
			trouble = NoTrouble // a write in a view
		}
		inDoubt := trouble == Lost && errors.As(err, new(errCommit))
		if within.Err() != nil {
			return &UnavailableError{Err: err, InDoubt: inDoubt}
		}
		var wait time.Duration
		switch {
		case trouble == NoTrouble:
			a.works()
			return err
		case trouble == Conflict:
			if conflicts++; conflicts == attempts {
				return &UnavailableError{Err: err}
			}
			// random, so that the same two do not conflict again
			wait = rand.N(time.Duration(conflicts) * 5 * time.Millisecond)
		case trouble == Refused, inDoubt, !a.patient(time.Now()):
			return &UnavailableError{Err: err, InDoubt: inDoubt}
		default:
			wait = pause/2 + rand.N(pause)
			pause = min(2*pause, longestPause)
		}
		// Real time: the database does not use the simulated clock.
		if (clock.System{}).SleepUntil(within, time.Now().Add(wait)) != nil {
			return d.classified(err)
		}
	}
}

// classified returns the error for callers.
func (d *DB) classified(err error) error {
	trouble := d.c.Trouble(err)
	if trouble == NoTrouble {
		return err
	}
	return &UnavailableError{Err: err, InDoubt: trouble == Lost && errors.As(err, new(errCommit))}
}
