package job_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// TestFleetJobsHaveNoTrace: a tenant's request is continued by the tenant's jobs only. A job of the
// server, wherever it began, is of no trace, and ties what it enqueues for one tenant to nothing.
func TestFleetJobsHaveNoTrace(t *testing.T) {
	const (
		of      = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" // a tenant's request
		inRun   = "00-00000000000000000000000000000001-0000000000000001-01" // what a run is told to pass on
		account = id.ID("acc_1")
	)
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		var runs []string
		n := job.NewRunner(job.Config{DB: d, Queue: r.queue, Clock: c, Real: r.leases,
			Log: slog.New(slog.DiscardHandler), Workers: 1,
			Observe: func(ctx context.Context, run job.Run) (context.Context, func(error)) {
				runs = append(runs, fmt.Sprintf("%s %q", run.Subject, run.Trace))
				return job.WithTrace(ctx, inRun), func(error) {}
			}})
		enqueue := func(ctx context.Context, owner, subject id.ID) error {
			return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
				return r.queue.Enqueue(ctx, tx, owner, kind, subject, tx.Now)
			})
		}
		n.Handle(kind, func(ctx context.Context, subject id.ID) (job.Outcome, error) {
			switch subject {
			case "fleet":
				return job.Done(), enqueue(ctx, account, "by_fleet")
			case "tenants":
				return job.Done(), enqueue(ctx, account, "by_tenants")
			}
			return job.Done(), nil
		})
		request := job.WithTrace(t.Context(), of)
		for _, step := range []struct {
			owner, subject id.ID
			want           string
		}{
			{account, "tenants", fmt.Sprintf("[tenants %q by_tenants %q]", of, inRun)},
			{job.NoOwner, "fleet", `[fleet "" by_fleet ""]`},
		} {
			runs = nil
			if err := enqueue(request, step.owner, step.subject); err != nil {
				t.Fatal(err)
			}
			r.drain(n)
			if got := fmt.Sprint(runs); got != step.want {
				t.Errorf("%s: %s, want %s", step.subject, got, step.want)
			}
		}
		// A job that an account had enqueued, and the server enqueues again, is the server's.
		runs = nil
		for _, owner := range []id.ID{account, job.NoOwner} {
			if err := enqueue(request, owner, "both"); err != nil {
				t.Fatal(err)
			}
		}
		c.Advance(time.Second)
		r.drain(n)
		if got := fmt.Sprint(runs); got != `[both ""]` {
			t.Errorf("enqueued by both: %s", got)
		}
	})
}
