package event_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

// counted counts the queries that are asked of a database.
type counted struct {
	*db.DB
	asked atomic.Int64
}

func (c *counted) Query(ctx context.Context, query string, args ...any) (*db.Rows, error) {
	c.asked.Add(1)
	return c.DB.Query(ctx, query, args...)
}

func TestFollowersShareReads(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		l, r := event.New(id.NewMaker(c, rand.Reader)), &counted{DB: d}
		appendOne := func(n int) {
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return l.Append(ctx, tx, event.Event{Account: "acc_1", Subject: "dep_1", Type: fmt.Sprint(n)},
					event.Event{Account: "acc_2", Subject: "dep_2", Type: "other"})
			}); err != nil {
				t.Fatal(err)
			}
		}
		appendOne(0)
		const followers, commits = 100, 12
		var begun, done sync.WaitGroup
		begun.Add(followers)
		for i := range followers {
			done.Go(func() {
				f := l.Follow("acc_1")
				defer f.Stop()
				at, want := event.Position{}, 0
				var err error
				if i%10 == 0 { // some begin at the very beginning
					at, _, err = l.Behind(t.Context(), d, "acc_1", event.Beginning)
				} else {
					at, err = l.Now(t.Context(), d, "acc_1")
					want = 1
				}
				begun.Done()
				for err == nil {
					var events []event.Event
					if events, at, err = f.Next(t.Context(), r, at, 5); err != nil {
						break
					}
					for _, e := range events {
						if e.Type != fmt.Sprint(want) || e.Account != "acc_1" {
							t.Errorf("follower %d got %s, want %d", i, e.Type, want)
							return
						}
						want++
					}
					if want > commits {
						return
					}
					if len(events) < 5 {
						<-f.Changed
					}
				}
				t.Error(err)
			})
		}
		begun.Wait()
		for n := range commits {
			appendOne(n + 1)
		}
		done.Wait()
		if n := r.asked.Load(); n > 12*commits {
			t.Errorf("%d followers asked %d times for %d commits", followers, n, commits)
		}
		// With nothing new, nothing is asked.
		f := l.Follow("acc_2")
		defer f.Stop()
		at, err := l.Now(t.Context(), d, "acc_2")
		if err != nil {
			t.Fatal(err)
		}
		r.asked.Store(0)
		for range 5 {
			if events, _, err := f.Next(t.Context(), r, at, 5); err != nil || len(events) > 0 {
				t.Errorf("%v, %v", events, err)
			}
		}
		if n := r.asked.Load(); n != 1 {
			t.Errorf("%d queries where nothing is new", n)
		}
	})
}

// A follower that begins ahead of what the others have read misses nothing, and neither do they.
func TestFollowersAtDifferentPositions(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		l := event.New(id.NewMaker(c, rand.Reader))
		n := 0
		appendEvents := func(count int) {
			for range count {
				n++
				if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					return l.Append(ctx, tx, event.Event{Account: "acc_1", Subject: "dep_1", Type: fmt.Sprint(n)})
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		now := func() event.Position {
			at, err := l.Now(t.Context(), d, "acc_1")
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		slow, fast := l.Follow("acc_1"), l.Follow("acc_1")
		defer slow.Stop()
		defer fast.Stop()
		// read reads to the end, and checks that the types are those from first to n.
		read := func(f *event.Follower, at event.Position, first int) event.Position {
			t.Helper()
			for want := first; ; {
				events, next, err := f.Next(t.Context(), d, at, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					if e.Type != fmt.Sprint(want) {
						t.Fatalf("got event %s, want %d", e.Type, want)
					}
					want++
				}
				if at = next; len(events) == 0 {
					if want != n+1 {
						t.Fatalf("read up to event %d, want %d", want-1, n)
					}
					return at
				}
			}
		}
		appendEvents(1)
		slowAt := now()
		appendEvents(1)
		slowAt = read(slow, slowAt, 2)
		appendEvents(3)
		fastAt := now()
		appendEvents(1)
		fastAt = read(fast, fastAt, 6)
		slowAt = read(slow, slowAt, 3)
		appendEvents(5)
		read(slow, slowAt, 7)
		read(fast, fastAt, 7)
	})
}

func TestFailedReadDoesNotBlockOtherFollowers(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		l := event.New(id.NewMaker(c, rand.Reader))
		at, err := l.Now(t.Context(), d, "acc_1")
		if err != nil {
			t.Fatal(err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		a, b := l.Follow("acc_1"), l.Follow("acc_1")
		defer a.Stop()
		defer b.Stop()
		if _, _, err := a.Next(gone, d, at, 5); err == nil {
			t.Error("a context that is over read something")
		}
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return l.Append(ctx, tx, event.Event{Account: "acc_1", Subject: "dep_1", Type: "a"})
		}); err != nil {
			t.Fatal(err)
		}
		if events, _, err := b.Next(t.Context(), d, at, 5); err != nil || len(events) != 1 {
			t.Errorf("%v, %v", events, err)
		}
	})
}
