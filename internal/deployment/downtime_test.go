package deployment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
)

// downtimes returns the downtimes of the deployment that have ended.
func (r *testKit) downtimes(d id.ID) []deployment.Downtime {
	r.t.Helper()
	all, err := deployment.EndedDowntimes(r.t.Context(), r.db, d)
	r.must(err)
	return all
}

// minutes passes that many minutes, with a list of the machines in each.
func (r *testKit) minutes(n int) {
	r.t.Helper()
	for range n {
		r.pass(time.Minute)
	}
}

func TestLostMachineHasADowntime(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.minutes(10)
		// The provider does not answer for 20 minutes, in which the machine is lost.
		r.fault(sim.Fault{Kind: sim.FaultUnavailable, ForSeconds: 1200})
		silent := r.clock.Now()
		r.fault(sim.Fault{Kind: sim.FaultMachineLost, Count: 1})
		r.minutes(30)
		x := r.get(a, d.ID)
		if x.Status != deployment.StatusInterrupted {
			t.Fatalf("%+v", x)
		}
		all := r.downtimes(d.ID)
		if len(all) != 1 {
			t.Fatalf("%+v", all)
		}
		got := all[0]
		if got.Cause != deployment.DownLost || got.From.After(silent) || got.From.Before(silent.Add(-2*time.Minute)) ||
			!got.To.Equal(*x.BilledUntil) || got.SeenAt.Before(silent.Add(19*time.Minute)) {
			t.Errorf("silent since %s, billed until %s: %+v", silent, x.BilledUntil, got)
		}
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			return deployment.SettleDowntimes(ctx, tx, d.ID, all)
		}))
		if all := r.downtimes(d.ID); len(all) != 0 {
			t.Errorf("settled: %+v", all)
		}
	})
}

func TestUnavailableProviderIsNoDowntime(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.fault(sim.Fault{Kind: sim.FaultUnavailable, ForSeconds: 3600})
		r.pass(2 * time.Hour)
		_, _, err := r.terminate(a, d.ID, false)
		r.must(err)
		if all := r.downtimes(d.ID); len(all) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

func TestUnhealthyMachineHasADowntime(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.minutes(10)
		broken := true
		r.fake.changeReady(func(m *provider.Machine) { m.Unhealthy = broken })
		began := r.clock.Now()
		r.minutes(20)
		r.fake.set(func() { broken = false })
		r.minutes(10)
		all := r.downtimes(d.ID)
		if len(all) != 1 || all[0].Cause != deployment.DownUnhealthy ||
			all[0].To.Sub(all[0].From) < 20*time.Minute || all[0].To.Sub(all[0].From) > 22*time.Minute ||
			all[0].From.After(began) {
			t.Fatalf("unhealthy for 20 minutes from %s on: %+v", began, all)
		}
		// One that lasts ends with the bill.
		r.fake.set(func() { broken = true })
		r.minutes(10)
		_, _, err := r.terminate(a, d.ID, false)
		r.must(err)
		all = r.downtimes(d.ID)
		if x := r.get(a, d.ID); len(all) != 2 || !all[1].To.Equal(*x.BilledUntil) {
			t.Errorf("%+v", all)
		}
		r.minutes(10)
		if after := r.downtimes(d.ID); len(after) != 2 {
			t.Errorf("after the end: %+v", after)
		}
	})
}

func TestOnlyAnUnwantedShutdownIsADowntime(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.minutes(10)
		act := func(f func(context.Context, *db.Tx, id.ID, id.ID) (deployment.Deployment, error)) {
			t.Helper()
			r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := f(ctx, tx, a, d.ID)
				return err
			}))
			r.minutes(20)
		}
		act(r.deployments.PowerOff)
		if x := r.get(a, d.ID); x.Status != deployment.StatusStopped {
			t.Fatalf("%+v", x)
		}
		act(r.deployments.PowerOn)
		if all := r.downtimes(d.ID); len(all) != 0 {
			t.Fatalf("switched off by its tenant: %+v", all)
		}
		off := true
		r.fake.changeReady(func(m *provider.Machine) {
			if off {
				m.State = provider.MachineOff
			}
		})
		r.minutes(20)
		if x := r.get(a, d.ID); x.Status != deployment.StatusStopped {
			t.Fatalf("%+v", x)
		}
		r.fake.set(func() { off = false })
		r.minutes(5)
		all := r.downtimes(d.ID)
		if len(all) != 1 || all[0].Cause != deployment.DownOff || all[0].To.Sub(all[0].From) < 20*time.Minute {
			t.Errorf("off for 20 minutes: %+v", all)
		}
	})
}
