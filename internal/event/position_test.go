package event_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

// Many transactions append at once, some of which are rolled back. Readers that know only the last
// event's ID read a few events at a time. Each sees every event of its account once, and all see
// the same order.
func TestService_NextMissesAndRepeatsNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		const writers, rounds = 12, 25
		accounts := []id.ID{"acc_1", "acc_2", "acc_3"}
		l, perAccount := event.New(id.NewMaker(c, rand.Reader)), map[id.ID]int{}
		for w := range writers {
			perAccount[accounts[w%3]] += 2 * rounds
			perAccount[accounts[(w+1)%3]] += rounds
		}
		var running sync.WaitGroup
		for w := range writers {
			running.Go(func() { appendRounds(t, l, d, w, rounds, accounts[w%3], accounts[(w+1)%3]) })
		}
		seen := make([][]string, 6)
		for i := range seen {
			account := accounts[i%3]
			running.Go(func() { seen[i] = readUntil(t, l, d, account, perAccount[account], 1+i) })
		}
		running.Wait()
		for i, got := range seen {
			want := perAccount[accounts[i%3]]
			if different := len(slices.Compact(slices.Sorted(slices.Values(got)))); len(got) != want ||
				different != want {
				t.Errorf("reader %d saw %d events, %d of them different; want %d", i, len(got), different, want)
			}
			if i >= 3 && !slices.Equal(got, seen[i-3]) {
				t.Errorf("readers %d and %d saw different orders", i, i-3)
			}
		}
		for account, want := range perAccount {
			checkEnd(t, l, d, account, want)
		}
	})
}

// appendRounds appends three events per round, two of them to mine, after a transaction with the
// same events was rolled back.
func appendRounds(t *testing.T, l *event.Service, d *db.DB, writer, rounds int, mine, other id.ID) {
	boom := errors.New("boom")
	for n := range rounds {
		at := func(account id.ID, i int) event.Event {
			return event.Event{Account: account, Subject: "dep_1", Type: "t",
				Data: map[string]any{"n": fmt.Sprint(writer, " ", n, " ", i)}}
		}
		for _, fail := range []error{boom, nil} {
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return errors.Join(l.Append(ctx, tx, at(mine, 0), at(other, 1), at(mine, 2)), fail)
			})
			if !errors.Is(err, fail) {
				t.Errorf("InTx = %v, want %v", err, fail)
			}
		}
	}
}

// readUntil reads the account's events, as many at a time as the limit, until it has seen want.
func readUntil(t *testing.T, l *event.Service, d *db.DB, account id.ID, want, limit int) (seen []string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changed, stop := l.Watch(account)
	defer stop()
	at := event.Beginning
	for len(seen) < want {
		p, found, err := l.Behind(ctx, d, account, at)
		if err != nil || !found {
			t.Errorf("Behind(%s) = %t, %v", at, found, err)
			return seen
		}
		events, next, err := l.Next(ctx, d, p, limit)
		if err != nil {
			t.Error(err)
			return seen
		}
		at = next.Event
		for _, e := range events {
			if e.Account != account {
				t.Errorf("%s reads an event of %s", account, e.Account)
			}
			seen = append(seen, fmt.Sprint(e.ID, " ", e.Data["n"]))
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Errorf("a reader of %s was not woken after %d events of %d", account, len(seen), want)
			return seen
		}
	}
	return seen
}

// checkEnd checks that nothing follows the account's position Now, and that the history has all
// its events.
func checkEnd(t *testing.T, l *event.Service, d *db.DB, account id.ID, want int) {
	t.Helper()
	now, err := l.Now(t.Context(), d, account)
	if err != nil {
		t.Fatal(err)
	}
	if events, _, err := l.Next(t.Context(), d, now, 1); err != nil || len(events) != 0 {
		t.Errorf("Next after Now = %v, %v; want none", events, err)
	}
	list, total, err := l.History(t.Context(), d, account, event.Filter{}, db.Page{Number: 1, Limit: 100})
	if err != nil || total.Total != want || len(list) != 100 {
		t.Fatalf("History(%s) = %d events of %d, %v; want 100 of %d", account, len(list), total.Total, err, want)
	}
	if d.Engine() == db.SQLite && list[0].ID <= list[99].ID {
		t.Errorf("History(%s) is not newest first", account)
	}
}

func TestPositionBelongsToOneAccount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		l := event.New(id.NewMaker(c, rand.Reader))
		if p, err := l.Now(t.Context(), d, "acc_1"); err != nil || p.Event != event.Beginning {
			t.Fatalf("%+v %v", p, err)
		}
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return l.Append(ctx, tx,
				event.Event{Account: "acc_1", Subject: "dep_1", Type: "deployment.running"},
				event.Event{Account: "acc_1", Subject: "vol_1", Type: "volume.created"},
				event.Event{Account: "acc_2", Subject: "dep_2", Type: "deployment.running"})
		})
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.Now(t.Context(), d, "acc_2")
		if err != nil {
			t.Fatal(err)
		}
		for account, want := range map[id.ID]bool{"acc_1": false, "acc_2": true} {
			if _, found, err := l.Behind(t.Context(), d, account, p.Event); err != nil || found != want {
				t.Errorf("%s finds acc_2's event: %v %v", account, found, err)
			}
		}
		for _, f := range []struct {
			event.Filter
			want int
		}{{event.Filter{}, 2}, {event.Filter{Subject: "vol_1"}, 1},
			{event.Filter{Types: []string{"deployment.running", "x"}}, 1}, {event.Filter{Subject: "dep_2"}, 0}} {
			got, total, err := l.History(t.Context(), d, "acc_1", f.Filter, db.Page{Number: 1, Limit: 10})
			if err != nil || total.Total != f.want || len(got) != f.want {
				t.Errorf("%+v: %d of %d, %v", f.Filter, len(got), total.Total, err)
			}
			for _, e := range got {
				if !f.Matches(e) {
					t.Errorf("%+v does not let %+v", f.Filter, e)
				}
			}
		}
	})
}

// Commits of another replica wake no watcher by themselves.
func TestService_PollFindsEventsOfOtherReplicas(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		ids := id.NewMaker(c, rand.Reader)
		here, there := event.New(ids), event.New(ids)
		changed, stop := here.Watch("acc_1")
		defer stop()
		other, stopOther := here.Watch("acc_2")
		defer stopOther()
		woken := func(c <-chan struct{}) bool {
			select {
			case <-c:
				return true
			default:
				return false
			}
		}
		poll := func() {
			if err := here.Poll(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return there.Append(ctx, tx, event.Event{Account: "acc_1", Subject: "dep_1", Type: "t"})
			})
			if err != nil || woken(changed) {
				t.Fatal("woken without Poll", err)
			}
			poll()
			if !woken(changed) || woken(other) {
				t.Fatal("not woken by Poll, or the wrong watcher")
			}
			poll()
			if woken(changed) {
				t.Fatal("woken by nothing")
			}
		}
	})
}
