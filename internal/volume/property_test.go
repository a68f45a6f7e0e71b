package volume_test

import (
	"context"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
	"pgregory.net/rapid"
)

// checks limits how many cases rapid tries: each is a fresh database. A number given on the command
// line wins.
func checks(t *testing.T, n string) {
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	if err := flag.Set("rapid.checks", n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", f.DefValue) })
}

// Whatever a tenant does, whatever goes wrong, and if a step is done twice: once the cloud works
// again, the cloud and the database agree.
func TestStateConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := clock.NewFrozen(dbtest.Start)
		d := dbtest.SQLite(t, c)
		defer func() { _ = d.Close() }()
		agree(rt, newRig(rt, d, c))
	})
}

func TestStateConvergesOnPostgres(t *testing.T) {
	checks(t, "8") // a fresh database each takes its time
	rapid.Check(t, func(rt *rapid.T) {
		c := clock.NewFrozen(dbtest.Start)
		d := dbtest.Postgres(t, c)
		defer func() { _ = d.Close() }()
		agree(rt, newRig(rt, d, c))
	})
}

func agree(t *rapid.T, r *rig) {
	r.open(acc, money.Dollars(100))
	v, err := r.create(acc, "datasets", 100)
	if err != nil {
		t.Fatal(err)
	}
	oneOf := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
	ended := map[id.ID]bool{}
	tenant := func(what string) {
		var err error
		size := int64(0)
		switch what {
		case "attach 1", "attach 2":
			to := target1
			if what == "attach 2" {
				to = target2
			}
			if !ended[to.Deployment] {
				_, err = r.attach(v.ID, to)
			}
		case "detach":
			_, err = r.detach(v.ID)
		case "delete":
			_, err = r.delete(v.ID)
		case "grow":
			size = r.get(v.ID).SizeGB + 100
			_, err = r.update(v.ID, volume.UpdateRequest{SizeGB: &size})
		case "rename":
			name := "datasets-" + oneOf("name", "a", "b", "c")
			_, err = r.update(v.ID, volume.UpdateRequest{Name: &name})
		case "delete all":
			r.ok(func(ctx context.Context, tx *db.Tx) error { return r.volumes.DeleteAll(ctx, tx, acc) })
		}
		if code := apierr.Conflict; err != nil && apierr.CodeOf(err) != code &&
			apierr.CodeOf(err) != apierr.InvalidRequest {
			t.Fatal(err)
		}
	}
	wishes := []string{
		"attach 1",
		"attach 2",
		"attach 1",
		"attach 2",
		"detach",
		"detach",
		"grow",
		"rename",
		"delete",
		"delete all",
	}
	for range rapid.IntRange(1, 25).Draw(t, "steps") {
		switch oneOf("step", "tenant", "tenant", "tenant", "machine", "fault", "time", "meanwhile", "meanwhile") {
		case "tenant":
			tenant(oneOf("wish", wishes...))
		case "machine":
			dep := rapid.SampledFrom([]id.ID{dep1, dep2}).Draw(t, "deployment")
			state := rapid.SampledFrom([]provider.MachineState{provider.MachineProvisioning, provider.MachineReady, provider.MachineReady, provider.MachineReady, provider.MachineOff, provider.MachineGone}).
				Draw(t, "state")
			if ended[dep] {
				break
			}
			r.cloud.set(func(c *cloud) { c.machines[dep] = state })
			if state == provider.MachineGone {
				ended[dep] = true
				r.ok(func(ctx context.Context, tx *db.Tx) error { return r.volumes.DetachAll(ctx, tx, dep) })
			}
		case "fault":
			op := oneOf("op", "create", "volume", "attach", "detach", "delete", "grow", "machine", "none")
			what := trouble{silent, rapid.Bool().Draw(t, "done")}
			if oneOf("kind", "silent", "silent", "rejected") == "rejected" {
				what.err = rejected
			}
			r.cloud.failing(what, op)
		case "time":
			r.pass(time.Duration(rapid.IntRange(0, 1200).Draw(t, "seconds")) * time.Second)
		case "meanwhile":
			then := rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(wishes), "reconcile", "reconcile", "reconcile", "reconcile")), 1, 6).
				Draw(t, "meanwhile")
			r.cloud.set(func(c *cloud) {
				c.meanwhile = func() {
					for _, what := range then {
						if what == "reconcile" { // another worker has taken the job over
							_, _ = r.volumes.Reconcile(t.Context(), v.ID)
						} else {
							tenant(what)
						}
					}
				}
			})
			r.drain()
		}
	}
	r.cloud.set(func(c *cloud) { c.fault, c.meanwhile = always("", trouble{}), nil })
	r.pass(3 * time.Hour)

	got, upstream := r.get(v.ID), r.cloud.volumes[v.ID]
	there := len(r.cloud.volumes) == 1
	switch got.Status {
	case volume.StatusAvailable:
		if !there || upstream.AttachedTo != "" {
			t.Fatalf("available, but upstream %+v", upstream)
		}
	case volume.StatusAttached:
		if !there || upstream.AttachedTo != *got.AttachedTo {
			t.Fatalf("attached to %s, but upstream %+v", *got.AttachedTo, upstream)
		}
	case volume.StatusAttaching:
		if state := r.cloud.machines[*got.AttachedTo]; state != provider.MachineProvisioning &&
			state != provider.MachineOff ||
			upstream.AttachedTo != "" {
			t.Fatalf("attaching for hours to a machine that is %s, upstream %+v", state, upstream)
		}
	case volume.StatusDeleted, volume.StatusFailed:
		if there {
			t.Fatalf("%s, but upstream %+v", got.Status, upstream)
		}
	default:
		t.Fatalf("the volume is %s for hours", got.Status)
	}
	if there && (upstream.SizeGB < got.SizeGB || got.GrowingToGB != nil) {
		t.Fatalf("%+v, upstream %+v", got, upstream)
	}
	if w := r.money(); w.Held != 0 || w.Balance != money.Dollars(100)-got.CostToDate {
		t.Fatalf("%+v, cost %s", w, got.CostToDate)
	}
	if runs := got.Status != volume.StatusDeleted && got.Status != volume.StatusFailed; runs {
		before := got.CostToDate
		r.pass(time.Hour)
		if after := r.get(v.ID).CostToDate; after != before+got.HourlyPrice {
			t.Fatalf("an hour costs %s, expected %s", after-before, got.HourlyPrice)
		}
	}
}
