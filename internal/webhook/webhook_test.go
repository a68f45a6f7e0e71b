package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/webhook"
)

const ada, bob id.ID = "acc_ada", "acc_bob"

func TestEventsAreSentOnceInOrderAndSigned(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		w.happen(ada, "before.it")
		hook, secret := w.create(ada, webhook.Request{URL: to.URL, Description: "all"})
		w.happen(ada, "deployment.created", "deployment.deploying")
		w.happen(bob, "deployment.created")
		w.happen(ada, "deployment.running")
		w.drain()
		got, events := to.take(), w.history(ada)[1:]
		if len(got) != 3 {
			t.Fatalf("%d requests", len(got))
		}
		for i, q := range got {
			if err := q.verify(secret); err != nil {
				t.Error(err)
			}
			if err := (request{header: q.header, body: append(q.body, ' ')}).verify(secret); err == nil {
				t.Error("a changed body verifies")
			}
			var sent map[string]any
			if err := json.Unmarshal(q.body, &sent); err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(events[i]) // as GET /events has it
			var want map[string]any
			_ = json.Unmarshal(text, &want)
			same(t, "timestamp", sent["timestamp"], want["createdAt"])
			delete(sent, "timestamp")
			same(t, "body", sent, want)
			same(t, "id", q.id, events[i].ID)
			same(t, "content type", q.header.Get("Content-Type"), "application/json")
		}
		list := w.deliveries(ada, hook.ID, "")
		if len(list) != 3 || list[0].Event != events[2].ID || list[0].Status != webhook.Delivered ||
			list[0].AttemptCount != 1 || *list[0].Attempts[0].Status != 200 || list[0].NextAttemptAt != nil {
			t.Fatalf("%+v", list)
		}
		if e := w.get(ada, hook.ID); e.LastDeliveredAt == nil || e.FailingSince != nil {
			t.Errorf("%+v", e)
		}
		w.pass(100 * time.Hour)
		if again := to.take(); len(again) != 0 {
			t.Errorf("sent again: %v", again)
		}
	})
}

func TestEndpointGetsOnlyItsTypes(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL,
			Types: []string{"deployment.*", "volume.created", "volume.created"}})
		same(t, "types", hook.Types, []string{"deployment.*", "volume.created"})
		w.happen(ada, "deployment.running", "volume.created", "volume.deleted", "deploymentx.y", "account.past_due",
			"deployment.terminated")
		w.drain()
		same(t, "sent", to.kinds(), []string{"deployment.running", "volume.created", "deployment.terminated"})
		none := []string{}
		w.update(ada, hook.ID, webhook.Update{Types: &none})
		w.happen(ada, "account.past_due")
		w.drain()
		same(t, "sent", to.kinds(), []string{"account.past_due"})
	})
}

