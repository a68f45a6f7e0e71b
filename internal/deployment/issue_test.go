package deployment_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
)

func (r *testKit) fault(f sim.Fault) {
	r.t.Helper()
	_, err := r.world.AddFault(r.t.Context(), f)
	r.must(err)
}

func TestWatch_OrphanedMachines(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.fault(sim.Fault{Kind: sim.FaultOrphan, Provider: slug})
		r.fault(sim.Fault{Kind: sim.FaultOrphan, Provider: slug, Value: "dep_nobodys"})
		r.pass(2 * time.Minute)
		if all := r.allIssues(); len(all) != 1 || all[0].Kind != issue.OrphanedMachine ||
			*all[0].Reference != "dep_nobodys" ||
			all[0].DeploymentID != nil {
			t.Fatalf("a machine that is minutes old and has no reference may get one yet: %+v", all)
		}
		r.pass(5 * time.Minute)
		all := r.allIssues()
		if len(all) != 2 || all[1].Kind != issue.UnmanagedMachine || all[1].Reference != nil || all[1].EndAfter != nil {
			t.Fatalf("%+v", all)
		}
		r.pass(2 * time.Hour)
		if left := r.upstream(); !slices.Contains(left, "") || !slices.Contains(left, d.ID) || len(left) != 2 {
			t.Fatalf("upstream: %q", left)
		}
		r.pass(10 * time.Minute)
		if all = r.allIssues(); len(all) != 2 || all[0].State != issue.StateEnded || all[1].State != issue.StateOpen {
			t.Fatalf("%+v", all)
		}
		if x := r.get(a, d.ID); x.Status != deployment.StatusRunning {
			t.Fatalf("%+v", x)
		}
	})
}

func TestWatch_ReferenceOfAnotherProvider(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		d := r.running(r.account(money.Dollars(1000)))
		r.fault(sim.Fault{Kind: sim.FaultOrphan, Provider: "northgrid", Value: string(d.ID)})
		r.pass(2 * time.Minute)
		all := r.allIssues()
		if len(all) != 1 || all[0].Provider != "northgrid" || all[0].Kind != issue.OrphanedMachine || all[0].Endable ||
			all[0].DeploymentID == nil ||
			*all[0].DeploymentID != d.ID {
			t.Fatalf("%+v", all)
		}
		r.pass(5 * time.Hour)
		if left := r.upstream(); len(left) != 2 {
			t.Fatalf("upstream: %q", left)
		}
	})
}

func TestWatch_DuplicateMachine(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.fake.list(
			provider.Machine{
				ID:        "vo-second",
				Reference: d.ID,
				State:     provider.MachineReady,
				Address:   "192.0.2.1",
				SSHPort:   22,
			},
		)
		r.pass(2 * time.Minute)
		all := r.allIssues()
		if len(all) != 1 || all[0].Kind != issue.DuplicateMachine || *all[0].UpstreamID != "vo-second" ||
			all[0].Endable {
			t.Fatalf("%+v", all)
		}
		if x := r.get(a, d.ID); x.Status != deployment.StatusRunning || r.fake.calls["terminate"] != 0 {
			t.Fatalf("%+v", x)
		}
		r.fake.list()
		r.pass(6 * time.Minute)
		if all := r.allIssues(); len(all) != 1 || all[0].State != issue.StateSettled {
			t.Fatalf("%+v", all)
		}
	})
}

func TestWatch_LostMachine(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.must(r.fake.simulated.Terminate(t.Context(), d.ID)) // at the provider, without Billet
		r.pass(2 * time.Minute)
		r.await(a, d.ID, deployment.StatusInterrupted)
		if all := r.allIssues(); len(all) != 1 || all[0].Kind != issue.LostMachine || *all[0].DeploymentID != d.ID {
			t.Fatalf("%+v", all)
		}
		r.pass(10 * time.Minute)
		if all := r.allIssues(); len(all) != 1 || all[0].State != issue.StateSettled {
			t.Fatalf("%+v", all)
		}
	})
}

