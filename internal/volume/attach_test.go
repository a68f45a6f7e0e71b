package volume_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

func TestAttach_UnknownMountPath(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		r.machine(dep1, provider.MachineReady)
		r.cloud.set(func(c *cloud) {
			kept := c.volumes[v]
			kept.MountPath = ""
			c.volumes[v] = kept
		})
		r.done(r.attach(v, target1))
		r.Pass(2 * time.Minute)
		if got := r.wantStatus(v, volume.StatusAttached); *got.AttachedTo != dep1 || got.MountPath != nil {
			t.Errorf("the volume is %+v, want it attached to %s without a mount path", got, dep1)
		}
	})
}

// Adapters answer from lists of the last seconds, and each replica has its own. One that still
// remembers an attachment which another has ended does not take that for the new one.
func TestAttach_AnotherReplicaDetached(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.attached()
		var before provider.Volume
		r.cloud.set(func(c *cloud) { before = c.view(v) })
		r.done(r.detach(v))
		r.Drain()
		r.wantStatus(v, volume.StatusAvailable)
		r.cloud.set(func(c *cloud) { c.remembered = &before })
		r.done(r.attach(v, target1))
		r.Pass(2 * time.Minute)
		r.wantStatus(v, volume.StatusAttached)
		var holder id.ID
		if r.cloud.set(func(c *cloud) { holder = c.volumes[v].AttachedTo }); holder != dep1 {
			t.Errorf("the volume is said to be attached, and the cloud has it at %q", holder)
		}
	})
}

func TestAttach_Refused(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		elsewhere := target1
		elsewhere.Region = "oslo-1"
		_, err := r.attach(v, elsewhere)
		enginetest.WantError(t, err, apierr.InvalidRequest, "dallas-usa-5", "oslo-1")
		r.done(r.attach(v, target1))
		_, err = r.attach(v, target2)
		enginetest.WantError(t, err, apierr.Conflict, string(dep1))
	})
}

func TestFailedAttachEndsAvailable(t *testing.T) {
	for name, c := range map[string]struct {
		machine provider.MachineState // "" if there is none
		answer  trouble               // of the attach
		after   time.Duration
		reason  string
	}{
		"machine ended":          {machine: provider.MachineTerminating, after: 45 * time.Minute, reason: "has ended"},
		"machine failed":         {machine: provider.MachineFailed, after: 45 * time.Minute, reason: "has ended"},
		"no machine":             {after: 45 * time.Minute, reason: "never became available"},
		"refused":                {provider.MachineReady, trouble{rejected, false}, time.Minute, "Computer says no."},
		"refused after attached": {provider.MachineReady, trouble{rejected, true}, time.Minute, "Computer says no."},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				v := r.available()
				r.cloud.failing(c.answer, "attach")
				if c.machine != "" {
					r.machine(dep1, c.machine)
				}
				r.done(r.attach(v, target1))
				r.Pass(c.after)
				got := r.wantStatus(v, volume.StatusAvailable)
				if got.AttachedTo != nil || got.StatusReason == nil || !strings.Contains(*got.StatusReason, c.reason) ||
					r.cloud.volumes[v].AttachedTo != "" {
					t.Fatalf("the volume is %+v, upstream %+v; want it detached, with the reason %q",
						got, r.cloud.volumes[v], c.reason)
				}
				r.cloud.failing(trouble{})
				r.machine(dep2, provider.MachineReady)
				r.done(r.attach(v, target2))
				r.Drain()
				if got := r.wantStatus(v, volume.StatusAttached); got.StatusReason != nil {
					t.Errorf("the old reason stays: %q", *got.StatusReason)
				}
			})
		})
	}
}

func TestDetachAll(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		r.machine(dep1, provider.MachineReady)
		other := r.done(r.create(acc, "models", 50)).ID
		r.Drain()
		for _, x := range []id.ID{v, other} {
			r.done(r.attach(x, target1))
		}
		r.machine(dep1, provider.MachineProvisioning)
		of, err := r.volumes.AttachedTo(t.Context(), r.DB, []id.ID{dep1, dep2})
		if want := []id.ID{v, other}; err != nil || len(of) != 1 || !slices.Equal(of[dep1], want) {
			t.Fatalf("AttachedTo = %v, %v; want %v of %s", of, err, want, dep1)
		}
		_, err = r.delete(v)
		enginetest.WantError(t, err, apierr.Conflict, "dep_1", "Detach")
		r.detachAll(dep1)
		r.detachAll(dep1)
		r.Drain()
		r.wantStatus(v, volume.StatusAvailable)
		r.wantStatus(other, volume.StatusAvailable)
	})
}

func TestParallelAttachesGiveOneDeploymentTheVolume(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		won := race(t, []id.ID{"dep_a", "dep_b", "dep_c", "dep_d", "dep_e", "dep_f"}, func(deployment id.ID) error {
			to := target1
			to.Deployment = deployment
			_, err := r.attach(v, to)
			return err
		})
		if won != 1 {
			t.Fatalf("%d deployments have one volume, want 1", won)
		}
	})
}

// A step of a run that another worker has overtaken is corrected.
func TestLateStepIsCorrected(t *testing.T) {
	attachTo := func(deployment id.ID) func(r *testKit, v id.ID) {
		return func(r *testKit, v id.ID) {
			to := target1
			to.Deployment = deployment
			_, _ = r.attach(v, to)
		}
	}
	reattach := attachTo(dep2)
	reconcile := func(r *testKit, v id.ID) { _, _ = r.volumes.Reconcile(r.Context(), v) }
	grow := func(r *testKit, v id.ID) { _, _ = r.grow(v, 200) }
	type acts []func(r *testKit, v id.ID)
	for name, c := range map[string]struct {
		next acts // after another worker has attached and detached the volume
		want volume.Status
		at   id.ID
	}{
		"available":                   {nil, volume.StatusAvailable, ""},
		"attached elsewhere":          {acts{reattach}, volume.StatusAttached, dep2},
		"waits for another machine":   {acts{attachTo("dep_3")}, volume.StatusAttaching, ""},
		"attached already":            {acts{reattach, reconcile}, volume.StatusAttached, dep2},
		"available, and grows":        {acts{grow}, volume.StatusAvailable, ""},
		"attached already, and grows": {acts{reattach, reconcile, grow}, volume.StatusAttached, dep2},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				v := r.available()
				r.machine(dep1, provider.MachineReady)
				r.machine(dep2, provider.MachineReady)
				r.machine("dep_3", provider.MachineProvisioning)
				r.done(r.attach(v, target1))
				overtaken := false
				r.cloud.set(func(cl *cloud) {
					cl.meanwhile = func() {
						overtaken = true
						r.done(r.detach(v))
						reconcile(r, v)
						for _, act := range c.next {
							act(r, v)
						}
					}
				})
				r.Pass(time.Minute)
				got, upstream := r.wantStatus(v, c.want), r.cloud.volumes[v]
				if got.GrowingToGB != nil || got.SizeGB != upstream.SizeGB {
					t.Errorf("the volume is %+v, upstream %+v; want one size", got, upstream)
				}
				if upstream.AttachedTo != c.at || !overtaken {
					t.Fatalf("attached to %q upstream, want %q (overtaken: %t)", upstream.AttachedTo, c.at, overtaken)
				}
			})
		})
	}
}
