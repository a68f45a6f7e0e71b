package job_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// With nothing to do, and when nothing is known to be due, the database is asked about once a
// second.
func TestIdleRunnerQueriesRarely(t *testing.T) {
	for name, failing := range map[string]bool{"idle": false, "after a failed query": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := dbtest.SQLite(t, clock.System{})
				var asked atomic.Int64
				n := job.NewRunner(job.Config{
					DB: d, Queue: job.NewQueue(id.NewMaker(clock.System{}, rand.Reader)), Clock: clock.System{},
					Log: slog.New(slog.DiscardHandler), Workers: 1,
					Real: func(context.Context, db.Reader) (time.Time, error) {
						// the second question of each round: when something is due
						if n := asked.Add(1); failing && n%2 == 0 {
							return time.Time{}, errors.New("no answer")
						}
						return time.Now(), nil
					},
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				n.Run(ctx)
				if got := asked.Load(); got < 60 || got > 180 {
					t.Errorf("asked %d times in a minute", got)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
