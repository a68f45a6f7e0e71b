package deployment_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/wallet"
)

// The operator pays the provider for the minimum runtime, so a budget ends no machine before: it
// admits a deployment only with all hours of it.
func TestBudgetEndsNothingBeforeTheMinimumRuntime(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.fake.set(func() {
			r.fake.changeInfo = func(i *provider.Info) { i.MinimumRuntime = 150 * time.Minute }
		})
		r.serve()
		a := r.account(money.Dollars(2000))
		o, _ := r.catalog.Default().Get(pageOffer)
		if o.MinimumRuntimeMinutes != 150 {
			t.Fatalf("the offer's minimum is %d minutes", o.MinimumRuntimeMinutes)
		}
		set := budget.Settings{
			Period: budget.Total, Mode: budget.Terminate, Amount: 3*o.HourlyPrice - 1, Thresholds: []int{100},
			Scope: budget.BudgetScope{Project: new("llm")},
		}
		small := r.budget(a, set)
		req := request(t)
		req.Project = "llm"
		if _, err := r.create(a, req); r.code(err) != apierr.BudgetExceeded {
			t.Errorf("the minimum runtime does not fit: %v", err)
		}
		set.Scope.Project, req.Project = new("large"), "large"
		set.Amount = 3 * o.HourlyPrice
		large := r.budget(a, set)
		d, err := r.create(a, req)
		r.must(err)
		committed := func(when string, want money.Micros) {
			t.Helper()
			if b := r.reread(a, large); b.Committed != want {
				t.Errorf("%s: %s are committed, want %s", when, b.Committed, want)
			}
		}
		committed("on hold", 3*o.HourlyPrice)
		if _, err := r.create(a, req); r.code(err) != apierr.BudgetExceeded {
			t.Errorf("what the minimum runtime binds is promised twice: %v", err)
		}
		d = r.await(a, d.ID, deployment.StatusRunning)
		committed("in the first hour", 2*o.HourlyPrice)
		// Something else that counts is spent meanwhile.
		_, err = r.update(a, d.ID, deployment.UpdateRequest{Project: new("llm")})
		r.must(err)
		r.clock.Advance(6 * time.Hour) // the server is down
		_, err = r.meter.Sweep(t.Context(), meter.Fleet)
		r.must(err)
		r.pass(time.Minute)
		x := r.get(a, d.ID)
		if due := d.StartedAt.Add(3 * time.Hour); x.Status != deployment.StatusTerminated ||
			!x.BilledUntil.Equal(due) || x.CostToDate != 3*o.HourlyPrice {
			t.Errorf("due at %s: %+v", due, x)
		}
		if b := r.reread(a, small); b.Spent != 3*o.HourlyPrice {
			t.Errorf("the minimum runtime counts: %+v", b)
		}
		if b := r.reread(a, large); b.Spent != 0 {
			t.Errorf("what was moved does not: %+v", b)
		}
		r.checkLedger()
	})
}

// The preview of an end is that of the hour that a budget refused, if that has passed.
func TestPreviewEndsWithTheRefusedHour(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(2000))
		o, _ := r.catalog.Default().Get(pageOffer)
		r.budget(a, budget.Settings{
			Period: budget.Total, Mode: budget.Terminate, Amount: 2 * o.HourlyPrice, Thresholds: []int{100},
		})
		d := r.running(a)
		r.clock.Advance(5 * time.Hour) // the server is down
		_, err := r.meter.Sweep(t.Context(), meter.Fleet)
		r.must(err)
		preview, err := r.deployments.CanTerminate(t.Context(), r.db, a, d.ID)
		r.must(err)
		if preview.FinalBill != 2*o.HourlyPrice {
			t.Errorf("the final bill is %s, want %s", preview.FinalBill, 2*o.HourlyPrice)
		}
	})
}

// A machine that is lost after the hour that a budget refuses was not billed since.
func TestLostMachineIsNotBilledPastItsBudget(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(2000))
		o, _ := r.catalog.Default().Get(pageOffer)
		r.budget(a, budget.Settings{
			Period: budget.Total, Mode: budget.Terminate, Amount: 2 * o.HourlyPrice, Thresholds: []int{100},
		})
		d := r.running(a)
		r.fake.set(func() { inState(provider.MachineLost)(r.fake) })
		r.clock.Advance(5*time.Hour + time.Minute) // the server is down
		_, err := r.deployments.Reconcile(t.Context(), d.ID)
		r.must(err)
		x := r.get(a, d.ID)
		if due := d.StartedAt.Add(2 * time.Hour); x.Status != deployment.StatusInterrupted ||
			!x.BilledUntil.Equal(due) || x.CostToDate != 2*o.HourlyPrice {
			t.Errorf("billed until %s: %+v", due, x)
		}
		if got := r.types(a, d.ID); got[wallet.TypeCharge] != 2 || got[wallet.TypeRefund] != 0 {
			t.Errorf("transactions: %v", got)
		}
		r.checkLedger()
	})
}

// What a minimum runtime binds is committed until it was charged or the deployment has ended.
func TestCommittedEndsWithTheMinimumRuntime(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.fake.set(func() {
			r.fake.changeInfo = func(i *provider.Info) { i.MinimumRuntime = 150 * time.Minute }
		})
		r.serve()
		a := r.account(money.Dollars(2000))
		b := r.budget(a, budget.Settings{
			Period: budget.Total, Mode: budget.Alert, Amount: money.Dollars(1_000_000),
		})
		check := func(when string, spent, committed money.Micros) {
			t.Helper()
			if x := r.reread(a, b); x.Spent != spent || x.Committed != committed {
				t.Errorf("%s: %s spent and %s committed, want %s and %s", when, x.Spent, x.Committed, spent, committed)
			}
		}
		first := r.running(a)
		price := first.HourlyPrice
		check("in the first hour", price, 2*price)
		r.clock.Advance(first.StartedAt.Add(61 * time.Minute).Sub(r.clock.Now()))
		r.pass(time.Second)
		check("in the second hour", 2*price, price)
		r.fake.set(func() { launchFails(provider.KindRejected)(r.fake) })
		second, err := r.create(a, request(t))
		r.must(err)
		check("with another one on hold", 2*price, price+3*second.HourlyPrice)
		r.await(a, second.ID, deployment.StatusFailed)
		check("once that has failed", 2*price, price)
		r.fake.set(func() { inState(provider.MachineLost)(r.fake) })
		_, err = r.deployments.Reconcile(t.Context(), first.ID)
		r.must(err)
		if x := r.reread(a, b); x.Committed != 0 {
			t.Errorf("%s are committed for a machine that is lost", x.Committed)
		}
		r.checkLedger()
	})
}
