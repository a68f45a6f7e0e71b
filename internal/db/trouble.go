package db

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

// Trouble is what an engine's error says about the database.
type Trouble int

// The kinds of trouble.
const (
	// NoTrouble is an error of the statement: the database is well.
	NoTrouble Trouble = iota
	// Conflict is another transaction in the way: the whole transaction runs again at once.
	Conflict
	// Refused means that the database cannot do it now, and that asking again at once is no use: its disk is full, the
	// statement took too long. Nothing was done.
	Refused
	// Down means that the database does not serve yet or any more, and may soon: it starts, or stops. Nothing was done.
	Down
	// ReadOnly is a write that was refused because nothing is written there: by a standby, which may soon be the primary.
	ReadOnly
	// Lost means that the connection broke: nobody knows what became of the statement that was under way. A transaction
	// that was not being committed is rolled back.
	Lost
)

const (
	// queryTime is how long a single query may take whose caller has no deadline of its own, txTime a whole transaction.
	// The request's own deadline is shorter.
	queryTime = 45 * time.Second
	txTime    = time.Minute
	// outage is how long a database that does not answer is asked again before its callers are told. Once it is known to be away,
	// everybody is told at once.
	outage = 10 * time.Second
	// firstPause and longestPause lie between two attempts.
	firstPause, longestPause = 20 * time.Millisecond, time.Second
)

// UnavailableError says that the database could not serve, and that the same call may succeed later.
type UnavailableError struct {
	Err error
	// InDoubt is true where the connection was lost during a commit: what the transaction did may stand.
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

// Unavailable tells whether the error means that the database could not serve.
func Unavailable(err error) bool {
	var e *UnavailableError
	return errors.As(err, &e)
}

// InDoubt tells whether the error leaves open whether a transaction was committed.
func InDoubt(err error) bool {
	var e *UnavailableError
	return errors.As(err, &e) && e.InDoubt
}

// errCommit marks the error of a commit.
type errCommit struct{ error }

func (e errCommit) Unwrap() error { return e.error }

// away remembers since when reads or writes have failed, so that only the first callers wait for an end of it.
type away struct{ since atomic.Int64 } // nanoseconds of the machine's clock; 0 = they work

func (a *away) works() { a.since.Store(0) }

// patient tells whether the trouble is young enough to be waited for.
func (a *away) patient(now time.Time) bool {
	a.since.CompareAndSwap(0, now.UnixNano())
	return now.Sub(time.Unix(0, a.since.Load())) < outage
}

// repeat runs f, which has no effect unless it succeeds, and runs it again where the engine's error says that this may help. The caller's
// deadline bounds it, and limit where the caller has none.
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
			return d.told(err) // who asked does not wait any more
		}
		trouble := d.c.Trouble(err)
		if trouble == ReadOnly && a == &d.reads {
			trouble = NoTrouble // a view that writes
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
			wait = rand.N(time.Duration(conflicts) * 5 * time.Millisecond) // apart by chance, so that two that met do not meet again
		case trouble == Refused, inDoubt, !a.patient(time.Now()):
			return &UnavailableError{Err: err, InDoubt: inDoubt}
		default:
			wait = pause/2 + rand.N(pause)
			pause = min(2*pause, longestPause)
		}
		// Real time: the database waits for no simulated clock.
		if (clock.System{}).SleepUntil(within, time.Now().Add(wait)) != nil {
			return d.told(err)
		}
	}
}

// told is the error as callers get it.
func (d *DB) told(err error) error {
	trouble := d.c.Trouble(err)
	if trouble == NoTrouble {
		return err
	}
	return &UnavailableError{Err: err, InDoubt: trouble == Lost && errors.As(err, new(errCommit))}
}
