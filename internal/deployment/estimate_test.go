package deployment_test

import (
	"testing"
	"time"

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
