package event_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

// A change whose event cannot be written is rolled back, and a reader that cannot read does not go
// on as if nothing had happened.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	l := event.New(id.NewMaker(c, rand.Reader))
	const account id.ID = "acc_1"
	_, stop := l.Watch(account)
	defer stop()
	follower := l.Follow(account)
	defer follower.Stop()
	page := db.Page{Number: 1, Limit: 10}
	faults.FailEachTx(t, "Append", d, func(ctx context.Context, tx *db.Tx) error {
		return l.Append(ctx, tx, event.Event{Account: account, Subject: "dep_1", Type: "t"})
	})
	var first event.Position
	for _, op := range []struct {
		name string
		do   func(ctx context.Context, tx *db.Tx) error
	}{
		{"Now", func(ctx context.Context, tx *db.Tx) error { _, err := l.Now(ctx, tx, account); return err }},
		{"Hold", func(ctx context.Context, tx *db.Tx) error { _, err := l.Hold(ctx, tx, account); return err }},
		{"Behind", func(ctx context.Context, tx *db.Tx) (err error) {
			first, _, err = l.Behind(ctx, tx, account, event.Beginning)
			return err
		}},
		{"Next", func(ctx context.Context, tx *db.Tx) error { _, _, err := l.Next(ctx, tx, first, 10); return err }},
		{"Follower.Next", func(ctx context.Context, tx *db.Tx) error {
			_, _, err := follower.Next(ctx, tx, first, 10)
			return err
		}},
		{"List", func(ctx context.Context, tx *db.Tx) error {
			_, _, err := l.List(ctx, tx, account, "dep_1", page)
			return err
		}},
		{"History", func(ctx context.Context, tx *db.Tx) error {
			_, _, err := l.History(ctx, tx, account, event.Filter{}, page)
			return err
		}},
		{"Poll", func(ctx context.Context, tx *db.Tx) error { return l.Poll(ctx, tx) }},
	} {
		faults.FailEachTx(t, op.name, d, op.do)
	}
	_, total, err := l.History(t.Context(), d, account, event.Filter{}, page)
	if err != nil || total.Total != 1 {
		t.Errorf("%d events after failures, %v; want 1", total.Total, err)
	}
}
