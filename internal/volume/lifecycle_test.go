package volume_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/google/go-cmp/cmp"
)

const price = money.Micros(11_000) // of available's volume for an hour

func TestLifecycleWithHourlyCharges(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(10))
		v := r.createdSlowly()
		r.attachedOnceReady(v)
		r.Pass(2 * time.Hour) // three hours have begun
		r.done(r.detach(v))
		r.Drain()
		if got := r.wantStatus(v, volume.StatusAvailable); got.AttachedTo != nil || got.CostToDate != 3*price {
			t.Fatalf("the volume is %+v, want it detached with a cost of three hours", got)
		}
		if got := r.done(r.delete(v)); got.Status != volume.StatusDeleting {
			t.Fatalf("Delete = %+v, want it deleting", got)
		}
		r.Pass(5 * time.Hour)
		if got := r.wantStatus(v, volume.StatusDeleted); got.CostToDate != 3*price || got.DeletedAt == nil {
			t.Fatalf("the volume is %+v, want the cost of three hours and deletedAt", got)
		}
		r.wantUpstream(0)
		r.wantMoney(money.Dollars(10)-3*price, 0)
		if all, total := r.list(db.NewestFirst, enginetest.FirstPage); total != 0 || all == nil {
			t.Fatalf("List = %v of %d, want an empty list", all, total)
		}
		want := []string{
			"created", "available", "charged", "attaching", "attached", "charged", "charged", "detaching",
			"available", "deleting", "deleted",
		}
		if diff := cmp.Diff(want, r.EventTypes(acc, v)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// createdSlowly creates a volume whose hour is held, and then charged.
func (r *testKit) createdSlowly() id.ID {
	r.Helper()
	r.cloud.set(func(c *cloud) { c.making = true })
	v := r.done(r.create(acc, "datasets", 100))
	if v.Status != volume.StatusCreating || v.HourlyPrice != price || v.HourlyPricePerGB != 110 || v.CostToDate != 0 ||
		v.AttachedTo != nil {
		r.Fatalf("Create = %+v", v)
	}
	r.wantMoney(money.Dollars(10), price)
	r.Pass(time.Minute)
	r.wantStatus(v.ID, volume.StatusCreating)
	r.cloud.set(func(c *cloud) { c.making = false })
	r.Pass(time.Minute)
	r.wantStatus(v.ID, volume.StatusAvailable)
	r.wantMoney(money.Dollars(10)-price, 0)
	return v.ID
}

// attachedOnceReady attaches the volume to a machine that is not ready yet.
func (r *testKit) attachedOnceReady(v id.ID) {
	r.Helper()
	r.machine(dep1, provider.MachineProvisioning)
	r.done(r.attach(v, target1))
	r.Pass(10 * time.Minute)
	if got := r.wantStatus(v, volume.StatusAttaching); *got.AttachedTo != dep1 || got.MountPath != nil {
		r.Fatalf("while it is attached, the volume is %+v", got)
	}
	r.machine(dep1, provider.MachineReady)
	r.Pass(2 * time.Minute)
	if got := r.wantStatus(v, volume.StatusAttached); *got.AttachedTo != dep1 || *got.MountPath != "/mnt/datasets" {
		r.Fatalf("once it is attached, the volume is %+v", got)
	}
}

func TestVolumeJSON(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		body, err := json.Marshal(r.get(r.attached()))
		r.Must(err)
		for _, want := range []string{`"attachedTo":"dep_1"`, `"mountPath":"/mnt/datasets"`, `"hourlyPrice":0.011`,
			`"growingToGb":null`, `"deletedAt":null`} {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s lacks %s", body, want)
			}
		}
	})
}

func TestRepeatedRequestsChangeNothing(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.attached()
		if again := r.done(r.attach(v, target1)); again.Status != volume.StatusAttached {
			t.Errorf("Attach again = %+v, want it attached", again)
		}
		r.done(r.detach(v))
		r.Drain()
		if again := r.done(r.detach(v)); again.Status != volume.StatusAvailable {
			t.Errorf("Detach again = %+v, want it available", again)
		}
		r.done(r.delete(v))
		r.Drain()
		if again := r.done(r.delete(v)); again.Status != volume.StatusDeleted {
			t.Errorf("Delete again = %+v, want it deleted", again)
		}
	})
}

// Each operation fails twice, before or after its effect, and then works.
func TestLostAnswersMakeNoSecondVolume(t *testing.T) {
	for _, op := range []string{"create", "volume", "attach", "detach", "grow", "delete", "machine"} {
		for name, done := range map[string]bool{"before its effect": false, "after its effect": true} {
			t.Run(op+" "+name, func(t *testing.T) {
				each(t, func(t *testing.T, r *testKit) {
					r.open(acc, money.Dollars(10))
					r.machine(dep1, provider.MachineReady)
					r.cloud.fault = func(o string) trouble {
						if o == op && r.cloud.calls[o]%3 != 0 {
							return trouble{silent, done}
						}
						return trouble{}
					}
					v := r.done(r.create(acc, "datasets", 100)).ID
					settle := func(want volume.Status, upstream int) {
						t.Helper()
						r.Pass(3 * time.Minute)
						r.wantStatus(v, want)
						r.wantUpstream(upstream)
					}
					settle(volume.StatusAvailable, 1)
					r.done(r.attach(v, target1))
					settle(volume.StatusAttached, 1)
					r.done(r.grow(v, 200))
					settle(volume.StatusAttached, 1)
					if got := r.get(v); got.SizeGB != 200 || got.GrowingToGB != nil {
						t.Fatalf("the volume is %+v, want 200 GB", got)
					}
					r.done(r.detach(v))
					settle(volume.StatusAvailable, 1)
					r.done(r.delete(v))
					settle(volume.StatusDeleted, 0)
					r.wantMoney(money.Dollars(10)-price, 0)
				})
			})
		}
	}
}
