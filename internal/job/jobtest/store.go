package jobtest

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// Stolen returns the handler of a run whose job another replica claims right when it begins, so
// that everything h does is too late.
func Stolen(d *db.DB, h job.Handler) job.Handler {
	return func(ctx context.Context, subject id.ID) (job.Outcome, error) {
		err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE job SET attempt = attempt + 1 WHERE subject = $1`, subject)
			return err
		})
		if err != nil {
			return job.Outcome{}, err
		}
		return h(ctx, subject)
	}
}

// Lose runs what is due with those handlers. Each run loses its job when it begins. Lose then
// removes the leases, so that the jobs are as before.
func Lose(t testing.TB, d *db.DB, c clock.Clock, handlers map[job.Kind]job.Handler) {
	t.Helper()
	n := job.NewRunner(job.Config{
		DB: d, Queue: job.NewQueue(id.NewMaker(c, rand.Reader)), Clock: c, Real: db.Time,
		Log: slog.New(slog.DiscardHandler), Workers: 1,
	})
	runs := atomic.Int64{}
	for kind, h := range handlers {
		n.Handle(kind, Stolen(d, func(ctx context.Context, subject id.ID) (job.Outcome, error) {
			runs.Add(1)
			return h(ctx, subject)
		}))
	}
	if err := errors.Join(n.Drain(t.Context()), n.TakeOver(t.Context())); err != nil {
		t.Fatal(err)
	}
	if runs.Load() == 0 {
		t.Fatal("nothing was due, so nothing was lost")
	}
}