func TestFailuresAreRetriedForThreeDaysThenPaused(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL, Description: "mine"})
		other, _ := w.create(ada, webhook.Request{URL: to.URL + "/other", Types: []string{"webhook.*"}})
		to.answers(500, "no\x00\n<b>luck</b>\u202e"+strings.Repeat("x", 5000))
		began := w.clock.Now()
		w.happen(ada, "deployment.running")
		w.drain()
		if e := w.get(ada, hook.ID); e.FailingSince == nil || !e.FailingSince.Equal(began) || !e.Enabled {
			t.Fatalf("%+v", e)
		}
		d := w.deliveries(ada, hook.ID, webhook.Pending)[0]
		if len(d.Attempts) != 1 || *d.Attempts[0].Status != 500 ||
			!strings.HasPrefix(d.Attempts[0].Response, "no <b>luck</b>xxx") || len(d.Attempts[0].Response) != 500 {
			t.Fatalf("%+v", d.Attempts)
		}
		same(t, "next", d.NextAttemptAt, began.Add(5*time.Second))
		w.pass(72*time.Hour - time.Minute)
		if e := w.get(ada, hook.ID); !e.Enabled {
			t.Fatalf("%+v", e)
		}
		to.answers(503, "")
		w.pass(2 * time.Minute)
		d = w.deliveries(ada, hook.ID, webhook.Failed)[0]
		at := []time.Duration{}
		for _, a := range d.Attempts {
			at = append(at, a.At.Sub(began))
		}
		h := time.Hour
		x := 5*time.Second + 5*time.Minute + 30*time.Minute
		same(t, "attempts", at, []time.Duration{0, 5 * time.Second, 5*time.Minute + 5*time.Second, x, x + 2*h, x + 7*h,
			x + 17*h, x + 29*h, x + 41*h, x + 53*h, x + 65*h, 72 * h})
		e := w.get(ada, hook.ID)
		if e.Status != webhook.Paused || e.StatusReason == nil || !strings.Contains(*e.StatusReason, "503") {
			t.Fatalf("%+v", e)
		}
		told := w.history(ada)
		last := told[len(told)-1]
		if last.Type != "webhook.paused" || last.Subject != hook.ID || last.Data["description"] != "mine" {
			t.Fatalf("%+v", last)
		}
		to.answers(200, "")
		to.take()
		w.pass(2 * time.Hour)
		same(t, "the other endpoint is told", to.kinds(), []string{"webhook.paused"})
		if e := w.get(ada, other.ID); !e.Enabled {
			t.Errorf("%+v", e)
		}

		// What happens while it is paused is sent when it is enabled again.
		w.happen(ada, "deployment.terminated")
		w.pass(time.Hour)
		same(t, "while it is paused", to.kinds(), []string{})
		yes := true
		if e := w.update(ada, hook.ID, webhook.Update{Enabled: &yes}); e.Status != webhook.Enabled ||
			e.StatusReason != nil {
			t.Errorf("%+v", e)
		}
		w.drain()
		same(t, "enabled again", to.kinds(), []string{"webhook.paused", "deployment.terminated"})
	})
}

func TestSuccessKeepsAnEndpointEnabled(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		to.answer = func(rw http.ResponseWriter, q request) {
			if q.kind == "deployment.poison" {
				rw.WriteHeader(500)
			}
		}
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		w.happen(ada, "deployment.poison")
		w.pass(time.Hour)
		w.happen(ada, "deployment.running")
		w.pass(80 * time.Hour)
		if e := w.get(ada, hook.ID); e.Status != webhook.Enabled {
			t.Errorf("%+v", e)
		}
		if failed := w.deliveries(ada, hook.ID, webhook.Failed); len(failed) != 1 ||
			failed[0].Type != "deployment.poison" {
			t.Errorf("%+v", failed)
		}
	})
}

func TestGoneDisablesEndpoint(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		to.answers(410, "")
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		w.happen(ada, "deployment.running", "deployment.terminated")
		w.pass(100 * time.Hour)
		same(t, "sent", len(to.take()), 1)
		if e := w.get(ada, hook.ID); e.Status != webhook.Disabled || e.StatusReason == nil {
			t.Errorf("%+v", e)
		}
		all := w.history(ada)
		same(t, "told", all[len(all)-1].Type, "webhook.disabled")
		to.answers(204, "")
		yes := true
		w.update(ada, hook.ID, webhook.Update{Enabled: &yes})
		w.pass(time.Minute)
		same(t, "enabled again", to.kinds(), []string{"deployment.terminated", "webhook.disabled"})
	})
}

func TestEnabledEndpointContinuesWhereItStopped(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		no, yes := false, true
		hook, _ := w.create(ada, webhook.Request{URL: to.URL, Disabled: true})
		w.happen(ada, "a.b")
		w.pass(time.Hour)
		same(t, "disabled", to.kinds(), []string{})
		w.update(ada, hook.ID, webhook.Update{Enabled: &yes})
		w.drain()
		same(t, "enabled", to.kinds(), []string{"a.b"})
		w.happen(ada, "c.d")
		w.update(ada, hook.ID, webhook.Update{Enabled: &no})
		w.drain() // the job is there, and sends nothing
		same(t, "disabled again", to.kinds(), []string{})
		w.update(ada, hook.ID, webhook.Update{Enabled: &yes})
		w.drain()
		same(t, "enabled again", to.kinds(), []string{"c.d"})
	})
}

