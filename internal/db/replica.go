package db

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"
)

const (
	// MaxLag is how old the state of a replica may be that reads come from.
	MaxLag = 5 * time.Second
	// replicaTime is how long a replica may take for its answer before the primary is asked.
	replicaTime = 10 * time.Second
)

// Replica is a copy of the database that follows it with a delay. Only reads that allow for one
// come from it.
type Replica struct {
	// Pool is where the replica is read.
	Pool *sql.DB
	// Watch compares the replica with the primary once. It returns an error if the replica cannot
	// be used, because it does not answer or is no copy of this database.
	Watch func(ctx context.Context) error
	// Lag returns how old the replica's state is at most; false if that is not known.
	Lag func() (time.Duration, bool)

	reads, missed atomic.Int64
}

// Usable reports whether the replica's state is recent enough.
func (r *Replica) Usable() bool {
	lag, known := r.Lag()
	return known && lag <= MaxLag
}

// Reads returns how many reads came from the replica, and how many that could have done so came
// from the primary.
func (r *Replica) Reads() (reads, missed int64) { return r.reads.Load(), r.missed.Load() }

// Replica returns the replica, or nil if there is none.
func (d *DB) Replica() *Replica { return d.c.Replica }

type lagMark struct{}

// lagging is what the reads of a context that may lag know of each other.
type lagging struct {
	// primary is true once one of them came from the primary. Those after it do, too: what it has
	// read, a replica may lack. So a replica that does not answer is also waited for only once.
	primary atomic.Bool
}

// MayLag returns a context with which reads outside a writing transaction may be up to MaxLag old,
// so that a replica can serve them. It is for reports on the past, not for what a caller changes
// and then reads again. Each report needs a context of its own.
func MayLag(ctx context.Context) context.Context {
	return context.WithValue(ctx, lagMark{}, &lagging{})
}

// Exact takes MayLag back, for what is kept and used by others than the report.
func Exact(ctx context.Context) context.Context {
	if mayLag(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, lagMark{}, (*lagging)(nil))
}

// mayLag returns nil if the context's reads must not lag.
func mayLag(ctx context.Context) *lagging {
	l, _ := ctx.Value(lagMark{}).(*lagging)
	return l
}

// read runs f, which only reads from the pool it is given, and runs it again as repeat does. Where
// the context allows it, a replica is asked first. No error is the replica's word: it may not have
// the row yet, or have canceled a query that was in the way of its replay, so the primary is asked.
func (d *DB) read(ctx context.Context, limit time.Duration, f func(ctx context.Context, pool *sql.DB) error) error {
	if r, l := d.c.Replica, mayLag(ctx); r != nil && l != nil {
		if !l.primary.Load() && r.Usable() && r.serves(ctx, f) {
			r.reads.Add(1)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.primary.Store(true)
		r.missed.Add(1)
	}
	return d.repeat(ctx, &d.reads, limit, func(ctx context.Context) error { return f(ctx, d.c.Read) })
}

// serves reports whether f succeeded on the replica.
func (r *Replica) serves(ctx context.Context, f func(ctx context.Context, pool *sql.DB) error) bool {
	within, cancel := context.WithTimeout(ctx, replicaTime)
	defer cancel()
	return f(within, r.Pool) == nil
}
