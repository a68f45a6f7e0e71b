package meter_test

import (
	"context"
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

// An hour that may not begin costs nothing. The hours of other subjects that are due at the same
// time are charged, each once.
func TestRefusedHourStopsNoOther(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(money.Dollars(100))
		subjects := make([]id.ID, 5)
		refuse := map[id.ID]bool{}
		asked, then := 0, 0
		r.meter = meter.New(meter.Config{
			DB: d, Wallet: r.ledger, Events: r.events, Jobs: r.jobs,
			Admit: func(_ context.Context, _ *db.Tx, hours []meter.Due) (
				refused []meter.Refusal, after func(context.Context, *db.Tx) error, err error,
			) {
				asked++
				for _, h := range hours {
					if refuse[h.Subject] {
						refused = append(refused, meter.Refusal{
							Account: h.Account, Subject: h.Subject, Hour: h.Hour, At: h.From, Reason: "limit",
						})
					}
				}
				return refused, func(context.Context, *db.Tx) error { then++; return nil }, nil
			},
		})
		began := c.Now().Truncate(time.Second)
		for i := range subjects {
			subjects[i] = r.ids.New(id.Deployment)
			refuse[subjects[i]] = i == 1 || i == 3
			r.start(meter.Start{
				Subject: subjects[i], Account: account, HourlyPrice: money.Dollars(2), At: began,
				Labels: wallet.Labels{Name: "train"},
			})
		}
		if asked != 0 {
			t.Errorf("asked %d times about first hours", asked)
		}
		for hour := 1; hour <= 2; hour++ {
			c.Advance(meter.Hour)
			r.sweep()
			r.sweep() // a repetition changes nothing
			for i, subject := range subjects {
				want := money.Dollars(int64(2 * (hour + 1)))
				if refuse[subject] {
					want = money.Dollars(2)
				}
				if got := r.cost(subject); got != want {
					t.Errorf("after %d h, subject %d has cost %s, want %s", hour, i, got, want)
				}
			}
		}
		if asked != 2 || then != 2 {
			t.Errorf("asked %d times, and told %d times of the charges, want 2 of each", asked, then)
		}
		w, err := r.ledger.Get(t.Context(), d, account)
		if err != nil || w.Available != money.Dollars(100-2*(3*3+2)) {
			t.Errorf("available = %s, %v", w.Available, err)
		}
		for i, subject := range subjects {
			r.checkRefusal(t, i, subject, refuse[subject], began.Add(meter.Hour))
		}
	})
}

// checkRefusal checks that hour 1 of the subject was refused at that instant, or that none was.
func (r *rig) checkRefusal(t *testing.T, i int, subject id.ID, refused bool, at time.Time) {
	t.Helper()
	var got *meter.Refusal
	r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		got, err = r.meter.BookUntil(ctx, tx, subject, r.clock.Now())
		return err
	})
	switch {
	case !refused && got != nil:
		t.Errorf("subject %d was refused: %+v", i, got)
	case refused && (got == nil || got.Hour != 1 || !got.At.Equal(at) || got.Reason != "limit"):
		t.Errorf("the refusal of subject %d is %+v", i, got)
	}
}
