package event_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

// Writers of many transactions at once, some of which are rolled back; readers that wait, read a
// few, drop what they know but the last event's id, and go on. Each reader sees every event of its
// account once, in one order that is the same for all.
func TestService_NextMissesAndRepeatsNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		const writers, rounds = 12, 25
		accounts := []id.ID{"acc_1", "acc_2", "acc_3"}
		l, boom := event.New(id.NewMaker(c, rand.Reader)), errors.New("boom")
		perAccount := map[id.ID]int{}
		var writing, reading sync.WaitGroup
		for w := range writers {
			for range rounds {
				perAccount[accounts[w%3]] += 2
				perAccount[accounts[(w+1)%3]]++
			}
			writing.Go(func() {
				for n := range rounds {
					for _, fail := range []error{boom, nil} {
						mine, other := accounts[w%3], accounts[(w+1)%3]
						at := func(a id.ID, i int) event.Event {
							return event.Event{Account: a, Subject: "dep_1", Type: "t",
								Data: map[string]any{"n": fmt.Sprint(w, " ", n, " ", i)}}
						}
						err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
							return errors.Join(l.Append(ctx, tx, at(mine, 0), at(other, 1), at(mine, 2)), fail)
						})
						if !errors.Is(err, fail) {
							t.Error(err)
						}
					}
				}
			})
		}
		seen := make([][]string, 6)
		for i := range seen {
			account := accounts[i%3]
			reading.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				changed, stop := l.Watch(account)
				defer stop()
				at := event.Beginning
				for len(seen[i]) < perAccount[account] {
					p, found, err := l.Behind(ctx, d, account, at)
					if err != nil || !found {
						t.Errorf("behind %s: %v %v", at, found, err)
						return
					}
					events, next, err := l.Next(ctx, d, p, 1+i)
					if err != nil {
						t.Error(err)
						return
					}
					at = next.Event
					for _, e := range events {
						if e.Account != account {
							t.Errorf("%s reads an event of %s", account, e.Account)
						}
						seen[i] = append(seen[i], fmt.Sprint(e.ID, " ", e.Data["n"]))
					}
					if len(events) == 0 {
						select {
						case <-changed:
						case <-ctx.Done():
							t.Errorf("reader %d was not woken after %d of %d", i, len(seen[i]), perAccount[account])
							return
						}
					}
				}
			})
		}
		writing.Wait()
		reading.Wait()
		for i, got := range seen {
			once := map[string]bool{}
			for _, e := range got {
				once[e] = true
			}
			if len(got) != perAccount[accounts[i%3]] || len(once) != len(got) {
				t.Errorf("reader %d saw %d events, %d different ones, of %d", i, len(got), len(once),
					perAccount[accounts[i%3]])
			}
			if i >= 3 && fmt.Sprint(got) != fmt.Sprint(seen[i-3]) {
				t.Errorf("readers %d and %d saw different orders", i, i-3)
			}
		}
		for _, a := range accounts {
			if now, err := l.Now(t.Context(), d, a); err != nil {
				t.Error(err)
			} else if events, _, err := l.Next(t.Context(), d, now, 1); err != nil || len(events) != 0 {
				t.Errorf("after now there is %v, %v", events, err)
			}
			list, total, err := l.History(t.Context(), d, a, event.Filter{}, db.Page{Number: 1, Limit: 100})
			if err != nil || total.Total != perAccount[a] || len(list) != 100 ||
				list[0].ID <= list[99].ID && d.Engine() == db.SQLite {
				t.Errorf("%s: %d events of %d, %v", a, len(list), total.Total, err)
			}
		}
	})
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
