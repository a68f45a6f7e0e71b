package deployment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// Each launch counts once, with what became of it; one that its tenant called off does not count.
func TestLaunchesAreReportedToTheCatalog(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(10_000))
		ran := r.running(a)
		again := r.running(a)
		r.pass(3 * time.Minute)
		o, _ := r.catalog.Default().Get(pageOffer)
		f := o.Reliability
		first, second := int(
			ran.StartedAt.Sub(ran.CreatedAt)/time.Second,
		), int(
			again.StartedAt.Sub(again.CreatedAt)/time.Second,
		)
		if f.Basis != "instanceType" || f.Deployments != 2 || f.ReachedSSH == nil || *f.ReachedSSH != 1 ||
			*f.MedianSecondsToSSH != (first+second+1)/2 ||
			o.LastNoCapacityAt != nil {
			t.Fatalf("after two that ran: %+v, %v", f, o.LastNoCapacityAt)
		}

		r.fake.set(func() { r.fake.launchErr = &provider.Error{Kind: provider.KindNoCapacity} })
		d := r.await(a, r.deploy(a).ID, deployment.StatusFailed)
		r.fake.set(func() { r.fake.launchErr = &provider.Error{Kind: provider.KindRejected} })
		r.await(a, r.deploy(a).ID, deployment.StatusFailed)
		r.fake.set(func() {
			r.fake.launchErr, r.fake.changeMachine = nil, func(m provider.Machine) (provider.Machine, error) {
				m.State = provider.MachineProvisioning
				return m, nil
			}
		})
		poor := r.account(money.Dollars(1000))
		called := r.deploy(poor)
		r.pass(time.Minute)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.deployments.EndForPastDue(ctx, tx, poor)
			return err
		}))
		r.fake.set(func() { r.fake.changeMachine = nil })
		r.await(poor, called.ID, deployment.StatusTerminated)
		r.pass(3 * time.Minute)
		o, _ = r.catalog.Default().Get(pageOffer)
		f = o.Reliability
		if f.Deployments != 4 || *f.ReachedSSH != 0.5 || *f.MedianSecondsToSSH != (first+second+1)/2 {
			t.Errorf(
				"after one without capacity, one that was rejected and one that was called off: %+v with %g",
				f,
				*f.ReachedSSH,
			)
		}
		if o.LastNoCapacityAt == nil || !o.LastNoCapacityAt.Truncate(time.Second).Equal(*d.BilledUntil) {
			t.Errorf("lacked capacity at %v, not %v", o.LastNoCapacityAt, d.BilledUntil)
		}

		for range 2 {
			r.running(a)
		}
		r.pass(3 * time.Minute)
		if o, _ = r.catalog.Default().Get(pageOffer); o.Reliability.Basis != "offer" ||
			o.Reliability.Deployments != 6 ||
			*o.Reliability.ReachedSSH != 0.667 {
			t.Errorf("with six of its own: %+v", o.Reliability)
		}
	})
}
