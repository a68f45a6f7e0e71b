package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

func on(t *testing.T, f func(t *testing.T, w *world)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		f(t, w)
	})
}

func dig(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func TestInvitation(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		owner := w.signIn(w.ada)
		made := w.by(
			201,
			owner,
			"POST",
			AccountBase+"/invitations",
			map[string]string{"role": "member"},
			header("Idempotency-Key", "k"),
		)
		link := made.text("url")
		page, token, _ := strings.Cut(link, "#")
		if page != "http://example.com/invite" || made.text("status") != "open" {
			t.Fatalf("%s", made.body)
		}
		if again := w.by(201, owner, "POST", AccountBase+"/invitations", map[string]string{"role": "member"},
			header("Idempotency-Key", "k")); again.text(
			"url",
		) != link {
			t.Errorf("repeated: %s", again.body)
		}
		for _, r := range []reply{w.by(200, owner, "GET", AccountBase+"/invitations", nil),
			w.by(200, owner, "GET", AccountBase+"/audit", nil)} {
			if strings.Contains(string(r.body), token) {
				t.Errorf("the token is shown again: %s", r.body)
			}
		}
		preview := map[string]string{"token": token}
		r := w.want(200, tenant{}, "POST", AccountBase+"/invitations/preview", preview)
		if r.text("accountName") != "Ada" || r.text("role") != "member" ||
			r.text("invitedBy") != string(w.ada.account)+"@example.com" {
			t.Errorf("%s", r.body)
		}
		accept := AccountBase + "/invitations/accept"
		w.refused("SIGN_IN_REQUIRED", tenant{}, "POST", accept, preview)
		if r := w.refused("INVALID_REQUEST", tenant{}, "POST", accept,
			map[string]string{"token": token, "password": "short"}); len(
			r.fields(),
		) != 2 {
			t.Errorf("%s", r.body)
		}
		w.refused("NETWORK_NOT_ALLOWED", tenant{}, "POST", accept, preview, header("Sec-Fetch-Site", "cross-site"))
		r = w.want(
			201,
			tenant{},
			"POST",
			accept,
			map[string]string{"token": token, "email": "Eve@example.com", "name": "Eve", "password": goodPassword},
		)
		eve := cookieOf(r)
		if dig(r.data, "user", "email") != "eve@example.com" || dig(r.data, "role") != "member" ||
			dig(r.data, "account", "name") != "Ada" ||
			dig(r.data, "user", "operator") != false {
			t.Errorf("%s", r.body)
		}
		w.by(200, eve, "GET", Base+"/deployments", nil)
		w.refused("NOT_FOUND", tenant{}, "POST", AccountBase+"/invitations/preview", preview)
		w.refused(
			"NOT_FOUND",
			tenant{},
			"POST",
			accept,
			map[string]string{"token": token, "email": "x@example.com", "password": goodPassword},
		)

		w.invitesUser(eve)
	})
}

// invitesUser invites a user into another account, who accepts it signed in; then into a third, and
// the user signs in for it.
func (w *world) invitesUser(eve string) {
	w.t.Helper()
	bob := w.signIn(w.bob)
	invite := func(body map[string]string) string {
		w.t.Helper()
		_, token, _ := strings.Cut(w.by(201, bob, "POST", AccountBase+"/invitations", body).text("url"), "#")
		return token
	}
	r := w.by(
		201,
		eve,
		"POST",
		AccountBase+"/invitations/accept",
		map[string]string{"token": invite(map[string]string{"role": "billing", "email": "eve@example.com"})},
	)
	if dig(r.data, "account", "name") != "Bob" || r.header.Get("Set-Cookie") != "" {
		w.t.Errorf("%s", r.body)
	}
	me := w.by(200, eve, "GET", AccountBase+"/me", nil)
	if dig(me.data, "account", "name") != "Bob" || dig(me.data, "role") != "billing" ||
		len(dig(me.data, "accounts").([]any)) != 2 ||
		len(dig(me.data, "scopes").([]any)) != 5 {
		w.t.Errorf("%s", me.body)
	}
	w.by(403, eve, "GET", Base+"/ssh-keys", nil)
	third := w.tenant("Carol")
	w.user(third, account.Owner, "carol@example.com")
	bob = w.cookie("carol@example.com")
	again := invite(map[string]string{"role": "viewer"})
	w.refused(
		"SIGN_IN_FAILED",
		tenant{},
		"POST",
		AccountBase+"/invitations/accept",
		map[string]string{"token": again, "email": "eve@example.com", "password": "a wrong password"},
	)
	r = w.want(
		201,
		tenant{},
		"POST",
		AccountBase+"/invitations/accept",
		map[string]string{"token": again, "email": "eve@example.com", "password": goodPassword},
	)
	if dig(r.data, "account", "name") != "Carol" || dig(r.data, "role") != "viewer" {
		w.t.Errorf("%s", r.body)
	}
}

