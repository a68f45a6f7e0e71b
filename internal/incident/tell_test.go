package incident

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/google/go-cmp/cmp"
)

// A provider that was removed has not recovered: the accounts that were told of its outage are told
// nothing more. The service has no queue, so that enqueueing would panic.
func TestRemovedProviderIsNotToldAsRecovered(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if err := insertTold(ctx, tx, "inc_1", []deployment.AccountMachines{{Account: "acc_1"}}); err != nil {
				return err
			}
			if err := (&Service{}).tell(ctx, tx, []Incident{
				{ID: "inc_1", Kind: NoAnswer, EndedAt: &tx.Now, removed: true},
			}); err != nil {
				return err
			}
			told, err := takeTold(ctx, tx, "inc_1", batch)
			if len(told) != 0 {
				t.Errorf("still to be told: %v", told)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// An incident that lasts is among the recent ones, however many are newer.
func TestLastingIncidentComesFirst(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		var got []id.ID
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			ended := tx.Now.Add(-time.Minute)
			all := []Incident{{ID: "inc_open", Provider: "p", Kind: Paused, StartedAt: tx.Now.Add(-time.Hour)}}
			for range maxRecent {
				n := id.ID("inc_" + string(rune('A'+len(all)/26)) + string(rune('a'+len(all)%26)))
				all = append(all, Incident{ID: n, Provider: "q", Kind: NoAnswer, StartedAt: ended, EndedAt: &ended})
			}
			if err := incidents.Insert(ctx, tx, all...); err != nil {
				return err
			}
			recent, err := recent(ctx, tx, tx.Now.Add(-time.Hour))
			for _, i := range recent {
				got = append(got, i.ID)
			}
			return err
		})
		if err != nil || len(got) != maxRecent {
			t.Fatalf("%d incidents, %v", len(got), err)
		}
		if diff := cmp.Diff(id.ID("inc_open"), got[0]); diff != "" {
			t.Errorf("the first (-want +got):\n%s", diff)
		}
	})
}
