package deployment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/google/go-cmp/cmp"
)

// A statement that fails fails the operation, so that its transaction is rolled back as a whole,
// and the job runs again.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newKit(t, d, c)
	a := r.account(money.Dollars(1000))
	v := r.volume(a, slug, "dallas-usa-5")
	write := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	var x deployment.Deployment
	req := request(t)
	req.VolumeIDs = []id.ID{v}
	write("Create", func(ctx context.Context, tx *db.Tx) (err error) {
		x, err = r.deployments.Create(ctx, tx, a, req)
		return err
	})
	if diff := cmp.Diff([]id.ID{v}, x.VolumeIDs); diff != "" {
		t.Errorf("volumeIds of Create (-want +got):\n%s", diff)
	}
	reconcile := func(name string, want deployment.Status) {
		t.Helper()
		for range 60 {
			faults.FailEach(t, name, func() error { _, err := r.deployments.Reconcile(t.Context(), x.ID); return err })
			if r.get(a, x.ID).Status == want {
				return
			}
			r.clock.Advance(time.Second)
		}
		t.Fatalf("%s leaves it %s, want %s", name, r.get(a, x.ID).Status, want)
	}
	reconcile("Reconcile of a launch", deployment.StatusRunning)
	r.drain()

	name := "renamed"
	act := func(f func(ctx context.Context, tx *db.Tx, a, d id.ID) (deployment.Deployment, error)) func(
		ctx context.Context, tx *db.Tx) error {
		return func(ctx context.Context, tx *db.Tx) error { _, err := f(ctx, tx, a, x.ID); return err }
	}
	write("Update", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.deployments.Update(ctx, tx, a, x.ID, deployment.UpdateRequest{Name: &name})
		return err
	})
	write("DetachVolume", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.deployments.DetachVolume(ctx, tx, a, v, nil)
		return err
	})
	r.pass(time.Minute)
	write("AttachVolume", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.deployments.AttachVolume(ctx, tx, a, v, x.ID)
		return err
	})
	machine := "machine"
	write("Bulk", func(ctx context.Context, tx *db.Tx) error {
		_, _, err := r.deployments.Bulk(ctx, tx, a, deployment.BulkRequest{
			Action: deployment.BulkAddTags, IDs: []id.ID{x.ID, "dep_none"}, Tags: []string{machine},
		})
		return err
	})
	write("Reboot", act(r.deployments.Reboot))
	reconcile("Reconcile of a reboot", deployment.StatusRunning)
	r.pass(time.Minute)
	write("PowerOff", act(r.deployments.PowerOff))
	r.pass(time.Minute)
	write("PowerOn", act(r.deployments.PowerOn))
	r.pass(time.Minute)
	faults.FailEach(t, "Watch", func() error {
		_, err := r.deployments.Watch(t.Context(), "provider/voltage-park")
		return err
	})
	r.failReads(faults, a, x.ID)

	r.pass(26 * time.Minute)
	write("Terminate", func(ctx context.Context, tx *db.Tx) error {
		_, _, err := r.deployments.Terminate(ctx, tx, a, x.ID, false)
		return err
	})
	reconcile("Reconcile of a termination", deployment.StatusTerminated)
	r.pass(time.Minute)
	if len(r.upstream()) != 0 {
		t.Errorf("machines are left upstream: %v", r.upstream())
	}
	r.checkLedger()
}

// A quote is used, and a deployment ended by the operator, completely or not at all.
func TestNoFailedStatementIsIgnored_Operator(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newKit(t, d, c)
	a := r.account(money.Dollars(1000))
	var made [2]deployment.Deployment
	for i := range made {
		req := request(t)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			o, _ := r.catalog.Default().Get(pageOffer)
			q, err := r.config.Quotes.Make(ctx, tx, a, o)
			req.OfferID, req.Quote = "", q.ID
			return err
		}))
		faults.FailEachTx(t, "Create by a quote", d, func(ctx context.Context, tx *db.Tx) (err error) {
			made[i], err = r.deployments.Create(ctx, tx, a, req)
			return err
		})
		r.await(a, made[i].ID, deployment.StatusRunning)
	}
	faults.FailEachTx(t, "TerminateByOperator", d, func(ctx context.Context, tx *db.Tx) error {
		_, _, err := r.deployments.TerminateByOperator(ctx, tx, made[0].ID, "abuse")
		return err
	})
	faults.FailEachTx(t, "EndForSuspension", d, func(ctx context.Context, tx *db.Tx) error {
		_, _, err := r.deployments.EndForSuspension(ctx, tx, a, "abuse", false)
		return err
	})
	r.await(a, made[0].ID, deployment.StatusTerminated)
	r.await(a, made[1].ID, deployment.StatusTerminated)
	r.checkLedger()
}

