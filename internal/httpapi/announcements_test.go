package httpapi

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
)

func TestAnnouncements(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op, all := w.operator(), OperatorBase+"/announcements"
		shown := func(who tenant) (titles []string) {
			t.Helper()
			for _, n := range w.want(200, who, "GET", Base+"/announcements", nil).list {
				titles = append(titles, n.(map[string]any)["title"].(string))
			}
			return titles
		}
		create := func(title string, more map[string]any) string {
			t.Helper()
			body := map[string]any{"title": title, "endsAt": c.Now().Add(2 * time.Hour)}
			for name, value := range more {
				body[name] = value
			}
			return w.want(201, op, "POST", all, body).text("id")
		}
		w.settle(w.deploy(w.ada))
		first := create("For everyone", map[string]any{"text": "One line.\nAnother."})
		create("For machines", map[string]any{
			"provider": "voltage-park", "region": "dallas-usa-5", "level": "critical",
		})
		create("Later", map[string]any{"startsAt": c.Now().Add(time.Hour)})
		same(t, "Ada", shown(w.ada), []string{"For machines", "For everyone"})
		same(t, "Bob", shown(w.bob), []string{"For everyone"})
		c.Advance(90 * time.Minute)
		same(t, "Bob, later", shown(w.bob), []string{"Later", "For everyone"})
		w.want(200, op, "PATCH", all+"/"+first, map[string]any{"title": "Changed"})
		same(t, "Bob, after a change", shown(w.bob), []string{"Later", "Changed"})
		w.want(200, op, "DELETE", all+"/"+first, nil)
		w.refused("NOT_FOUND", op, "GET", all+"/"+first, nil)
		same(t, "Bob, after the deletion", shown(w.bob), []string{"Later"})
		c.Advance(time.Hour)
		same(t, "Bob, after the end", len(shown(w.bob)), 0)
		same(t, "listed for the operator", len(w.want(200, op, "GET", all, nil).list), 2)
		c.Advance(100 * 24 * time.Hour)
		if _, err := w.c.Announcements.Purge(t.Context(), "announcements"); err != nil {
			t.Fatal(err)
		}
		same(t, "kept", len(w.want(200, op, "GET", all, nil).list), 0)
		w.refused("INSUFFICIENT_SCOPE", w.ada, "POST", all, map[string]any{"title": "x"})
	})
}

func TestAnnouncementsAreMailedOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op, all := w.operator(), OperatorBase+"/announcements"
		body := map[string]any{"title": "News", "text": "a\nb", "mail": true, "endsAt": c.Now().Add(3 * time.Hour),
			"startsAt": c.Now().Add(time.Hour)}
		same(t, "fields", w.refused("INVALID_REQUEST", op, "POST", all, body).fields(), []string{"mail"})
		w.open(map[string]any{"policy": "open"}) // sets up a mail server
		for i := range 12 {                      // more than a batch
			w.user(w.tenant(fmt.Sprintf("T%d", i)), account.Owner, fmt.Sprintf("member%d@example.com", i))
		}
		w.user(w.bob, account.Viewer, "viewer@example.com")
		of := id.ID(w.want(201, op, "POST", all, body).text("id"))
		mails := func() (n int) {
			t.Helper()
			for _, m := range w.want(200, op, "GET", OperatorBase+"/mails?limit=100", nil).list {
				if m.(map[string]any)["kind"] == "announcement" {
					n++
				}
			}
			return n
		}
		deliver := func() {
			t.Helper()
			if _, err := w.c.Announcements.Deliver(t.Context(), of); err != nil {
				t.Fatal(err)
			}
		}
		deliver()
		same(t, "mails before the start", mails(), 0)
		c.Advance(time.Hour)
		deliver()
		want := mails()
		if want < 13 {
			t.Errorf("%d mails, want one for each of at least 13 members", want)
		}
		deliver()
		w.want(200, op, "PATCH", all+"/"+string(of), map[string]any{"text": "c"})
		deliver()
		same(t, "mails after repeating it", mails(), want)
	})
}

func TestAnnouncementsNameEveryFault(t *testing.T) {
	w := newWorld(t)
	op, all := w.operator(), OperatorBase+"/announcements"
	r := w.refused("INVALID_REQUEST", op, "POST", all, map[string]any{
		"title": " x", "text": "a\u200b", "provider": "nowhere", "region": "mars", "banner": false,
		"endsAt": "2001-01-01T00:00:00Z",
	})
	for _, field := range []string{"title", "text", "endsAt", "banner", "provider", "region"} {
		found := false
		for _, f := range r.fields() {
			found = found || f == field
		}
		if !found {
			t.Errorf("%s is not named: %s", field, r.body)
		}
	}
	w.refused("INVALID_REQUEST", op, "POST", all, map[string]any{"title": "no end"})
	hour := func(n int) time.Time { return w.clock.Now().Add(time.Duration(n) * time.Hour) }
	over := w.refused("INVALID_REQUEST", op, "POST", all, map[string]any{
		"title": "over", "startsAt": hour(-2), "endsAt": hour(-1),
	})
	same(t, "over", over.fields(), []string{"endsAt"})
	of := w.want(201, op, "POST", all, map[string]any{
		"title": "x", "provider": "voltage-park", "endsAt": hour(1),
	}).text("id")
	err := w.d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE announcement SET provider = 'gone', starts_at = 1 WHERE id = $1`, of)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.want(200, op, "PATCH", all+"/"+of, map[string]any{"endsAt": hour(0), "startsAt": hour(-1)}) // to end it now
	w.refused("NOT_FOUND", op, "PATCH", all+"/ann_none", map[string]any{"title": "x"})
	w.refused("NOT_FOUND", op, "DELETE", all+"/ann_none", nil)
}
