package mail_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/mail"
)

// A mail whose cause is committed is in the outbox: a statement that fails fails the cause, too.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	w := newWorld(t, d, c)
	w.set()
	w.user(account.Owner, "ada@example.com")
	write := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	write("Enqueue", func(ctx context.Context, tx *db.Tx) error { return w.Enqueue(ctx, tx, reset("bob@example.com")) })
	write("EnqueueForEvents", func(ctx context.Context, tx *db.Tx) error {
		e := failedDeployment(w)
		e.ID = "evt_1"
		return w.EnqueueForEvents(ctx, tx, []event.Event{e})
	})
	if all := w.list(); len(all) != 2 {
		t.Fatalf("%d mails, want 2: %+v", len(all), all)
	}
	w.server.answer("RCPT", "451 4.7.1 later")
	send := func(name string) {
		t.Helper()
		for _, m := range w.list() {
			faults.FailEach(t, name, func() error { _, err := w.Send(t.Context(), m.ID); return err })
		}
	}
	send("Send of what is tried again")
	w.server.answer("RCPT", "550 5.1.1 no such user")
	send("Send of what bounces")
	for _, m := range w.list() {
		if m.State != mail.Failed && m.State != mail.Suppressed {
			t.Errorf("after failures of the database: %+v, want it ended", m)
		}
	}
	c.Advance(31 * 24 * time.Hour)
	faults.FailEach(t, "Purge", func() error { _, err := w.Purge(t.Context(), mail.Fleet); return err })
	faults.FailEach(t, "Configured", func() error { _, err := w.Configured(t.Context(), d); return err })
	faults.FailEach(t, "List", func() error {
		_, _, err := w.List(t.Context(), d, "", db.Page{Number: 1, Limit: 10})
		return err
	})
}
