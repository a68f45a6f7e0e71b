package job_test

import (
	"context"
	"crypto/rand"
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

// BenchmarkClaim is what one job costs in all, claim and end, while so many of one account are due
// and ten times as many wait for later.
func BenchmarkClaim(b *testing.B) {
	for _, n := range []int{10, 5000, 50_000} {
		for name, open := range map[string]func(testing.TB, clock.Clock) *db.DB{"sqlite": dbtest.SQLite,
			"postgres": dbtest.Postgres} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				c := clock.NewFrozen(dbtest.Start)
				d := open(b, c)
				q := job.NewQueue(id.NewMaker(c, rand.Reader))
				r := job.NewRunner(job.Config{DB: d, Queue: q, Clock: c, Real: db.Time,
					Log: slog.New(slog.DiscardHandler), Workers: 16})
				ran := make(chan struct{}, 1000)
				r.Handle(kind, func(context.Context, id.ID) (job.Outcome, error) {
					ran <- struct{}{}
					return job.At(c.Now()), nil
				})
				enqueueMany(b, d, q, "flood", n)
				later(b, d, q, 10*n)
				ctx, cancel := context.WithCancel(b.Context())
				stopped := make(chan struct{})
				go func() { r.Run(ctx); close(stopped) }()
				<-ran
				for b.Loop() {
					<-ran
				}
				cancel()
				for {
					select {
					case <-ran:
						continue
					case <-stopped:
					}
					return
				}
			})
		}
	}
}

func later(t testing.TB, d *db.DB, q *job.Queue, n int) {
	t.Helper()
	const some = 10_000 // in one transaction
	for done := 0; done < n; done += some {
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			for i := done; i < min(done+some, n); i++ {
				if err := q.Enqueue(ctx, tx, id.ID(fmt.Sprint(i%10_000)), kind, id.ID(fmt.Sprintf("later/%d", i)),
					tx.Now.Add(time.Hour)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
