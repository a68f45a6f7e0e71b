package meter_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/job/jobtest"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
)

func TestSweepThatLostItsJobChargesNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		subject := r.ids.New(id.Deployment)
		r.start(b200(r.account(money.Dollars(1000)), subject, c.Now()))
		c.Advance(3 * time.Hour)
		jobtest.Lose(t, d, c, map[job.Kind]job.Handler{meter.KindSweep: r.meter.Sweep})
		if cost := r.cost(subject); cost != rate {
			t.Fatalf("%s charged by a run that had lost its job", cost-rate)
		}
		r.sweep()
		if cost := r.cost(subject); cost != 4*rate { // an hour begins at this very instant
			t.Errorf("it costs %s in the end", cost)
		}
		r.audited()
	})
}
