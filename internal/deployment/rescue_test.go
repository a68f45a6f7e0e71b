package deployment_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

type actOn = func(context.Context, *db.Tx, id.ID, id.ID) (deployment.Deployment, error)

func (r *testKit) actOn(a, d id.ID, f actOn) error {
	return r.tx(func(ctx context.Context, tx *db.Tx) error { _, err := f(ctx, tx, a, d); return err })
}

// A machine in rescue is billed and is no loss, and its GPUs are not checked until it has ended.
func TestRescue(t *testing.T) {
	withPolicy(t, health.Report, func(t *testing.T, r *testKit) {
		r.fake.set(func() { r.fake.rescues = true })
		r.must(r.catalog.Start(t.Context()))
		r.pass(time.Hour) // until the offers are read again
		a := r.account(money.Dollars(1000))
		req := request(t)
		req.HealthAccess = health.AccessKeep
		d, err := r.create(a, req)
		r.must(err)
		r.await(a, d.ID, deployment.StatusRunning)
		checks := len(r.gpuChecks)
		r.must(r.actOn(a, d.ID, r.deployments.Rescue))
		r.pass(time.Minute)
		if x := r.get(a, d.ID); !x.Rescue || x.Status != deployment.StatusRunning || x.PendingAction != nil {
			t.Fatalf("%+v", x)
		}
		err = r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.deployments.RequestHealthCheck(ctx, tx, a, d.ID, 0)
			return err
		})
		if r.code(err) != apierr.Conflict {
			t.Errorf("a check in rescue: %v", err)
		}
		r.pass(9 * time.Hour)
		x := r.get(a, d.ID)
		if x.Status != deployment.StatusRunning || x.CostToDate != d.HourlyPrice.Times(10) ||
			len(r.gpuChecks) != checks || len(r.allIssues()) != 0 || len(r.downtimes(d.ID)) != 0 {
			t.Errorf("after nine hours: %s, paid %s, %d checks, issues %v", x.Status, x.CostToDate,
				len(r.gpuChecks)-checks, r.allIssues())
		}
		r.must(r.actOn(a, d.ID, r.deployments.EndRescue))
		r.pass(5 * time.Hour)
		if x := r.get(a, d.ID); x.Rescue || len(r.gpuChecks) == checks {
			t.Errorf("after the rescue: %t, %d checks", x.Rescue, len(r.gpuChecks)-checks)
		}
		if strings.Contains(r.eventTypes(a, d.ID), "rescue_ended") {
			t.Error("the end that was requested is told as another one")
		}
	})
}

// A rescue that the provider has ended is told once. A check during which a rescue begins is none.
func TestARescueThatTheProviderEnds(t *testing.T) {
	withPolicy(t, health.Report, func(t *testing.T, r *testKit) {
		r.fake.set(func() { r.fake.rescues = true })
		r.pass(time.Hour)
		a := r.account(money.Dollars(1000))
		req := request(t)
		req.HealthAccess = health.AccessKeep
		d, err := r.create(a, req)
		r.must(err)
		r.await(a, d.ID, deployment.StatusRunning)
		r.gpus = func(req health.Request) (health.Result, error) {
			r.must(r.actOn(a, d.ID, r.deployments.Rescue))
			r.gpus = nil
			return found(gpucheck.Failed, "no driver", req), nil
		}
		r.pass(5 * time.Hour)
		if x := r.get(a, d.ID); !x.Rescue || x.Health.Verdict == nil || *x.Health.Verdict == gpucheck.Failed {
			t.Errorf("a check during which the rescue began: %+v", x.Health)
		}
		r.fake.set(func() { r.fake.inRescue = false })
		r.pass(10 * time.Minute)
		if x := r.get(a, d.ID); x.Rescue || strings.Count(r.eventTypes(a, d.ID), "rescue_ended") != 1 {
			t.Errorf("%t, events %s", x.Rescue, r.eventTypes(a, d.ID))
		}
		_, _, err = r.terminate(a, d.ID, false)
		r.must(err)
	})
}

// An offer whose machines cannot be rescued says so.
func TestRescueNeedsTheCapability(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		for _, f := range []actOn{r.deployments.Rescue, r.deployments.EndRescue} {
			if err := r.actOn(a, d.ID, f); r.code(err) != apierr.Unsupported {
				t.Errorf("%v", err)
			}
		}
	})
}
