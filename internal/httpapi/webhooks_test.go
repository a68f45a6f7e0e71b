package httpapi

import (
	"bytes"
	"path"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
)

func TestWebhooksOverTheAPI(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		at := Base + "/webhooks"
		body := map[string]any{
			"url":         "https://example.com/billet",
			"description": "scheduler",
			"types":       []string{"deployment.*"},
		}
		made := w.want(201, w.ada, "POST", at, body, header("Idempotency-Key", "k"))
		hook, secret := made.text("id"), made.text("secret")
		if !strings.HasPrefix(secret, "whsec_") || made.header.Get("Location") != at+"/"+hook {
			t.Fatalf("%s", made.body)
		}
		again := w.want(201, w.ada, "POST", at, body, header("Idempotency-Key", "k"))
		if !bytes.Equal(again.body, made.body) || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s", again.body)
		}
		// The kept answer is readable with the same API key only, and not in the database.
		w.refused("CONFLICT", w.keyWith(w.ada, account.WriteWebhooks), "POST", at, body, header("Idempotency-Key", "k"))
		var kept []byte
		if err := d.QueryRow(t.Context(), `SELECT body FROM idempotency`).Scan(&kept); err != nil || len(kept) == 0 ||
			bytes.Contains(kept, []byte(secret)) {
			t.Errorf("%v %q", err, kept)
		}
		for _, r := range []reply{w.want(200, w.ada, "GET", at, nil), w.want(200, w.ada, "GET", at+"/"+hook, nil),
			w.want(200, w.ada, "PATCH", at+"/"+hook, `{"description":"x"}`)} {
			if bytes.Contains(r.body, []byte("whsec_")) {
				t.Errorf("the secret is shown again: %s", r.body)
			}
		}
		if rotated := w.want(200, w.ada, "POST", at+"/"+hook+"/rotate-secret", nil); rotated.text("secret") == secret ||
			rotated.text("oldSecretValidUntil") == "" {
			t.Errorf("%s", rotated.body)
		}

		w.replays(t, at+"/"+hook)

		r := w.refused(
			"INVALID_REQUEST",
			w.ada,
			"POST",
			at,
			map[string]any{"url": "http://169.254.169.254/", "types": []string{"NO"}, "description": "a\nb"},
		)
		same(t, "fields", r.fields(), []string{"description", "url", "types[0]"})
		w.refused("INVALID_REQUEST", w.ada, "PATCH", at+"/"+hook, `{}`)
		for range 9 {
			w.want(201, w.ada, "POST", at, body)
		}
		w.refused("LIMIT_REACHED", w.ada, "POST", at, body, header("Idempotency-Key", "too-many"))
		same(t, "webhooks", len(w.want(200, w.ada, "GET", at, nil).list), 10)
		w.want(200, w.ada, "DELETE", at+"/"+hook, nil)
		w.refused("NOT_FOUND", w.ada, "GET", at+"/"+hook, nil)

		owner := w.signIn(w.ada)
		done := map[string]int{}
		for _, e := range w.by(200, owner, "GET", AccountBase+"/audit?limit=100", nil).list {
			done[e.(map[string]any)["action"].(string)]++
		}
		for action, n := range map[string]int{"createWebhook": 10, "rotateWebhookSecret": 1, "testWebhook": 1,
			"replayWebhookDelivery": 1, "updateWebhook": 2, "deleteWebhook": 1} {
			if done[action] != n {
				t.Errorf("%s stands %d times in the audit, not %d", action, done[action], n)
			}
		}
	})
}

// replays has Ada's webhook at that path send a test and an event, and the event again.
func (w *world) replays(t *testing.T, at string) {
	t.Helper()
	dep := w.deploy(w.ada)
	w.want(200, w.ada, "POST", at+"/test", nil)
	if _, err := w.c.Webhooks.Send(t.Context(), id.ID(path.Base(at))); err != nil {
		t.Fatal(err)
	}
	list := w.want(200, w.ada, "GET", at+"/deliveries?status=delivered", nil).list
	if len(list) != 2 {
		t.Fatalf("%v", list)
	}
	first := list[0].(map[string]any) // the test was made before the event became a delivery
	attempt := first["attempts"].([]any)[0].(map[string]any)
	events := w.want(200, w.ada, "GET", Base+"/events?subject="+string(dep), nil).list
	if first["type"] != "deployment.created" || first["eventId"] != events[len(events)-1].(map[string]any)["id"] ||
		attempt["status"] != 200.0 ||
		attempt["response"] != "thank you" {
		t.Errorf("%v", first)
	}
	replayed := w.want(200, w.ada, "POST", at+"/deliveries/"+first["id"].(string)+"/replay", nil)
	same(t, "replayed", replayed.text("status"), "pending")
	w.refused("NOT_FOUND", w.bob, "POST", at+"/deliveries/"+first["id"].(string)+"/replay", nil)
	w.refused("NOT_FOUND", w.ada, "POST", at+"/deliveries/whd_x/replay", nil)
	w.want(200, w.ada, "PATCH", at, `{"enabled":false}`)
	w.refused("CONFLICT", w.ada, "POST", at+"/deliveries/"+first["id"].(string)+"/replay", nil)
}