func TestWatch_StuckTermination(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.pass(26 * time.Minute)
		r.fake.set(func() { r.fake.terminateErr = &provider.Error{Kind: provider.KindRejected} })
		_, _, err := r.terminate(a, d.ID, false)
		r.must(err)
		r.pass(59 * time.Minute)
		if all := r.allIssues(); len(all) != 0 {
			t.Fatalf("%+v", all)
		}
		r.pass(5 * time.Minute)
		if all := r.allIssues(); len(all) != 1 || all[0].Kind != issue.StuckTermination ||
			*all[0].DeploymentID != d.ID ||
			all[0].State != issue.StateOpen {
			t.Fatalf("%+v", all)
		}
		r.fake.set(func() { r.fake.terminateErr = nil })
		r.pass(30 * time.Minute) // refusals are retried with backoff
		r.await(a, d.ID, deployment.StatusTerminated)
		r.pass(10 * time.Minute)
		if all := r.allIssues(); len(all) != 1 || all[0].State != issue.StateEnded {
			t.Fatalf("%+v", all)
		}
	})
}

func TestWatch_UndeadMachine(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.pass(26 * time.Minute)
		r.fake.set(func() {
			r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				return m, &provider.Error{Kind: provider.KindNotFound}
			}
			r.fake.terminateErr = &provider.Error{Kind: provider.KindNotFound}
		})
		_, _, err := r.terminate(a, d.ID, false)
		r.must(err)
		r.await(a, d.ID, deployment.StatusTerminated)
		r.fake.set(
			func() { r.fake.changeMachine, r.fake.terminateErr = nil, &provider.Error{Kind: provider.KindRejected} },
		)
		for range 4 { // the provider refuses: the issue stays
			r.pass(3 * time.Minute)
			if all := r.allIssues(); len(all) != 1 || all[0].Kind != issue.UndeadMachine ||
				all[0].State != issue.StateOpen {
				t.Fatalf("%+v", all)
			}
		}
		r.fake.set(func() { r.fake.terminateErr = nil })
		r.pass(3 * time.Minute)
		r.pass(6 * time.Minute)
		if all := r.allIssues(); len(all) != 1 || all[0].State != issue.StateEnded || len(r.upstream()) != 0 {
			t.Fatalf("%+v, upstream %q", all, r.upstream())
		}
	})
}

// A list that is minutes old shows what has ended and leaves out what was just made. Neither is a
// issue.
func TestWatch_StaleList(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(100_000))
		r.fault(
			sim.Fault{
				Kind:      sim.FaultStaleList,
				Operation: "machines",
				Seconds:   sim.Span{Min: 1, Median: 300, Max: 900},
				Percent:   70,
				Seed:      7,
			},
		)
		for range 4 {
			d := r.running(a)
			for range 26 {
				r.pass(time.Minute)
			}
			_, _, err := r.terminate(a, d.ID, false)
			r.must(err)
			for range 8 {
				r.pass(time.Minute)
			}
			if x := r.get(a, d.ID); x.Status != deployment.StatusTerminated {
				t.Fatalf("%+v", x)
			}
		}
		if all := r.allIssues(); len(all) != 0 {
			t.Fatalf("%+v", all)
		}
	})
}

// A machine that is launched while the list is on its way is on a list that is younger than what
// was read before it.
func TestWatch_LaunchDuringTheList(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		var d id.ID
		r.fake.set(func() {
			r.fake.nextList = func(ctx context.Context) {
				x, err := r.create(a, request(t))
				r.must(err)
				d = x.ID
				for range 3 { // pending, deploying, launched
					_, err := r.deployments.Reconcile(ctx, d)
					r.must(err)
				}
			}
		})
		_, err := r.deployments.Watch(t.Context(), "provider/voltage-park")
		r.must(err)
		if up := r.upstream(); len(up) != 1 || up[0] != d {
			t.Fatalf("the test's premise does not hold: %q", up)
		}
		if all := r.allIssues(); len(all) != 0 {
			t.Fatalf("%+v", all)
		}
	})
}
