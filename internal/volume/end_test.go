package volume_test

import (
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

func TestDelete_BeforeItIsAvailable(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(10))
		r.cloud.set(func(c *cloud) { c.making = true })
		v := r.done(r.create(acc, "datasets", 100)).ID
		r.Drain()
		r.done(r.delete(v))
		r.Drain()
		r.wantStatus(v, volume.StatusDeleted)
		r.cloud.set(func(c *cloud) { c.volumes[v] = provider.Volume{Reference: v} })
		r.Pass(2 * time.Hour)
		r.wantUpstream(0)
		r.wantMoney(money.Dollars(10), 0)
	})
}

func TestLostVolumeCostsNoMore(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.attached()
		r.cloud.set(func(c *cloud) { delete(c.volumes, v) })
		r.done(r.detach(v))
		r.Pass(10 * time.Minute)
		r.wantStatus(v, volume.StatusDetaching)
		r.Pass(20 * time.Minute)
		got := r.wantStatus(v, volume.StatusFailed)
		if got.AttachedTo != nil || got.CostToDate >= price || !slices.Contains(r.EventTypes(acc, v), "refunded") {
			t.Fatalf("the volume is %+v, want it detached and refunded", got)
		}
		if n := r.cloud.calls["delete"]; n != 0 {
			t.Errorf("a lost volume was deleted upstream, %d times", n)
		}
		r.Pass(5 * time.Hour)
		if after := r.get(v).CostToDate; after != got.CostToDate {
			t.Errorf("the cost of a lost volume rose from %s to %s", got.CostToDate, after)
		}
	})
}

func TestDeleteAll(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.attached()
		r.cloud.set(func(c *cloud) { c.making = true })
		r.done(r.create(acc, "not-yet", 10))
		r.Drain()
		left := func() int {
			f := volume.Filter{Order: db.NewestFirst}
			all, _, err := r.volumes.List(t.Context(), r.DB, acc, f, enginetest.FirstPage)
			r.Must(err)
			return len(all)
		}
		if got := left(); got != 2 {
			t.Fatalf("the account has %d volumes, want 2", got)
		}
		r.Clock.Advance(time.Minute)
		r.deleteAll()
		r.deleteAll()
		r.Pass(time.Minute)
		if got := r.wantStatus(v, volume.StatusDeleted); got.CostToDate != price {
			t.Fatalf("the cost is %s, want %s", got.CostToDate, price)
		}
		r.wantUpstream(0)
		if got := left(); got != 0 {
			t.Fatalf("the account has %d volumes after all were deleted, want 0", got)
		}
		r.Pass(2 * time.Hour)
		r.wantMoney(money.Dollars(10)-price, 0)
	})
}
