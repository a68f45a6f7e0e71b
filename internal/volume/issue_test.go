package volume_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

// watch compares the volumes with the cloud's, and does what follows at once.
func (r *testKit) watch() {
	r.Helper()
	_, err := r.volumes.Watch(r.Context(), "provider/voltage-park")
	r.Must(err)
	r.Drain()
}

// orphan puts a volume into the cloud that no row owns.
func (r *testKit) orphan(key id.ID, v provider.Volume) {
	r.cloud.set(func(c *cloud) { c.volumes[key] = v })
}

func TestWatch_OrphanedVolumesAreKept(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		r.orphan("vol_nobodys", provider.Volume{ID: "up-1", Reference: "vol_nobodys", SizeGB: 10})
		r.orphan("somebodys", provider.Volume{ID: "up-2", SizeGB: 10})
		for range 3 {
			r.Clock.Advance(24 * time.Hour)
			r.watch()
		}
		all := r.AllIssues()
		if len(all) != 2 {
			t.Fatalf("%d issues, want 2: %+v", len(all), all)
		}
		for _, i := range all {
			if i.Kind != issue.OrphanedVolume || i.State != issue.StateOpen || i.EndAfter != nil ||
				i.Endable != (i.Reference != nil) {
				t.Errorf("the issue is %+v, want it open, and endable only with a reference", i)
			}
		}
		r.wantUpstream(3)
		r.wantStatus(v, volume.StatusAvailable)
	})
}

func TestWatch_DeletedVolumeIsDeletedAgain(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		r.done(r.delete(v))
		r.watch()
		r.Clock.Advance(48 * time.Hour)
		r.watch()
		r.wantStatus(v, volume.StatusDeleted)
		if all := r.AllIssues(); len(all) != 0 {
			t.Fatalf("issues of a deleted volume: %+v", all)
		}
		r.orphan(v, provider.Volume{ID: "back", Reference: v, SizeGB: 100})
		r.watch()
		r.wantUpstream(0)
		got := r.onlyIssue()
		if got.VolumeID == nil || *got.VolumeID != v || got.Endable {
			t.Fatalf("the issue is %+v, want one of %s that cannot be ended", got, v)
		}
		r.Clock.Advance(6 * time.Minute)
		r.watch()
		if got := r.onlyIssue(); got.State != issue.StateEnded {
			t.Fatalf("the issue is %s, want it ended", got.State)
		}
		// A list that is older than the end of the volume raises no issue.
		r.cloud.set(func(c *cloud) { c.listed = []provider.Volume{{ID: "stale", Reference: v}} })
		r.watch()
		r.onlyIssue()
	})
}

// onlyIssue returns the one issue.
func (r *testKit) onlyIssue() issue.Issue {
	r.Helper()
	all := r.AllIssues()
	if len(all) != 1 {
		r.Fatalf("%d issues, want 1: %+v", len(all), all)
	}
	return all[0]
}

// A volume that its provider did not know for a while holds a tenant's data when it is back,
// whatever the tenant was told.
func TestWatch_LostVolumeThatReappearsIsKept(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.attached()
		var kept provider.Volume
		r.cloud.set(func(c *cloud) { kept = c.volumes[v]; delete(c.volumes, v) })
		r.done(r.detach(v))
		r.Pass(time.Hour)
		r.wantStatus(v, volume.StatusFailed)
		r.orphan(v, kept)
		r.watch()
		r.Clock.Advance(24 * time.Hour)
		r.watch()
		r.wantUpstream(1)
		if got := r.onlyIssue(); got.State != issue.StateOpen || !got.Endable || got.VolumeID == nil {
			t.Fatalf("the issue is %+v, want it open and endable", got)
		}
	})
}

// A volume costs the operator what its provider asked when it was created, for its size, until the
// provider has deleted it.
func TestVolumeCost(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		r.cloud.set(func(c *cloud) { c.perGB = 900 }) // for new volumes
		r.sync()
		r.Clock.Advance(30 * time.Minute)
		r.done(r.grow(v, 200))
		r.Drain()
		r.Clock.Advance(30 * time.Minute)
		r.done(r.delete(v))
		r.Drain()
		r.Clock.Advance(24 * time.Hour)
		now := r.Clock.Now()
		rows, err := r.Meter.Margins(t.Context(), r.DB, now.Add(-48*time.Hour), now, now, wallet.ByProvider)
		r.Must(err)
		// Half an hour of 100 GB and one of 200, at 100 micro-dollars per GB. The clock may be
		// within a second.
		want := money.Micros(100*100/2 + 200*100/2)
		if len(rows) != 1 || rows[0].Cost < want || rows[0].Cost > want+10 || rows[0].Seconds < 3600 ||
			rows[0].Seconds > 3602 {
			t.Fatalf("Margins = %+v, want the cost %s of an hour", rows, want)
		}
	})
}
