package volume_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// A statement that fails fails the operation, so that its transaction is rolled back as a whole,
// and the job runs again.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newKit(t, d, c)
	r.open(acc, money.Dollars(10))
	r.machine(dep1, provider.MachineReady)
	var v id.ID
	write := func(name string, want volume.Status, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
		for range 5 {
			faults.FailEach(t, "Reconcile after "+name, func() error {
				_, err := r.volumes.Reconcile(t.Context(), v)
				return err
			})
			r.Clock.Advance(time.Second)
		}
		r.wantStatus(v, want)
	}
	write("Create", volume.StatusAvailable, func(ctx context.Context, tx *db.Tx) error {
		x, err := r.volumes.Create(ctx, tx, acc, valid())
		v = x.ID
		return err
	})
	write("Update", volume.StatusAvailable, func(ctx context.Context, tx *db.Tx) error {
		name, size := "renamed", int64(200)
		_, err := r.volumes.Update(ctx, tx, acc, v, volume.UpdateRequest{Name: &name, SizeGB: &size})
		return err
	})
	attach := func(ctx context.Context, tx *db.Tx) error {
		_, err := r.volumes.Attach(ctx, tx, acc, v, target1)
		return err
	}
	write("Attach", volume.StatusAttached, attach)
	write("Reattach", volume.StatusAttached, func(ctx context.Context, tx *db.Tx) error {
		return r.volumes.Reattach(ctx, tx, dep1)
	})
	write("Detach", volume.StatusAvailable, func(ctx context.Context, tx *db.Tx) error {
		_, err := r.volumes.Detach(ctx, tx, acc, v)
		return err
	})
	write("Attach again", volume.StatusAttached, attach)
	write("DetachAll", volume.StatusAvailable, func(ctx context.Context, tx *db.Tx) error {
		return r.volumes.DetachAll(ctx, tx, dep1)
	})
	r.orphan("vol_nobodys", provider.Volume{ID: "up-1", Reference: "vol_nobodys", SizeGB: 10})
	faults.FailEach(t, "Watch", func() error {
		_, err := r.volumes.Watch(t.Context(), "provider/voltage-park")
		return err
	})
	r.onlyIssue()
	r.failReads(t, faults, v)
	write("Delete", volume.StatusDeleted, func(ctx context.Context, tx *db.Tx) error {
		_, err := r.volumes.Delete(ctx, tx, acc, v)
		return err
	})
	r.done(r.create(acc, "another", 100))
	faults.FailEachTx(t, "DeleteAll", d, func(ctx context.Context, tx *db.Tx) error {
		return r.volumes.DeleteAll(ctx, tx, acc)
	})
	r.Pass(time.Minute)
	r.wantUpstream(1) // the orphan
	r.CheckLedger()
}

// failReads checks the operations that only read.
func (r *testKit) failReads(t *testing.T, faults *dbtest.Recorder, v id.ID) {
	t.Helper()
	ctx := t.Context()
	for name, f := range map[string]func() error{
		"Get":  func() error { _, err := r.volumes.Get(ctx, r.DB, acc, v); return err },
		"Find": func() error { _, _, err := r.volumes.Find(ctx, r.DB, acc, "", []id.ID{v, "vol_x"}); return err },
		"List": func() error {
			_, _, err := r.volumes.List(ctx, r.DB, acc, volume.Filter{}, enginetest.FirstPage)
			return err
		},
		"AttachedTo": func() error { _, err := r.volumes.AttachedTo(ctx, r.DB, []id.ID{dep1}); return err },
		"ListAll": func() error {
			_, _, err := r.volumes.ListAll(ctx, r.DB, volume.FilterAll{}, enginetest.FirstPage)
			return err
		},
		"CheckProject":    func() error { return r.volumes.CheckProject(ctx, r.DB, acc, v, "") },
		"Committed":       func() error { _, err := r.volumes.Committed(ctx, r.DB, acc); return err },
		"Usage":           func() error { _, err := r.volumes.Usage(ctx, r.DB, acc); return err },
		"CountByProvider": func() error { _, err := volume.CountByProvider(ctx, r.DB); return err },
		"StartWatching":   func() error { return r.volumes.StartWatching(ctx) },
	} {
		faults.FailEach(t, name, f)
	}
}
