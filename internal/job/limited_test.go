package job_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

func TestExcludedKindsWait(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		const other job.Kind = "other"
		r, limited, ran := newRig(t, d, c), true, []string{}
		note := func(kind string) job.Handler {
			return func(context.Context, id.ID) (job.Outcome, error) {
				ran = append(ran, kind)
				return job.Done(), nil
			}
		}
		n := r.runner(note("test"))
		n.Handle(other, note("other"))
		n.Exclude(func(k job.Kind) bool { return limited && k == kind })
		for _, k := range []job.Kind{kind, other} {
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return r.queue.Enqueue(ctx, tx, job.NoOwner, k, "one", tx.Now.Add(time.Minute))
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.Travel(t.Context(), c, c.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ran, []string{"other"}) {
			t.Errorf("limited: %v", ran)
		}
		limited = false
		r.drain(n)
		if !slices.Equal(ran, []string{"other", "test"}) {
			t.Errorf("not limited any more: %v", ran)
		}
	})
}
