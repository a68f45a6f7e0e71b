package meter_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// No price or cost that is less than nothing, or more than there is, is ever metered; the largest
// amount is.
func TestPriceOutOfBoundsIsRefused(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, subject := r.account(money.Dollars(1000)), r.ids.New(id.Deployment)
		r.start(b200(account, subject, c.Now()))
		begin := func(set func(s *meter.Start, m money.Micros)) func(context.Context, *db.Tx, money.Micros) error {
			return func(ctx context.Context, tx *db.Tx, m money.Micros) error {
				s := b200(account, r.ids.New(id.Volume), c.Now())
				s.HourlyPrice = 0 // no hold
				set(&s, m)
				return r.meter.Start(ctx, tx, s)
			}
		}
		rolledBack := errors.New("rolled back")
		for name, set := range map[string]func(ctx context.Context, tx *db.Tx, m money.Micros) error{
			"reprice": func(ctx context.Context, tx *db.Tx, m money.Micros) error {
				return r.meter.Reprice(ctx, tx, subject, m, wallet.Labels{Name: "x"}, "x")
			},
			"changed cost": func(ctx context.Context, tx *db.Tx, m money.Micros) error {
				return r.meter.CostChanges(ctx, tx, subject, m)
			},
			"first price": begin(func(s *meter.Start, m money.Micros) { s.HourlyPrice = m }),
			"first cost":  begin(func(s *meter.Start, m money.Micros) { s.HourlyCost = m }),
		} {
			for amount, want := range map[money.Micros]bool{
				-1: false, 0: true, wallet.MaxAmount: true, wallet.MaxAmount + 1: false,
			} {
				err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					return cmp.Or(set(ctx, tx, amount), rolledBack)
				})
				if got := errors.Is(err, rolledBack); got != want {
					t.Errorf("%s of %s an hour: taken %t, want %t: %v", name, amount, got, want, err)
				}
			}
		}
		c.Advance(time.Minute * 90)
		r.sweep()
		if cost := r.cost(subject); cost != 2*rate {
			t.Errorf("it costs %s", cost)
		}
	})
}