func TestOldSecretSignsForADay(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, first := w.create(ada, webhook.Request{URL: to.URL})
		rotate := func() (shown string) {
			t.Helper()
			err := w.tx(func(ctx context.Context, tx *db.Tx) error {
				e, s, err := w.RotateSecret(ctx, tx, ada, hook.ID)
				shown = s
				if err == nil && (e.OldSecretUntil == nil || !e.OldSecretUntil.Equal(tx.Now.Add(webhook.Overlap))) {
					t.Errorf("%+v", e)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return shown
		}
		second := rotate()
		if first == second || !strings.HasPrefix(second, "whsec_") {
			t.Fatalf("%q %q", first, second)
		}
		send := func(good, bad []string) {
			t.Helper()
			w.happen(ada, "a.b")
			w.drain()
			q := to.take()[0]
			for _, s := range good {
				if err := q.verify(s); err != nil {
					t.Error(err)
				}
			}
			for _, s := range bad {
				if q.verify(s) == nil {
					t.Error("an old secret still signs")
				}
			}
			same(t, "signatures", len(strings.Fields(q.header.Get("webhook-signature"))), len(good))
		}
		send([]string{first, second}, nil)
		third := rotate()
		send([]string{second, third}, []string{first})
		w.clock.Advance(webhook.Overlap)
		send([]string{third}, []string{first, second})
		if e := w.get(ada, hook.ID); e.OldSecretUntil != nil {
			t.Errorf("%+v", e)
		}
		var kept string
		if err := w.d.QueryRow(t.Context(), `SELECT secret || old_secret FROM webhook`).Scan(&kept); err != nil ||
			strings.Contains(kept, strings.TrimPrefix(third, "whsec_")) {
			t.Errorf("%v: %s", err, kept)
		}
	})
}

// replay is Replay in a transaction.
func (w *world) replay(account, hook, delivery id.ID) (out webhook.Delivery, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		out, err = w.Replay(ctx, tx, account, hook, delivery)
		return err
	})
	return out, err
}

// test sends a test to ada's webhook.
func (w *world) test(hook id.ID) (out webhook.Delivery) {
	w.t.Helper()
	err := w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		out, err = w.Test(ctx, tx, ada, hook)
		return err
	})
	if err != nil || out.Status != webhook.Pending || out.Type != webhook.TypeTest {
		w.t.Fatalf("Test = %+v, %v", out, err)
	}
	return out
}

// replayed replays ada's delivery, and checks that it is pending.
func (w *world) replayed(hook, delivery id.ID) {
	w.t.Helper()
	if d, err := w.replay(ada, hook, delivery); err != nil || d.Status != webhook.Pending || d.NextAttemptAt == nil {
		w.t.Fatalf("Replay = %+v, %v; want a pending delivery", d, err)
	}
	w.drain()
}

func TestService_Replay(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, secret := w.create(ada, webhook.Request{URL: to.URL, Types: []string{"deployment.running"}})
		w.happen(ada, "deployment.running")
		w.drain()
		first, d := to.only(t), w.deliveries(ada, hook.ID, "")[0]
		w.replayed(hook.ID, d.ID)
		second := to.only(t)
		same(t, "id", second.id, first.id)
		same(t, "body", string(second.body), string(first.body))
		if err := second.verify(secret); err != nil {
			t.Error(err)
		}
		same(t, "attempts", len(w.deliveries(ada, hook.ID, webhook.Delivered)[0].Attempts), 2)

		no := false
		w.update(ada, hook.ID, webhook.Update{Enabled: &no})
		for _, c := range []struct {
			name                    string
			account, hook, delivery id.ID
			want                    apierr.Code
		}{
			{"a disabled webhook", ada, hook.ID, d.ID, apierr.Conflict},
			{"another account", bob, hook.ID, d.ID, apierr.NotFound},
			{"an unknown webhook", ada, "whk_x", d.ID, apierr.NotFound},
			{"an unknown delivery", ada, hook.ID, "whd_x", apierr.NotFound},
		} {
			if _, err := w.replay(c.account, c.hook, c.delivery); err == nil || apierr.CodeOf(err) != c.want {
				t.Errorf("Replay with %s = %v, want %s", c.name, err, c.want)
			}
		}
	})
}

