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

// Two runs have read the same deployment, whose machine was not launched yet. One of them launches,
// gets no answer, and its machine is not visible yet: the other must not launch.
func TestConcurrentRunsLaunchOnce(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.deploy(a)
		if _, err := r.deployments.Reconcile(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		r.fake.set(func() {
			r.fake.settleTime, r.fake.answerErr = 2*time.Minute, &provider.Error{Kind: provider.KindUnavailable}
			r.fake.changeMachine = func(provider.Machine) (provider.Machine, error) {
				return provider.Machine{}, &provider.Error{Kind: provider.KindNotFound}
			}
		})
		// After the late run has read the deployment, and before it launches.
		r.fake.set(func() {
			r.fake.nextInfo = func() {
				if _, err := r.deployments.Reconcile(t.Context(), d.ID); err == nil {
					t.Error("the first run had an answer")
				}
			}
		})
		if _, err := r.lateWorker(provider.ProbeSSH).Reconcile(t.Context(), d.ID); err != nil {
			t.Errorf("the second run: %v", err)
		}
		if r.fake.nextInfo != nil || r.fake.calls["launch"] != 1 {
			t.Fatalf("%d launches, want 1", r.fake.calls["launch"])
		}
		r.fake.set(func() { r.fake.answerErr, r.fake.changeMachine = nil, nil })
		r.await(a, d.ID, deployment.StatusRunning)
		if n := r.fake.calls["launch"]; n != 1 {
			t.Errorf("%d launches in the end, want 1", n)
		}
	})
}

// The clock of the second replica is ahead by more than four leases, and the provider answers
// slowly.
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
	one := newKit(t, open(c), c)
	ahead := clock.NewFrozen(dbtest.Start.Add(130 * time.Second))
	two := &testKit{t: t, db: open(ahead), clock: ahead, world: one.world, fake: one.fake, ids: one.ids}
	asked, answer := make(chan struct{}), make(chan struct{})
	one.fake.nextLaunch = func() {
		asked <- struct{}{}
		<-answer
	}
	one.build(one.fake)
	two.build(one.fake)
	one.must(one.catalog.Load(t.Context()))
	two.must(two.catalog.Load(t.Context()))

	a := one.account(money.Dollars(1000))
	d := one.deploy(a)
	var wg sync.WaitGroup
	wg.Go(one.drain)
	<-asked
	two.drain()
	if n := one.fake.calls["launch"]; n != 0 {
		t.Errorf("the second replica launched %d times, want 0", n)
	}
	close(answer)
	wg.Wait()
	one.await(a, d.ID, deployment.StatusRunning)
	if n := one.fake.calls["launch"]; n != 1 {
		t.Errorf("%d launches, want 1", n)
	}
}

// A run whose job another run has taken asks the provider for nothing and changes nothing.
func TestRunThatLostItsJobDoesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(t *testing.T, r *testKit, a id.ID) id.ID
		after deployment.Status
		call  string
	}{
		"launch": {func(_ *testing.T, r *testKit, a id.ID) id.ID {
			d := r.deploy(a).ID
			_, err := r.deployments.Reconcile(r.t.Context(), d)
			r.must(err)
			return d
		}, deployment.StatusRunning, "launch"},
		"terminate": {func(_ *testing.T, r *testKit, a id.ID) id.ID {
			d := r.running(a).ID
			r.clock.Advance(time.Hour)
			_, _, err := r.terminate(a, d, false)
			r.must(err)
			return d
		}, deployment.StatusTerminated, "terminate"},
		"reboot": {func(_ *testing.T, r *testKit, a id.ID) id.ID {
			d := r.running(a).ID
			r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.Reboot(ctx, tx, a, d)
				return err
			}))
			return d
		}, deployment.StatusRunning, "reboot"},
		"auto-terminate": {func(_ *testing.T, r *testKit, a id.ID) id.ID {
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
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(1000))
				d := c.begin(t, r, a)
				before, calls := r.get(a, d), maps.Clone(r.fake.calls)
				jobtest.Lose(
					t,
					r.db,
					r.clock,
					map[job.Kind]job.Handler{deployment.KindReconcile: r.deployments.Reconcile},
				)
				if after := r.get(a, d); after.Status != before.Status || r.fake.calls[c.call] != calls[c.call] {
					t.Fatalf(
						"%s became %s, and the provider was asked: before %v, then %v",
						before.Status,
						after.Status,
						calls,
						r.fake.calls,
					)
				}
				r.pass(2 * time.Minute)
				if after := r.get(a, d); after.Status != c.after || r.fake.calls[c.call] == calls[c.call] ||
					r.fake.calls["launch"] != 1 {
					t.Errorf(
						"after the run that has the job: status %s, want %s; calls %v",
						after.Status,
						c.after,
						r.fake.calls,
					)
				}
				r.checkLedger()
			})
		})
	}
}