func TestSwitchingAccounts(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		p := w.user(w.ada, account.Owner, "p@example.com")
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			return w.c.Accounts.AddMember(ctx, tx, w.bob.account, p.ID, account.Viewer)
		})
		cookie := w.cookie(p.Email)
		key := w.by(201, cookie, "POST", Base+"/ssh-keys", map[string]string{"name": "adas",
			"publicKey": publicKey(t)}).
			text("id")
		at := AccountBase + "/me/account"
		w.by(404, cookie, "PUT", at, map[string]string{"accountId": "acc_none"})
		r := w.by(200, cookie, "PUT", at, map[string]string{"accountId": string(w.bob.account)})
		if dig(r.data, "account", "name") != "Bob" || dig(r.data, "role") != "viewer" {
			t.Errorf("%s", r.body)
		}
		w.by(404, cookie, "GET", Base+"/ssh-keys/"+key, nil) // what is Ada's is not there now
		w.by(403, cookie, "POST", Base+"/ssh-keys", map[string]string{"name": "bobs", "publicKey": publicKey(t)})
		w.by(200, cookie, "PUT", at, map[string]string{"accountId": string(w.ada.account)})
		w.by(200, cookie, "GET", Base+"/ssh-keys/"+key, nil)
		if r := w.by(200, cookie, "PATCH", AccountBase+"/me", map[string]string{"name": "Ada L."}); dig(
			r.data,
			"user",
			"name",
		) != "Ada L." {
			t.Errorf("%s", r.body)
		}
		if r := w.by(400, cookie, "PATCH", AccountBase+"/me", map[string]string{"name": "a\u202eb"}); len(
			r.fields(),
		) != 1 {
			t.Errorf("%s", r.body)
		}
	})
}

func TestChangingThePassword(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.ada)
		email := string(w.ada.account) + "@example.com"
		other := w.cookie(email)
		at := AccountBase + "/me/password"
		if r := w.by(400, cookie, "PUT", at, map[string]string{"currentPassword": "not the " +
			"right one", "newPassword": "another good password"}); r.fields()[0] != "currentPassword" {
			t.Errorf("%s", r.body)
		}
		if r := w.by(400, cookie, "PUT", at, map[string]string{"currentPassword": goodPassword,
			"newPassword": "short"}); r.fields()[0] != "newPassword" {
			t.Errorf("%s", r.body)
		}
		w.by(
			200,
			cookie,
			"PUT",
			at,
			map[string]string{"currentPassword": goodPassword, "newPassword": "another good password"},
		)
		w.by(200, cookie, "GET", AccountBase+"/me", nil)
		w.by(401, other, "GET", AccountBase+"/me", nil)
		w.refused(
			"SIGN_IN_FAILED",
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": email, "password": goodPassword},
		)
		w.want(
			201,
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": email, "password": "another good password"},
		)
	})
}