func TestService_Test(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, secret := w.create(ada, webhook.Request{URL: to.URL, Types: []string{"deployment.running"}})
		made := w.test(hook.ID)
		w.drain()
		q := to.only(t)
		if err := q.verify(secret); err != nil {
			t.Error(err)
		}
		w.replayed(hook.ID, made.ID) // a test can be sent again, like everything that is listed
		for _, q := range []request{q, to.only(t)} {
			same(t, "type", q.kind, webhook.TypeTest)
			same(t, "id", q.id, string(made.Event))
		}
		same(t, "events in the log", len(w.history(ada)), 0)

		no := false
		w.update(ada, hook.ID, webhook.Update{Enabled: &no})
		to.answers(500, "")
		w.test(hook.ID)
		w.pass(time.Hour)
		same(t, "attempts of a failing test of a disabled webhook", to.kinds(), []string{webhook.TypeTest})
		if e := w.get(ada, hook.ID); e.FailingSince != nil {
			t.Errorf("a failing test counts: the webhook is failing since %s", e.FailingSince)
		}
	})
}

// What failed before a webhook was disabled is not sent again, although a test is.
func TestDisabledWebhookIsSentOnlyTests(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		to.answers(500, "")
		w.happen(ada, "deployment.running")
		w.drain()
		to.only(t)
		no := false
		w.update(ada, hook.ID, webhook.Update{Enabled: &no})
		w.clock.Advance(time.Hour) // the retry is due
		w.test(hook.ID)
		w.drain()
		same(t, "sent while disabled", to.kinds(), []string{webhook.TypeTest})
	})
}

// Without its secret a delivery cannot be signed, and is not sent.
func TestUnreadableSecretSendsNothing(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		w.happen(ada, "deployment.running")
		if err := w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE webhook SET secret = 'damaged'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Send(t.Context(), hook.ID); err == nil {
			t.Error("Send with a damaged secret = nil, want an error")
		}
		same(t, "sent", to.kinds(), []string{})
	})
}

func TestBounds(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		create := func(req webhook.Request) error {
			return w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, _, err := w.Create(ctx, tx, ada, req)
				return err
			})
		}
		err := create(webhook.Request{URL: "ftp://x", Description: "a\nb",
			Types: []string{"deployment.running", "deployment.*", "A", "*", "deployment.*.running",
				"deployment.runing", "deploiment.*"}})
		var fields []string
		for _, f := range err.(*apierr.Error).Fields() {
			fields = append(fields, f.Field)
		}
		same(t, "fields", fields, []string{"url", "description", "types[2]", "types[3]", "types[4]", "types[5]",
			"types[6]"})
		same(t, "what may be meant", strings.Contains(fmt.Sprint(err.(*apierr.Error).Fields()),
			"Did you mean deployment.running?"), true)
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for range 14 { // at once
			wg.Go(func() {
				err := create(webhook.Request{URL: "https://example.com"})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				} else if apierr.CodeOf(err) != apierr.LimitReached {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		list, n, err := w.List(t.Context(), w.d, ada, db.Page{Number: 1, Limit: 100})
		if err != nil || made != webhook.MaxPerAccount || n.Total != made || len(list) != made {
			t.Fatalf("%d made, %d listed, %v", made, n.Total, err)
		}
		if err := w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Delete(ctx, tx, bob,
				list[0].ID)
			return err
		}); apierr.CodeOf(err) != apierr.NotFound {
			t.Error(err)
		}
		if err := w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Delete(ctx, tx, ada,
				list[0].ID)
			return err
		}); err != nil {
			t.Error(err)
		}
		if err := create(webhook.Request{URL: "https://example.com"}); err != nil {
			t.Error(err)
		}
	})
}

