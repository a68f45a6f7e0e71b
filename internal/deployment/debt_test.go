package deployment_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
)

// The provider reclaims the machine that caused the negative balance, and the refund ends past due.
func TestRefundEndsPastDueAtOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newKit(t, d, c)
		r.pastDue = true
		r.serve()
		price := r.running(r.account(money.Dollars(100))).HourlyPrice
		a := r.account(price.Times(2) - 1)
		x := r.running(a)
		r.pass(x.StartedAt.Add(time.Hour + time.Minute).Sub(c.Now()))
		told := func() (last string) {
			events, _, err := r.events.List(t.Context(), d, a, a, db.Page{Number: 1, Limit: 100})
			r.must(err)
			for _, e := range events {
				last = e.Type
			}
			return last
		}
		if w := r.walletOf(a); w.Available != -1 || told() != "account.past_due" {
			t.Fatalf("%+v, told %s", w, told())
		}
		r.must(r.fake.simulated.Terminate(t.Context(), x.ID))
		r.pass(2 * time.Minute)
		if got := r.get(a, x.ID); got.Status != deployment.StatusInterrupted || r.walletOf(a).Available <= 0 ||
			told() != "account.recovered" {
			t.Fatalf("%s, told %s of %+v", got.Status, told(), r.walletOf(a))
		}
	})
}
