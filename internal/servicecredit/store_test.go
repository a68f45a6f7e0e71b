package servicecredit

import (
	"context"
	"maps"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// The wallet is locked while this is read, so no more is read than the hours that are asked for.
func TestCreditedBeforeIsOfTheHoursAskedFor(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		const of id.ID = "dep_a"
		put := func(credit id.ID, state State, first, last int64) {
			t.Helper()
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				c := OperatorServiceCredit{State: state}
				c.ID, c.DeploymentID, c.From, c.To = credit, of, tx.Now, tx.Now
				if _, err := insert(ctx, tx, c); err != nil {
					return err
				}
				var hours []CreditedHour
				for h := first; h <= last; h++ {
					hours = append(hours, CreditedHour{Hour: h, From: tx.Now, Amount: money.Micros(h)})
				}
				return putHours(ctx, tx, credit, hours)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		put("svc_a", Approved, 1, 9)
		put("svc_b", Approved, 4, 12)
		put("svc_c", Proposed, 1, 12)
		got, err := creditedBefore(t.Context(), d, of, 3, 4)
		if want := map[int64]money.Micros{3: 3, 4: 8}; err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	})
}
