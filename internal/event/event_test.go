package event_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

func TestEventsAreCommittedWithTheirChange(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		l, boom := event.New(id.NewMaker(c, rand.Reader)), errors.New("boom")
		changed, cancel := l.Watch("dep_1")
		defer cancel()
		add := func(kind string, fail error) {
			t.Helper()
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return errors.Join(l.Append(ctx, tx, event.Event{Account: "acc_1", Subject: "dep_1", Type: kind,
					Data: map[string]any{"n": kind}}), fail)
			})
			if !errors.Is(err, fail) {
				t.Fatal(err)
			}
		}
		add("deployment.created", boom)
		select {
		case <-changed:
			t.Fatal("woken by a change that was rolled back")
		default:
		}
		add("deployment.created", nil)
		<-changed
		add("deployment.running", nil)
		got, total, err := l.List(t.Context(), d, "acc_1", "dep_1", db.Page{Number: 2, Limit: 1})
		if err != nil || total.Total != 2 || len(got) != 1 || got[0].Type != "deployment.running" ||
			got[0].Data["n"] != "deployment.running" || !got[0].CreatedAt.Equal(c.Now()) {
			t.Fatalf("%+v of %d, %v", got, total.Total, err)
		}
		if got, total, err := l.List(t.Context(), d, "acc_2", "dep_1", db.Page{Number: 1, Limit: 10}); err != nil ||
			total.Total != 0 || len(got) != 0 {
			t.Fatalf("another account sees %+v of %d, %v", got, total.Total, err)
		}
	})
}

func TestService_History(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		l := event.New(id.NewMaker(c, rand.Reader))
		var all []event.Event
		for _, subject := range []id.ID{"dep_1", "dep_2"} {
			for _, kind := range []string{"deployment.created", "deployment.running", "deployment.terminated"} {
				all = append(all, event.Event{Account: "acc_1", Subject: subject, Type: kind})
			}
		}
		for _, e := range append(all, event.Event{Account: "acc_2", Subject: "dep_1", Type: "deployment.created"}) {
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return l.Append(ctx, tx, e)
			}); err != nil {
				t.Fatal(err)
			}
		}
		types := [][]string{
			nil, {"deployment.running"}, {"deployment.created", "deployment.terminated"}, {"volume.created"},
		}
		for _, subject := range []id.ID{"", "dep_1", "dep_2", "dep_3"} {
			for _, kinds := range types {
				f := event.Filter{Subject: subject, Types: kinds}
				var want, got []string
				for _, e := range slices.Backward(all) { // newest first
					if f.Matches(e) {
						want = append(want, string(e.Subject)+" "+e.Type)
					}
				}
				page, of, err := l.History(t.Context(), d, "acc_1", f, db.Page{Number: 1, Limit: 100})
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page {
					got = append(got, string(e.Subject)+" "+e.Type)
				}
				if !slices.Equal(got, want) || of.Total != len(want) {
					t.Errorf("%+v:\n got %q of %d\nwant %q", f, got, of.Total, want)
				}
			}
		}
	})
}

func TestService_EndWatches(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		l := event.New(id.NewMaker(c, rand.Reader))
		before, cancel := l.Watch("dep_1")
		l.EndWatches()
		after, cancelAfter := l.Watch("dep_1")
		for name, changed := range map[string]<-chan struct{}{"before": before, "after": after} {
			if _, open := <-changed; open {
				t.Errorf("the watch that began %s is still open", name)
			}
		}
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error { // what is under way still ends in order
			return l.Append(ctx, tx, event.Event{Account: "acc_1", Subject: "dep_1", Type: "deployment.updated"})
		})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		cancelAfter()
		l.EndWatches()
	})
}

// The one that appends first commits last: its events stand behind, and so do their ids.
func TestIDsRiseInTheOrderOfCommits(t *testing.T) {
	c := clock.NewSimulated(0)
	d := dbtest.Postgres(t, c) // SQLite has one writer at a time
	l := event.New(id.NewMaker(c, rand.Reader))
	add := func(kind string, meanwhile func()) {
		t.Helper()
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			err := l.Append(ctx, tx, event.Event{Account: "acc_1", Subject: "dep_1", Type: kind})
			meanwhile()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	add("first", func() { add("second", func() {}) })
	got, _, err := l.List(t.Context(), d, "acc_1", "dep_1", db.Page{Number: 1, Limit: 10})
	if err != nil || len(got) != 2 || got[0].Type != "second" || got[0].ID >= got[1].ID {
		t.Fatalf("%+v, %v", got, err)
	}
}
