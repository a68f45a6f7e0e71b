package job_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newRig(t, d, c)
	n := r.runner(func(context.Context, id.ID) (job.Outcome, error) { return job.Outcome{}, errors.New("refused") })
	write := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	read := func(name string, f func(ctx context.Context) error) {
		t.Helper()
		faults.FailEach(t, name, func() error { return f(t.Context()) })
	}
	enqueue := func(ctx context.Context, tx *db.Tx) error {
		return r.queue.Enqueue(ctx, tx, "acc_1", kind, "dep_1", tx.Now)
	}
	write("Enqueue", enqueue)
	write("Enqueue again", enqueue)
	read("OldestDue", func(ctx context.Context) error { _, err := job.OldestDue(ctx, d, c.Now()); return err })
	for range 10 { // until it counts as failing
		r.drain(n)
		c.Advance(time.Hour)
	}
	var failing []job.Failing
	read("ListFailing", func(ctx context.Context) (err error) {
		failing, _, err = job.ListFailing(ctx, d, "", db.Page{Number: 1, Limit: 10})
		return err
	})
	if len(failing) != 1 {
		t.Fatalf("%d jobs fail, want 1", len(failing))
	}
	read("CountFailing", func(ctx context.Context) error { _, err := job.CountFailing(ctx, d); return err })
	write("Retry", func(ctx context.Context, tx *db.Tx) error {
		_, _, err := r.queue.Retry(ctx, tx, failing[0].ID)
		return err
	})
	read("TakeOver", n.TakeOver)
	write("Cancel", func(ctx context.Context, tx *db.Tx) error { return r.queue.Cancel(ctx, tx, kind, "dep_1") })
}