func TestDeliveriesAreDeletedAfterThirtyDaysAndWithTheirEndpoint(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		for range 1 + 1100/50 {
			w.happen(ada, strings.Split(strings.Repeat("a.b ", 49)+"a.b", " ")...)
		}
		w.drain()
		w.clock.Advance(webhook.Kept - time.Hour)
		w.happen(ada, "c.d")
		w.drain()
		w.clock.Advance(2 * time.Hour)
		if _, err := w.Purge(t.Context(), webhook.Fleet); err != nil {
			t.Fatal(err)
		}
		count := func(table string) (n int) {
			t.Helper()
			if err := w.d.QueryRow(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		same(t, "deliveries and attempts", []int{count("webhook_delivery"), count("webhook_attempt")}, []int{1, 1})
		if err := w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Delete(ctx, tx, ada,
				hook.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		same(t, "after its end", []int{count("webhook"), count("webhook_delivery"), count("webhook_attempt")},
			[]int{0, 0, 0})
		w.happen(ada, "e.f")
		w.drain()
	})
}

// What is sent again late is tried for its three days, however old it is.
func TestRetriedDeliveriesAreNotPurged(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		w.happen(ada, "a.b")
		w.drain()
		w.clock.Advance(webhook.Kept - time.Hour)
		to.answers(500, "")
		old := w.deliveries(ada, hook.ID, webhook.Delivered)[0]
		if err := w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Replay(ctx, tx, ada, hook.ID, old.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		w.drain()
		w.clock.Advance(2 * time.Hour)
		if _, err := w.Purge(t.Context(), webhook.Fleet); err != nil {
			t.Fatal(err)
		}
		to.answers(204, "")
		w.pass(12 * time.Hour)
		same(t, "delivered", len(w.deliveries(ada, hook.ID, webhook.Delivered)), 1)
		if _, err := w.Purge(t.Context(), webhook.Fleet); err != nil {
			t.Fatal(err)
		}
		same(t, "remembered", len(w.deliveries(ada, hook.ID, "")), 0)
	})
}

// The lock that orders an account's events orders the making of an endpoint, too: whatever is
// committed later is sent to it.
func TestEndpointGetsEventsCommittedAfterIt(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		const writers, each = 6, 20
		var writing sync.WaitGroup
		for range writers {
			writing.Go(func() {
				for range each {
					if err := w.tx(func(ctx context.Context,
						tx *db.Tx) error {
						return appendTo(ctx, tx, w.events, ada, "a.b")
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var hooks []id.ID
		for range 5 {
			hook, _ := w.create(ada, webhook.Request{URL: to.URL})
			hooks = append(hooks, hook.ID)
		}
		writing.Wait()
		w.drain()
		all := w.history(ada)
		place := map[id.ID]int{}
		for i, e := range all {
			place[e.ID] = i
		}
		for _, h := range hooks {
			var list []webhook.Delivery
			for n := 1; ; n++ {
				some, _, err := w.Deliveries(t.Context(), w.d, ada, h, webhook.Delivered,
					db.Page{Number: n, Limit: 100})
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, some...)
				if len(some) == 0 {
					break
				}
			}
			for i, d := range list { // newest first, without a gap up to the newest event
				if place[d.Event] != len(all)-1-i {
					t.Fatalf("%s: delivery %d of %d is event %d of %d", h, i, len(list), place[d.Event], len(all))
				}
			}
		}
	})
}

// A transaction that has appended looked for endpoints before it commits. One that is made
// meanwhile must wait for it: else that event comes after the endpoint, and no job was enqueued for
// it.
func TestEndpointIsCreatedAfterConcurrentEvents(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		made := make(chan error, 1)
		err := w.tx(func(ctx context.Context, tx *db.Tx) error {
			if err := appendTo(ctx, tx, w.events, ada, "a.b"); err != nil {
				return err
			}
			tx.BeforeCommit(func(context.Context) error {
				go func() {
					made <- w.tx(func(ctx context.Context, tx *db.Tx) error {
						_, _, err := w.Create(ctx, tx, ada, webhook.Request{URL: "https://example.com"})
						return err
					})
				}()
				select { // one that does not wait is quick
				case <-made:
					t.Error("the endpoint was made in between")
					made <- nil
				case <-time.After(300 * time.Millisecond):
				}
				return nil
			})
			return nil
		})
		if err := errors.Join(err, <-made); err != nil {
			t.Fatal(err)
		}
	})
}

// An endpoint that waited for so long that events were deleted gets those that are kept.
func TestEndpointContinuesBehindDeletedEvents(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		w.happen(ada, "deployment.created")
		w.drain()
		off, on := false, true
		w.update(ada, hook.ID, webhook.Update{Enabled: &off})
		w.happen(ada, "deployment.deploying", "deployment.running", "deployment.stopped")
		w.drain()
		all := w.history(ada)
		if err := w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.events.Delete(ctx, tx, all[0].ID, all[2].ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		to.take()
		w.update(ada, hook.ID, webhook.Update{Enabled: &on})
		w.drain()
		if got := to.take(); len(got) != 1 || !strings.Contains(string(got[0].body), "deployment.stopped") {
			t.Errorf("%d requests: %+v", len(got), got)
		}
	})
}