// failReads checks the operations that only read.
func (r *testKit) failReads(faults *dbtest.Recorder, a, d id.ID) {
	r.t.Helper()
	t := r.t.(*testing.T)
	for name, f := range map[string]func(ctx context.Context) error{
		"Get": func(ctx context.Context) error { _, err := r.deployments.Get(ctx, r.db, a, d); return err },
		"List": func(ctx context.Context) error {
			_, _, err := r.deployments.List(ctx, r.db, a, deployment.Filter{}, firstPage)
			return err
		},
		"CanTerminate": func(ctx context.Context) error {
			_, err := r.deployments.CanTerminate(ctx, r.db, a, d)
			return err
		},
		"SSHEndpoint": func(ctx context.Context) error {
			_, err := r.deployments.SSHEndpoint(ctx, r.db, a, d, 0)
			return err
		},
		"ListAll": func(ctx context.Context) error {
			_, _, err := r.deployments.ListAll(ctx, r.db, deployment.FilterAll{}, firstPage)
			return err
		},
		"Check":        func(ctx context.Context) error { return r.deployments.Check(ctx, r.db, a, request(t)) },
		"CheckProject": func(ctx context.Context) error { return r.deployments.CheckProject(ctx, r.db, a, d, "") },
		"Committed": func(ctx context.Context) error {
			_, err := r.deployments.Committed(ctx, r.db, a)
			return err
		},
		"Usage": func(ctx context.Context) error {
			_, err := r.deployments.Usage(ctx, r.db, a)
			return err
		},
		"MachinesAt": func(ctx context.Context) error {
			_, err := r.deployments.MachinesAt(ctx, r.db, slug)
			return err
		},
		"CountByProvider": func(ctx context.Context) error {
			_, err := deployment.CountByProvider(ctx, r.db)
			return err
		},
		"StartWatching": func(ctx context.Context) error { return r.deployments.StartWatching(ctx) },
		"CountByStatus": func(ctx context.Context) error {
			_, err := r.deployments.CountByStatus(ctx, r.db)
			return err
		},
		"ResourceCounts": func(ctx context.Context) error {
			_, err := r.deployments.ResourceCounts(ctx, r.db)
			return err
		},
	} {
		faults.FailEach(t, name, func() error { return f(t.Context()) })
	}
}

// A failed statement keeps a deployment neither from its next candidate nor from its refund.
func TestFailedStatementsOnlyDelayAFailure(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newKit(t, d, c)
	a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
	r.fake.set(func() { r.fake.launchErr = failure(provider.KindNoCapacity) })
	x, err := r.create(a, requestAmong(t, next))
	r.must(err)
	for range 5 {
		// A launch whose refusal is not recorded is taken for one whose answer is unknown.
		reconcile := func() error { _, err := r.deployments.Reconcile(t.Context(), x.ID); return err }
		faults.FailEach(t, "Reconcile", reconcile, "UPDATE deployment SET launch_asked_at")
		if r.get(a, x.ID).OfferID == next.ID {
			break
		}
		r.clock.Advance(time.Second)
	}
	r.await(a, x.ID, deployment.StatusRunning)
	if got := r.get(a, x.ID); got.OfferID != next.ID || len(got.Attempts) != 1 {
		t.Errorf("the deployment is %+v, want the next candidate %s", got, next.ID)
	}
	faults.FailEachTx(t, "EndForPastDue", d, func(ctx context.Context, tx *db.Tx) error {
		_, err := r.deployments.EndForPastDue(ctx, tx, a)
		return err
	})
	r.await(a, x.ID, deployment.StatusTerminated)
	r.checkLedger()
}
