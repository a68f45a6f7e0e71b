package job

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Kind selects the handler of a job.
type Kind string

// Handler reconciles a subject once. It returns an error if it could not finish, and is then
// retried later. Everything else is an Outcome.
type Handler func(ctx context.Context, subject id.ID) (Outcome, error)

// Outcome is the result of a run: Done, or At a time again. The zero value is Done.
type Outcome struct{ again time.Time }

// Done ends the job, unless it was enqueued again meanwhile.
func Done() Outcome { return Outcome{} }

// At runs the job again, not before t.
func At(t time.Time) Outcome { return Outcome{t} }

// Queue enqueues jobs in the database.
type Queue struct {
	ids  *id.Maker
	wake chan struct{}
	// enqueued counts the jobs that were not enqueued by runs of jobs.
	enqueued atomic.Int64
}

// inRun marks the context of a run: what it enqueues follows from a job.
type inRun struct{}

type traceKey struct{}

// WithTrace returns a context whose jobs are enqueued with the text, at most MaxTrace bytes, which
// their runs are observed with. It says what the jobs follow from.
func WithTrace(ctx context.Context, trace string) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

// MaxTrace is the maximum length of a trace in bytes.
const MaxTrace = 64

// traceOf returns the text of WithTrace, "" without one.
func traceOf(ctx context.Context) string {
	if trace, _ := ctx.Value(traceKey{}).(string); len(trace) <= MaxTrace {
		return trace
	}
	return ""
}

// NewQueue returns a Queue whose rows get their IDs from ids.
func NewQueue(ids *id.Maker) *Queue { return &Queue{ids: ids, wake: make(chan struct{}, 1)} }

// NoOwner is the owner of the server's own jobs. Each takes turns on its own, as if it were an
// account.
const NoOwner id.ID = ""

// fleetOwner is what the database has as the owner of a job of NoOwner.
func fleetOwner(kind Kind, subject id.ID) id.ID { return id.ID(string(kind) + "/" + string(subject)) }

// Enqueue runs the job not before at. If it exists already, the earlier time counts. The owner is
// the account that the work is for: due jobs are claimed in turns of the accounts.
func (q *Queue) Enqueue(ctx context.Context, tx *db.Tx, owner id.ID, kind Kind, subject id.ID, at time.Time) error {
	if owner == NoOwner {
		owner = fleetOwner(kind, subject)
		ctx = WithTrace(ctx, "") // its runs are for every account, so they belong to no request
	}
	if err := insert(ctx, tx, q.ids.New(id.Job), owner, kind, subject, at); err != nil {
		return err
	}
	if ctx.Value(inRun{}) == nil {
		q.enqueued.Add(1)
	}
	tx.AfterCommit(q.nudge)
	return nil
}

// Retry runs a failing job now instead of after its backoff, which goes on if it fails again. It
// returns false if no failing job has the id: it may have succeeded meanwhile.
func (q *Queue) Retry(ctx context.Context, tx *db.Tx, job id.ID) (Failing, bool, error) {
	if !job.Valid(id.Job) {
		return Failing{}, false, nil
	}
	f, found, err := hasten(ctx, tx, job)
	if found {
		tx.AfterCommit(q.nudge)
	}
	return f, found, err
}

// Cancel deletes the job if there is one. A run that has started continues to its end.
func (q *Queue) Cancel(ctx context.Context, tx *db.Tx, kind Kind, subject id.ID) error {
	return remove(ctx, tx, kind, subject)
}

// nudge wakes this process's runner. Other processes find the job when they poll.
func (q *Queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
