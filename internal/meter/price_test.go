package meter_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// No price that is less than nothing, or more than there is, is ever charged.
func TestPriceOutOfBoundsIsRefused(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		subject := r.ids.New(id.Deployment)
		r.start(b200(r.account(money.Dollars(1000)), subject, c.Now()))
		for _, price := range []money.Micros{-1, wallet.MaxAmount + 1} {
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return r.meter.Reprice(ctx, tx, subject, price, wallet.Labels{Name: "x"}, "x")
			})
			if err == nil {
				t.Errorf("a price of %s an hour was taken", price)
			}
		}
		c.Advance(time.Minute * 90)
		r.sweep()
		if cost := r.cost(subject); cost != 2*rate {
			t.Errorf("it costs %s", cost)
		}
	})
}