// A session cookie that another site planted never becomes the signed-in one, and a signed-in one
// that was there before ends.
func TestSessionCannotBePlanted(t *testing.T) {
	w := newWorld(t)
	w.signIn(w.ada)
	login := map[string]string{"email": string(w.ada.account) + "@example.com", "password": goodPassword}
	planted := sessionCookie.Name + "=" + strings.Repeat("A", 43)
	after := cookieOf(w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, header("Cookie", planted)))
	if after == planted {
		t.Fatal("the planted token is signed in")
	}
	w.by(401, planted, "GET", AccountBase+"/me", nil)
	attackers := w.signIn(w.bob)
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, header("Cookie", attackers))
	w.by(401, attackers, "GET", AccountBase+"/me", nil)
	w.by(200, after, "GET", AccountBase+"/me", nil)
}

func TestOwnSessions(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	first := w.signIn(w.ada)
	email := string(w.ada.account) + "@example.com"
	second, third := w.cookie(email), w.cookie(email)
	list := w.by(200, first, "GET", AccountBase+"/sessions", nil).list
	current := 0
	ended := ""
	for _, s := range list {
		if dig(s, "current") == true {
			current++
		} else {
			ended = dig(s, "id").(string)
		}
	}
	if len(list) != 3 || current != 1 {
		t.Fatalf("%v", list)
	}
	w.by(200, first, "DELETE", AccountBase+"/sessions/"+ended, nil)
	if a, b := w.by(0, second, "GET", AccountBase+"/me", nil).status, w.by(0, third, "GET", AccountBase+"/me",
		nil).status; a+b != 601 {
		t.Errorf("%d %d", a, b)
	}
	w.by(200, first, "DELETE", AccountBase+"/sessions/others", nil)
	w.by(401, second, "GET", AccountBase+"/me", nil)
	w.by(401, third, "GET", AccountBase+"/me", nil)
	w.by(200, first, "DELETE", AccountBase+"/sessions", nil)
	w.by(401, first, "GET", AccountBase+"/me", nil)
}

func TestNoOtherSiteCanChangeAnything(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	cookie := header("Cookie", w.signIn(w.ada))
	for _, rt := range w.s.Routes() {
		if rt.Method == http.MethodGet || rt.OAuth {
			continue
		}
		target := strings.NewReplacer("{id}", "dep_x", "{offerId}", "off_x").Replace(rt.Path)
		for _, foreign := range []option{header("Sec-Fetch-Site", "cross-site"),
			header("Origin", "https://evil.example")} {
			w.refused("NETWORK_NOT_ALLOWED", tenant{}, rt.Method, target, nil, cookie, foreign)
		}
	}
}

func TestKeysSayWhoMadeThem(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	owner := w.signIn(w.ada)
	p := w.user(w.ada, account.Member, "p@example.com")
	made := w.by(201, w.cookie(p.Email), "POST", AccountBase+"/api-keys", map[string]string{"name": "ci"})
	for _, r := range []reply{made, w.by(200, owner, "GET", AccountBase+"/api-keys/"+made.text("id"), nil)} {
		if dig(r.data, "createdBy", "name") != p.Called() || dig(r.data, "createdBy", "id") != string(p.ID) {
			t.Errorf("%s", r.body)
		}
	}
	ci := tenant{secret: made.text("key")}
	w.want(200, ci, "GET", Base+"/offers", nil)
	w.by(200, owner, "DELETE", AccountBase+"/members/"+string(p.ID), nil)
	for _, e := range w.by(200, owner, "GET", AccountBase+"/audit?subject="+string(p.ID), nil).list {
		same(t, "name of who was removed", dig(e, "subjectName"), p.Called())
	}
	w.refused("REVOKED_API_KEY", ci, "GET", Base+"/offers", nil)
	w.want(200, w.ada, "GET", Base+"/offers", nil)
	if r := w.by(404, owner, "DELETE", AccountBase+"/members/"+string(p.ID), nil); r.code != "NOT_FOUND" {
		t.Errorf("%s", r.body)
	}
	me := w.by(200, owner, "GET", AccountBase+"/me", nil)
	w.by(409, owner, "DELETE", AccountBase+"/members/"+dig(me.data, "user", "id").(string), nil)
}

