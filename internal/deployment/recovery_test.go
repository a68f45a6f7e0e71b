package deployment_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// The database is as of ten minutes after the start of two deployments, and five hours have passed.
func TestEndLostEndsWhatHasNoMachineAnyMore(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(10_000))
		kept, lost := r.running(a), r.running(a)
		r.pass(10 * time.Minute)
		unlaunched := r.deploy(a)
		at := r.clock.Now().Add(300 * time.Millisecond)
		r.must(r.fake.simulated.Terminate(t.Context(), lost.ID))
		r.clock.AdvanceTo(at.Add(5 * time.Hour))

		ended, err := r.deployments.EndLost(t.Context(), slug, at)
		r.must(err)
		if ended != 2 {
			t.Errorf("%d ended, want 2", ended)
		}
		until := at.Truncate(time.Second)
		lost = r.get(a, lost.ID)
		cost := money.ForSeconds(lost.HourlyPrice, int64(until.Sub(*lost.StartedAt)/time.Second))
		if lost.Status != deployment.StatusInterrupted || lost.BilledUntil == nil || !lost.BilledUntil.Equal(until) ||
			lost.CostToDate != cost {
			t.Errorf("%+v, want it interrupted, billed until %s, for %s", lost, until, cost)
		}
		if unlaunched = r.get(a, unlaunched.ID); unlaunched.Status != deployment.StatusFailed ||
			unlaunched.CostToDate != 0 {
			t.Errorf("%+v, want it failed at no cost", unlaunched)
		}
		if again, err := r.deployments.EndLost(t.Context(), slug, at); again != 0 || err != nil {
			t.Errorf("repeated: %d ended, %v", again, err)
		}
		r.drain()
		kept = r.get(a, kept.ID)
		if want := kept.HourlyPrice.Times(6); kept.Status != deployment.StatusRunning || kept.CostToDate != want {
			t.Errorf("%+v, want it running, for %s", kept, want)
		}
		if w := r.walletOf(a); w.Held != 0 {
			t.Errorf("%+v, want nothing on hold", w)
		}
		if got := len(r.upstream()); got != 1 {
			t.Errorf("%d machines upstream, want 1: nothing is launched again", got)
		}
		r.checkLedger()
	})
}

// A list may lack a machine that exists, and a provider may fail.
func TestEndLostAsksForEachMachine(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		at := r.clock.Now()
		answer := func(m provider.Machine) (provider.Machine, error) {
			return m, &provider.Error{Kind: provider.KindUnavailable}
		}
		r.fake.set(func() { r.fake.changeMachine = answer })
		if ended, err := r.deployments.EndLost(t.Context(), slug, at); ended != 0 || err == nil {
			t.Errorf("while the provider fails: %d ended, %v", ended, err)
		}
		hides := func(m provider.Machine) (provider.Machine, error) {
			m.Reference = ""
			return m, nil
		}
		r.fake.set(func() { r.fake.changeMachine = hides })
		if ended, err := r.deployments.EndLost(t.Context(), slug, at); ended != 0 || err != nil {
			t.Errorf("of a machine that is only missing on the list: %d ended, %v", ended, err)
		}
		if d = r.get(a, d.ID); d.Status != deployment.StatusRunning {
			t.Errorf("%+v, want it running", d)
		}
	})
}
