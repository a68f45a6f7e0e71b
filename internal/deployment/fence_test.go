package deployment_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/job/jobtest"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// between is the marketplace with something that happens once, after a run has read the deployment
// and before it asks for anything.
type between struct {
	*trouble
	happens func()
}

func (b *between) Info() provider.Info {
	if f := b.happens; f != nil {
		b.happens = nil
		f()
	}
	return b.trouble.Info()
}

// Two runs have read the same deployment, which nobody has asked a machine for. One of them asks,
// has no answer, and what it made is not shown yet: the other must not ask.
func TestConcurrentRunsLaunchOnce(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.account(money.Dollars(1000))
		d := r.deploy(a)
		if _, err := r.deployments.Reconcile(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		r.park.set(func() {
			r.park.settle, r.park.afterwards = 2*time.Minute, &provider.Error{Kind: provider.KindUnavailable}
			r.park.machine = func(provider.Machine) (provider.Machine, error) {
				return provider.Machine{}, &provider.Error{Kind: provider.KindNotFound}
			}
		})
		other := &between{trouble: r.park}
		r.asked = other
		late := r.late(provider.ProbeSSH)
		other.happens = func() {
			if _, err := r.deployments.Reconcile(t.Context(), d.ID); err == nil {
				t.Error("the launch was to have no answer")
			}
		}
		if _, err := late.Reconcile(t.Context(), d.ID); err != nil {
			t.Errorf("the run that was second: %v", err)
		}
		if other.happens != nil || r.park.calls["launch"] != 1 {
			t.Fatalf("%d launches", r.park.calls["launch"])
		}
		r.park.set(func() { r.park.afterwards, r.park.machine = nil, nil })
		r.await(a, d.ID, deployment.StatusRunning)
		if n := r.park.calls["launch"]; n != 1 {
			t.Errorf("%d launches in the end", n)
		}
	})
}

// stalled is the marketplace whose answers to Launch take until the test lets them go.
type stalled struct {
	*trouble
	asked, answer chan struct{}
}

func (s *stalled) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	s.asked <- struct{}{}
	<-s.answer
	return s.trouble.Launch(ctx, r)
}

// The clock of the second replica is ahead by more than four leases, and the provider takes its
// time.
func TestReplicaWithAFastClockLeavesAStalledLaunchAlone(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	url := dbtest.PostgresURL(t)
	open := func(c clock.Clock) *db.DB {
		d, err := postgres.Open(t.Context(), url, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	one := newRig(t, open(c), c)
	ahead := clock.NewFrozen(dbtest.Start.Add(130 * time.Second))
	two := &rig{t: t, db: open(ahead), clock: ahead, world: one.world, park: one.park, ids: one.ids}
	slow := &stalled{one.park, make(chan struct{}), make(chan struct{})}
	one.build(slow)
	two.build(one.park)
	one.must(one.catalog.Load(t.Context()))
	two.must(two.catalog.Load(t.Context()))

	a := one.account(money.Dollars(1000))
	d := one.deploy(a)
	var wg sync.WaitGroup
	wg.Go(one.drain)
	<-slow.asked
	two.drain()
	if n := one.park.calls["launch"]; n != 0 {
		t.Errorf("the second replica launched, too, %d times", n)
	}
	close(slow.answer)
	wg.Wait()
	one.await(a, d.ID, deployment.StatusRunning)
	if n := one.park.calls["launch"]; n != 1 {
		t.Errorf("%d launches", n)
	}
}

// A run whose job another has taken asks the provider for nothing and changes nothing, whatever it
// was about to do.
func TestRunThatLostItsJobDoesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(t *testing.T, r *rig, a id.ID) id.ID
		after deployment.Status
		call  string
	}{
		"launch": {func(_ *testing.T, r *rig, a id.ID) id.ID {
			d := r.deploy(a).ID
			_, err := r.deployments.Reconcile(r.t.Context(), d)
			r.must(err)
			return d
		}, deployment.StatusRunning, "launch"},
		"terminate": {func(_ *testing.T, r *rig, a id.ID) id.ID {
			d := r.running(a).ID
			r.clock.Advance(time.Hour)
			_, _, err := r.terminate(a, d, false)
			r.must(err)
			return d
		}, deployment.StatusTerminated, "terminate"},
		"reboot": {func(_ *testing.T, r *rig, a id.ID) id.ID {
			d := r.running(a).ID
			r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.Reboot(ctx, tx, a, d)
				return err
			}))
			return d
		}, deployment.StatusRunning, "reboot"},
		"a planned end": {func(_ *testing.T, r *rig, a id.ID) id.ID {
			q := request(r.t)
			at := r.clock.Now().Add(2 * time.Hour)
			q.AutoTerminateAt = &at
			d, err := r.create(a, q)
			r.must(err)
			r.await(a, d.ID, deployment.StatusRunning)
			r.clock.AdvanceTo(at)
			return d.ID
		}, deployment.StatusTerminated, "terminate"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a := r.account(money.Dollars(1000))
				d := c.begin(t, r, a)
				before, calls := r.get(a, d), maps.Clone(r.park.calls)
				jobtest.Lose(
					t,
					r.db,
					r.clock,
					map[job.Kind]job.Handler{deployment.KindReconcile: r.deployments.Reconcile},
				)
				if after := r.get(a, d); after.Status != before.Status || r.park.calls[c.call] != calls[c.call] {
					t.Fatalf(
						"%s became %s, and the provider was asked: before %v, then %v",
						before.Status,
						after.Status,
						calls,
						r.park.calls,
					)
				}
				r.pass(2 * time.Minute)
				if after := r.get(a, d); after.Status != c.after || r.park.calls[c.call] == calls[c.call] ||
					r.park.calls["launch"] != 1 {
					t.Errorf("whoever took the job comes to %s, and %v", after.Status, r.park.calls)
				}
				r.audit()
			})
		})
	}
}
