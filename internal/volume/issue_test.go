package volume_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

// watch compares the volumes and does what follows at once.
func (r *rig) watch() {
	r.t.Helper()
	if _, err := r.volumes.Watch(r.t.Context(), "provider/voltage-park"); err != nil {
		r.t.Fatal(err)
	}
	if err := r.runner.Drain(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// found are all issues, oldest first.
func (r *rig) found() []issue.Issue {
	r.t.Helper()
	all, _, err := r.issues.List(r.t.Context(), r.db, issue.Filter{}, db.Page{Number: 1, Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

func TestWatch_OrphanedVolumesAreKept(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.open(acc, money.Dollars(1000))
		v, err := r.create(acc, "data", 100)
		if err != nil {
			t.Fatal(err)
		}
		r.watch()
		r.cloud.set(func(c *cloud) {
			c.volumes["vol_nobodys"] = provider.Volume{ID: "up-1", Reference: "vol_nobodys", SizeGB: 10}
			c.volumes["somebodys"] = provider.Volume{ID: "up-2", SizeGB: 10}
		})
		for range 3 {
			c.Advance(24 * time.Hour)
			r.watch()
		}
		all := r.found()
		if len(all) != 2 {
			t.Fatalf("%+v", all)
		}
		for _, f := range all {
			if f.Kind != issue.OrphanedVolume || f.State != issue.StateOpen || f.EndAfter != nil ||
				f.Endable != (f.Reference != nil) {
				t.Errorf("%+v", f)
			}
		}
		if len(r.cloud.volumes) != 3 || r.get(v.ID).Status != "available" {
			t.Errorf("%v", r.cloud.volumes)
		}
	})
}

func TestWatch_DeletedVolumeIsDeletedAgain(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.open(acc, money.Dollars(1000))
		v, err := r.create(acc, "data", 100)
		if err != nil {
			t.Fatal(err)
		}
		r.watch()
		if _, err := r.delete(v.ID); err != nil {
			t.Fatal(err)
		}
		r.watch()
		c.Advance(48 * time.Hour)
		r.watch()
		if got := r.found(); len(got) != 0 || r.get(v.ID).Status != "deleted" {
			t.Fatalf("%+v %+v", got, r.get(v.ID))
		}
		r.cloud.set(func(c *cloud) { c.volumes[v.ID] = provider.Volume{ID: "back", Reference: v.ID, SizeGB: 100} })
		r.watch()
		if len(r.cloud.volumes) != 0 {
			t.Fatal("it was not deleted again")
		}
		got := r.found()
		if len(got) != 1 || got[0].VolumeID == nil || *got[0].VolumeID != v.ID || got[0].Endable {
			t.Fatalf("%+v", got)
		}
		c.Advance(6 * time.Minute)
		r.watch()
		if got = r.found(); len(got) != 1 || got[0].State != issue.StateEnded {
			t.Fatalf("%+v", got)
		}
		// A list that is older than the end of the volume finds nothing.
		r.cloud.set(func(c *cloud) { c.listed = []provider.Volume{{ID: "stale", Reference: v.ID}} })
		r.watch()
		if n := len(r.found()); n != 1 {
			t.Errorf("%d issues", n)
		}
	})
}

// What a provider did not know for a while is a tenant's data when it is back, whatever we told the
// tenant.
func TestWatch_LostVolumeThatReappearsIsKept(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.open(acc, money.Dollars(1000))
		v, err := r.create(acc, "data", 100)
		if err != nil {
			t.Fatal(err)
		}
		r.watch()
		r.cloud.set(func(c *cloud) { c.machines[dep1] = provider.MachineReady })
		if _, err := r.attach(v.ID, target1); err != nil {
			t.Fatal(err)
		}
		r.watch()
		kept := provider.Volume{}
		r.cloud.set(func(c *cloud) { kept = c.volumes[v.ID]; delete(c.volumes, v.ID) })
		if _, err := r.detach(v.ID); err != nil {
			t.Fatal(err)
		}
		if err := r.runner.Travel(t.Context(), c, c.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if x := r.get(v.ID); x.Status != "failed" {
			t.Fatalf("the test's premise does not hold: %+v", x)
		}
		r.cloud.set(func(c *cloud) { c.volumes[v.ID] = kept })
		r.watch()
		c.Advance(24 * time.Hour)
		r.watch()
		if got := r.found(); len(r.cloud.volumes) != 1 || len(got) != 1 || got[0].State != issue.StateOpen ||
			!got[0].Endable ||
			got[0].VolumeID == nil {
			t.Fatalf("%+v", got)
		}
	})
}

// A volume costs us what its provider asked when it was made, for what it has, until the provider
// has deleted it.
func TestVolumeCost(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.open(acc, money.Dollars(1000))
		v, err := r.create(acc, "data", 100)
		if err != nil {
			t.Fatal(err)
		}
		r.watch()
		r.cloud.set(func(c *cloud) { c.perGB = 900 }) // later prices are not its own
		r.sync()
		c.Advance(30 * time.Minute)
		size := int64(200)
		if _, err := r.update(v.ID, volume.UpdateRequest{SizeGB: &size}); err != nil {
			t.Fatal(err)
		}
		r.watch()
		c.Advance(30 * time.Minute)
		if _, err := r.delete(v.ID); err != nil {
			t.Fatal(err)
		}
		r.watch()
		c.Advance(24 * time.Hour)
		m := meter.New(
			meter.Config{DB: d, Wallet: r.wallet, Events: r.events, Jobs: job.NewQueue(id.NewMaker(c, rand.Reader))},
		)
		rows, err := m.Margins(t.Context(), d, c.Now().Add(-48*time.Hour), c.Now(), c.Now(), wallet.ByProvider)
		if err != nil {
			t.Fatal(err)
		}
		// Half an hour of 100 GB and one of 200, at 100 micro-dollars for a GB; the clock may stand
		// within a second.
		want := money.Micros(100*100/2 + 200*100/2)
		if len(rows) != 1 || rows[0].Cost < want || rows[0].Cost > want+10 || rows[0].Seconds < 3600 ||
			rows[0].Seconds > 3602 {
			t.Fatalf("%+v, want %s", rows, want)
		}
	})
}
