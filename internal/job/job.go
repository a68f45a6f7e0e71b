package job

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Kind says which handler looks at the subject.
type Kind string

// Handler looks at a subject once. An error means that it could not ask and is
// tried again later; everything that it learned is an Outcome.
type Handler func(ctx context.Context, subject id.ID) (Outcome, error)

// Outcome is what a look came to: Done, or At a time again. The zero value is Done.
type Outcome struct{ again time.Time }

// Done ends the job, unless somebody has enqueued it again meanwhile.
func Done() Outcome { return Outcome{} }

// At has the subject looked at again, not before t.
func At(t time.Time) Outcome { return Outcome{t} }

// Queue puts jobs into the database.
type Queue struct {
	ids  *id.Maker
	wake chan struct{}
	// asked is how many jobs were enqueued by others than runs of jobs.
	asked atomic.Int64
}

// inRun marks the context of a run: what is enqueued with it follows from a job.
type inRun struct{}

// NewQueue returns a Queue that takes ids for its rows from ids.
func NewQueue(ids *id.Maker) *Queue {
	if ids == nil {
		panic("job: NewQueue needs a maker of ids")
	}
	return &Queue{ids: ids, wake: make(chan struct{}, 1)}
}

// NoOwner is the owner of jobs that are the server's own. Each takes turns by itself, as if it were an account.
const NoOwner id.ID = ""

// Enqueue has the subject looked at, not before at. Where the job exists already the earlier time counts. The owner is the account whose
// work it is: what is due is claimed in turns of the accounts.
func (q *Queue) Enqueue(ctx context.Context, tx *db.Tx, owner id.ID, kind Kind, subject id.ID, at time.Time) error {
	if owner == NoOwner {
		owner = id.ID(string(kind) + "/" + string(subject))
	}
	if err := insert(ctx, tx, q.ids.New(id.Job), owner, kind, subject, at); err != nil {
		return err
	}
	if ctx.Value(inRun{}) == nil {
		q.asked.Add(1)
	}
	tx.AfterCommit(q.nudge)
	return nil
}

// Cancel forgets the job, if there is one. A run that is under way goes on to its end.
func (q *Queue) Cancel(ctx context.Context, tx *db.Tx, kind Kind, subject id.ID) error {
	return remove(ctx, tx, kind, subject)
}

// nudge wakes this process's runner. Others find the job when they poll.
func (q *Queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
