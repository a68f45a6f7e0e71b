package webhook_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/webhook"
)

// A statement that fails fails the operation: an event is not skipped, and a delivery not
// forgotten.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	w := newWorld(t, d, c)
	to := newReceiver(t)
	var hook webhook.Endpoint
	write := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	write("Create", func(ctx context.Context, tx *db.Tx) (err error) {
		hook, _, err = w.Create(ctx, tx, ada, webhook.Request{URL: to.URL})
		return err
	})
	w.happen(ada, "deployment.created", "deployment.running")
	send := func(name string) {
		t.Helper()
		faults.FailEach(t, name, func() error { _, err := w.Send(t.Context(), hook.ID); return err })
	}
	send("Send")
	w.drain()
	delivered := w.deliveries(ada, hook.ID, webhook.Delivered)
	if len(delivered) != 2 {
		t.Fatalf("%d events were delivered after failures, want 2", len(delivered))
	}
	write("Replay", func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Replay(ctx, tx, ada, hook.ID, delivered[0].ID)
		return err
	})
	write("Test", func(ctx context.Context, tx *db.Tx) error { _, err := w.Test(ctx, tx, ada, hook.ID); return err })
	send("Send of a replay and a test")
	to.answers(500, "")
	c.Advance(time.Minute)
	w.happen(ada, "deployment.terminated")
	send("Send that is refused")
	for range 20 { // until the retries end and the webhook is paused
		c.Advance(12 * time.Hour)
		send("Send that is refused again")
	}
	if got := w.get(ada, hook.ID).Status; got != webhook.Paused {
		t.Errorf("after days of failures the webhook is %s, want it paused", got)
	}
	no := false
	write("Update", func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Service.Update(ctx, tx, ada, hook.ID, webhook.Update{Enabled: &no})
		return err
	})
	w.test(hook.ID)
	send("Send of a test while it is disabled")
	write("RotateSecret", func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.RotateSecret(ctx, tx, ada, hook.ID)
		return err
	})
	page := db.Page{Number: 1, Limit: 10}
	for name, f := range map[string]func() error{
		"Get":           func() error { _, err := w.Get(t.Context(), d, ada, hook.ID); return err },
		"List":          func() error { _, _, err := w.List(t.Context(), d, ada, page); return err },
		"Deliveries":    func() error { _, _, err := w.Deliveries(t.Context(), d, ada, hook.ID, "", page); return err },
		"OldestWaiting": func() error { _, _, err := webhook.OldestWaiting(t.Context(), d); return err },
		"Purge":         func() error { _, err := w.Purge(t.Context(), ""); return err },
	} {
		faults.FailEach(t, name, f)
	}
	write("Delete", func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Delete(ctx, tx, ada, hook.ID)
		return err
	})
}
