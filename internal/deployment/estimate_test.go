package deployment_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// What can-terminate answers is what terminate then does, and what the ledger says, at any instant.
func TestPreviewEqualsTheLedger(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(100_000))
		for _, after := range []time.Duration{
			25 * time.Minute, 25*time.Minute + time.Second, 37*time.Minute + 13*time.Second,
			58*time.Minute + 59*time.Second,
			59*time.Minute + time.Second, 59*time.Minute + 59*time.Second, time.Hour, time.Hour + time.Second,
			2*time.Hour - time.Minute, 2 * time.Hour, 2*time.Hour + time.Nanosecond, 5*time.Hour + 20*time.Minute,
		} {
			req := request(t)
			req.MaxRuntimeMinutes = new(int64(180)) // which the last one has passed
			d, err := r.create(a, req)
			r.must(err)
			d = r.await(a, d.ID, deployment.StatusRunning)
			can := func() deployment.CanTerminate {
				t.Helper()
				can, err := r.deployments.CanTerminate(t.Context(), r.db, a, d.ID)
				r.must(err)
				return can
			}
			r.clock.AdvanceTo(d.StartedAt.Add(after - time.Minute))
			before := can()
			r.clock.AdvanceTo(d.StartedAt.Add(after)) // no job runs meanwhile
			now := can()
			if now.Refund != before.RefundNextMinute {
				t.Errorf("after %s: refund %s, a minute before it said %s", after, now.Refund, before.RefundNextMinute)
			}
			x, _, err := r.terminate(a, d.ID, false)
			r.must(err)
			var refunded, cost money.Micros
			r.must(
				r.wallet.Export(t.Context(), r.db, a, wallet.Filter{Subject: d.ID}, func(l wallet.Transaction) error {
					switch l.Type {
					case wallet.TypeRefund:
						refunded, cost = refunded+l.Amount, cost-l.Amount
					case wallet.TypeCharge:
						cost -= l.Amount
					}
					return nil
				}),
			)
			if x.CostToDate != cost || now.FinalBill != cost || now.Refund != refunded {
				t.Errorf(
					"after %s the ledger says %s, less a refund of %s; terminate %s; can-terminate %+v",
					after,
					cost,
					refunded,
					x.CostToDate,
					now,
				)
			}
			if ended := can(); ended.FinalBill != cost || ended.RefundNextMinute != 0 {
				t.Errorf("after the end: %+v", ended)
			}
			r.pass(time.Minute)
		}
		r.checkLedger()
	})
}

// The estimate of a dry run is what a deployment then does whose SSH answers at once.
func TestDryRunEstimates(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, req := r.account(money.Dollars(1000)), request(t)
		o, _ := r.catalog.Default().Get(pageOffer)
		req.DryRun, req.MaxSpend, req.MaxRuntimeMinutes = true, new(3*o.HourlyPrice), new(int64(150))
		now := r.clock.Now().Truncate(time.Second)
		d, err := r.create(a, req)
		r.must(err)
		e := d.Estimate
		binding := deployment.BindingLimit{Limit: "maxRuntimeMinutes", At: now.Add(150 * time.Minute)}
		if e == nil || e.HourlyPrice != o.HourlyPrice || e.Hold != o.HourlyPrice ||
			!e.EarliestEnd.Equal(now.Add(25*time.Minute)) || e.BindingLimit == nil || *e.BindingLimit != binding {
			t.Fatalf("%+v", e)
		}
		if len(e.Refunds) != 7 {
			t.Fatalf("refunds: %+v", e.Refunds)
		}
		for i, f := range e.Refunds {
			at := time.Duration(25+5*i) * time.Minute
			if !f.At.Equal(now.Add(at)) || f.Amount != share(o.HourlyPrice, time.Hour-at) {
				t.Errorf("refund %d: %+v", i, f)
			}
		}
		req.DryRun = false
		if d, err = r.create(a, req); err != nil || d.Estimate != nil {
			t.Errorf("%v, a deployment has the estimate %+v", err, d.Estimate)
		}
	})
}

// The limit that a dry run names is the first of all that would end the deployment.
func TestDryRunNamesTheFirstLimit(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		o, _ := r.catalog.Default().Get(pageOffer)
		price := o.HourlyPrice
		for name, c := range map[string]struct {
			credit  money.Micros
			budget  *budget.Settings
			request func(req *deployment.CreateRequest)
			limit   deployment.Limit // "" for none
			hours   int64
		}{
			"the balance": {credit: 3*price + 1, limit: deployment.LimitBalance, hours: 3},
			"the balance, of which the budget allows more": {
				credit: 3 * price, limit: deployment.LimitBalance, hours: 3,
				budget: &budget.Settings{Period: budget.Total, Mode: budget.Terminate, Amount: 4 * price},
			},
			"a budget": {
				credit: 9 * price, limit: deployment.LimitBudget, hours: 2,
				budget: &budget.Settings{Period: budget.Total, Mode: budget.Terminate, Amount: 3*price - 1},
			},
			"a budget that only blocks": {
				credit: 9 * price, limit: deployment.LimitBalance, hours: 9,
				budget: &budget.Settings{Period: budget.Total, Mode: budget.Block, Amount: 3 * price},
			},
			"a budget of something else": {
				credit: 9 * price, limit: deployment.LimitBalance, hours: 9,
				budget: &budget.Settings{
					Period: budget.Total, Mode: budget.Terminate, Amount: price,
					Scope: budget.BudgetScope{Tag: new("x")},
				},
			},
			"its own limit": {
				credit: 9 * price, limit: deployment.LimitMaxSpend, hours: 5,
				request: func(req *deployment.CreateRequest) { req.MaxSpend = new(5 * price) },
			},
			"its own limit before the balance": {
				credit: 5 * price, limit: deployment.LimitMaxRuntime, hours: 5,
				request: func(req *deployment.CreateRequest) { req.MaxRuntimeMinutes = new(int64(300)) },
			},
			"the account's, of which the key must not learn": {
				credit:  9 * price,
				request: func(req *deployment.CreateRequest) { req.Project, req.Within = "llm", "llm" },
			},
		} {
			a, req := r.account(c.credit), request(t)
			if c.budget != nil {
				r.budget(a, *c.budget)
			}
			if c.request != nil {
				c.request(&req)
			}
			req.DryRun = true
			now := r.clock.Now().Truncate(time.Second)
			d, err := r.create(a, req)
			r.must(err)
			switch got := d.Estimate.BindingLimit; {
			case c.limit == "" && got != nil:
				t.Errorf("%s: got %+v, want none", name, got)
			case c.limit == "":
			case got == nil || got.Limit != c.limit || !got.At.Equal(now.Add(time.Duration(c.hours)*time.Hour)):
				t.Errorf("%s: got %+v, want %s after %d hours", name, got, c.limit, c.hours)
			}
		}
	})
}