func TestTheAudit(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		owner := w.signIn(w.ada)
		email := string(w.ada.account) + "@example.com"
		audit := func(query string) []any {
			t.Helper()
			return w.by(200, owner, "GET", AccountBase+"/audit"+query, nil).list
		}
		w.clock.Advance(time.Second)
		start := w.clock.Now().Format(time.RFC3339Nano)
		body := w.seedBody()
		body["dryRun"] = true
		w.want(200, w.ada, "POST", Base+"/deployments", body)                                        // changes nothing
		w.refused("INVALID_REQUEST", w.ada, "POST", Base+"/ssh-keys", `{"name":""}`)                 // is refused
		w.refused("NOT_FOUND", w.ada, "DELETE", Base+"/ssh-keys/ssh_none", nil)                      // finds nothing
		w.want(200, w.ada, "GET", Base+"/deployments", nil)                                          // only reads
		w.want(200, w.bob, "PATCH", Base+"/deployments/"+string(w.deploy(w.bob)), `{"name":"bobs"}`) // is another's
		if got := audit("?from=" + start); len(got) != 0 {
			t.Fatalf("%v", got)
		}
		key := map[string]string{"name": "a", "publicKey": publicKey(t)}
		made := w.want(201, w.ada, "POST", Base+"/ssh-keys", key, header("Idempotency-Key", "k"), from("203.0.113.77"))
		w.want(
			201,
			w.ada,
			"POST",
			Base+"/ssh-keys",
			key,
			header("Idempotency-Key", "k"),
		) // the first answer again: no second change
		got := audit("?from=" + start)
		if len(got) != 1 || dig(got[0], "action") != "createSshKey" || dig(got[0], "subject") != made.text("id") ||
			dig(got[0], "actor", "kind") != "key" ||
			dig(got[0], "actor", "id") != string(w.ada.key.ID) ||
			dig(got[0], "actor", "name") != "Ada" ||
			dig(got[0], "address") != "203.0.113.77" ||
			dig(got[0], "requestId") != made.header.Get("X-Request-Id") {
			t.Fatalf("%v", got)
		}
		w.by(200, owner, "PATCH", Base+"/ssh-keys/"+made.text("id"), `{"name":"b"}`)
		got = audit("?subject=" + made.text("id"))
		if len(got) != 2 || dig(got[0], "actor", "kind") != "user" || dig(got[0], "actor", "name") != email {
			t.Errorf("%v", got)
		}
		me := dig(w.by(200, owner, "GET", AccountBase+"/me", nil).data, "user", "id").(string)
		if got := audit("?action=renameSshKey&actor=" + me); len(got) != 1 {
			t.Errorf("%v", got)
		}
		if got := audit("?actor=" + string(w.bob.key.ID)); len(got) != 0 {
			t.Errorf("%v", got)
		}

		// Sign-ins, failed ones and their ends.
		const secret = "wrong, but perhaps right elsewhere"
		w.refused(
			"SIGN_IN_FAILED",
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": email, "password": secret},
		)
		w.refused(
			"SIGN_IN_FAILED",
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": "unknown@example.com", "password": secret},
		)
		second := w.cookie(email)
		w.by(200, second, "DELETE", AccountBase+"/sessions", nil)
		actions := []string{}
		for _, e := range audit("") {
			actions = append(actions, dig(e, "action").(string))
		}
		same(t, "actions", actions, "[signOut signIn signInFailed renameSshKey createSshKey signIn]")
		if got := audit("?action=signInFailed"); dig(got[0], "subject") != me ||
			dig(got[0], "actor", "kind") != "system" {
			t.Errorf("%v", got)
		}
		var all string
		err := w.d.QueryRow(t.Context(), `SELECT COUNT(*) || ' ' ||
			SUM(CASE WHEN actor_name || action || subject LIKE '%perhaps%' THEN 1 ELSE 0 END)
			FROM audit WHERE action = 'signInFailed'`).Scan(&all)
		if err != nil || all != "2 0" {
			t.Errorf("%q %v", all, err) // an unknown user's failure costs as much as a known one's
		}
	})
}
