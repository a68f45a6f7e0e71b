package deployment_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// The database is as of ten minutes after the start of two deployments, and five hours have passed.
func TestRestoredDeploymentsEndWithTheirMachine(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(10_000))
		kept, lost := r.running(a), r.running(a)
		r.pass(10 * time.Minute)
		unlaunched := r.deploy(a)
		at := r.clock.Now().Add(300 * time.Millisecond)
		r.must(r.fake.simulated.Terminate(t.Context(), lost.ID))
		r.clock.AdvanceTo(at.Add(5 * time.Hour))

		ended, err := r.deployments.SettleRestored(t.Context(), slug, at, false)
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
		if again, err := r.deployments.SettleRestored(t.Context(), slug, at, false); again != 0 || err != nil {
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
func TestRestoredMachinesAreAskedForOneByOne(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		at := r.clock.Now()
		answer := func(m provider.Machine) (provider.Machine, error) {
			return m, &provider.Error{Kind: provider.KindUnavailable}
		}
		r.fake.set(func() { r.fake.changeMachine = answer })
		if ended, err := r.deployments.SettleRestored(t.Context(), slug, at, false); ended != 0 || err == nil {
			t.Errorf("while the provider fails: %d ended, %v", ended, err)
		}
		hides := func(m provider.Machine) (provider.Machine, error) {
			m.Reference = ""
			return m, nil
		}
		r.fake.set(func() { r.fake.changeMachine = hides })
		if ended, err := r.deployments.SettleRestored(t.Context(), slug, at, false); ended != 0 || err != nil {
			t.Errorf("of a machine that is only missing on the list: %d ended, %v", ended, err)
		}
		if d = r.get(a, d.ID); d.Status != deployment.StatusRunning {
			t.Errorf("%+v, want it running", d)
		}
	})
}

// A launch without an answer at the backup has made a machine, which its tenant may use by now.
func TestRestoredLaunchKeepsItsMachine(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(10_000))
		r.fake.set(func() { r.fake.answerErr = failure(provider.KindUnavailable) })
		d := r.deploy(a)
		r.drain()
		r.fake.set(func() { r.fake.answerErr = nil })
		at := r.clock.Now()
		r.clock.AdvanceTo(at.Add(5 * time.Hour))
		if ended, err := r.deployments.SettleRestored(t.Context(), slug, at, false); ended != 0 || err != nil {
			t.Errorf("%d ended, %v", ended, err)
		}
		d = r.await(a, d.ID, deployment.StatusRunning)
		if got := r.upstream(); len(got) != 1 || got[0] != d.ID || d.CostToDate != d.HourlyPrice {
			t.Errorf("%+v, upstream %v, want it running on its machine, for an hour", d, got)
		}
		r.checkLedger()
	})
}

func TestRestoredReinstallationIsGivenUp(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(10_000))
		d := r.running(a)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.deployments.Reinstall(ctx, tx, a, d.ID, deployment.ReinstallRequest{EraseLocalDisks: true})
			return err
		}))
		at := r.clock.Now()
		if _, err := r.deployments.SettleRestored(t.Context(), slug, at, false); err != nil {
			t.Fatal(err)
		}
		r.pass(2 * time.Minute)
		if n := r.fake.calls["Reinstall"]; n != 0 {
			t.Errorf("reinstalled %d times: that would erase what the tenant has done since the backup", n)
		}
		if d = r.get(a, d.ID); d.PendingAction != nil || d.Status != deployment.StatusRunning ||
			!strings.Contains(r.eventTypes(a, d.ID), "action_failed") {
			t.Errorf("%+v, events %s", d, r.eventTypes(a, d.ID))
		}
	})
}

func TestRestoredMachineOnItsWayOutIsNotBilledOn(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(10_000))
		d := r.running(a)
		r.pass(10 * time.Minute)
		at := r.clock.Now()
		r.clock.AdvanceTo(at.Add(5 * time.Hour))
		r.fake.set(func() { inState(provider.MachineTerminating)(r.fake) })
		if ended, err := r.deployments.SettleRestored(t.Context(), slug, at, false); ended != 1 || err != nil {
			t.Errorf("%d ended, %v", ended, err)
		}
		d = r.get(a, d.ID)
		if d.Status != deployment.StatusInterrupted || d.CostToDate >= d.HourlyPrice {
			t.Errorf("%+v, want it interrupted, for part of the first hour", d)
		}
		r.checkLedger()
	})
}

// A valid key of another account shows no machine.
func TestProviderThatKnowsNoMachineIsNotBelieved(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(10_000))
		first, second := r.running(a), r.running(a)
		at := r.clock.Now()
		for _, d := range []deployment.Deployment{first, second} {
			r.must(r.fake.simulated.Terminate(t.Context(), d.ID))
		}
		r.clock.AdvanceTo(at.Add(time.Hour))
		_, err := r.deployments.SettleRestored(t.Context(), slug, at, false)
		if !errors.Is(err, deployment.ErrNoMachines) || r.get(a, first.ID).Status != deployment.StatusRunning {
			t.Errorf("%v, %+v", err, r.get(a, first.ID))
		}
		ended, err := r.deployments.SettleRestored(t.Context(), slug, at, true)
		if ended != 2 || err != nil {
			t.Errorf("confirmed: %d ended, %v", ended, err)
		}
		r.checkLedger()
	})
}
