package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/rest"
)

// viewing returns the cookie of an operator who views Ada's account.
func (w *world) viewing() string {
	w.t.Helper()
	email := "op" + string(w.bob.account) + "@example.com"
	w.newUser(w.bob, account.Billing, account.UserRequest{
		Email: email, Name: "Grace", Password: goodPassword, Operator: true,
	})
	cookie := w.cookie(email)
	w.by(200, cookie, "POST", OperatorBase+"/accounts/"+string(w.ada.account)+"/view",
		map[string]any{"reason": "Support request 7"})
	return cookie
}

func TestAViewChangesNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		cookie, deployment := w.viewing(), string(w.deploy(w.ada))
		var before int
		count := func() (n int) {
			if err := w.d.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		before = count()
		for _, rt := range w.s.Routes() {
			if rt.Auth == rest.Public || rt.Auth == rest.APIKeyOnly || slices.Contains(whileViewing, rt.ID) {
				continue
			}
			target := strings.NewReplacer("{id}", deployment, "{offerId}", "off_x").Replace(rt.Path)
			if strings.HasPrefix(rt.Path, AccountBase+"/members/") {
				target = AccountBase + "/members/usr_x"
			}
			write := rt.Method != http.MethodGet
			may := slices.Contains(account.Viewer.Scopes(), account.Scope(rt.Scope)) || rt.Scope == ""
			if write || rt.Auth == rest.OperatorOnly || !may {
				if r := w.by(403, cookie, rt.Method, target, nil); r.code != "INSUFFICIENT_SCOPE" {
					t.Errorf("%s: got %d %s", rt.ID, r.status, r.body)
				}
			}
		}
		if after := count(); after != before {
			t.Errorf("refused calls wrote %d audit entries", after-before)
		}
		// What a viewer reads is there.
		r := w.by(200, cookie, "GET", Base+"/deployments/"+deployment, nil)
		same(t, "deployment", r.text("id"), deployment)
		w.by(200, cookie, "GET", Base+"/wallet", nil)
		me := w.by(200, cookie, "GET", AccountBase+"/me", nil)
		same(t, "account", dig(me.data, "view", "accountId"), string(w.ada.account))
		same(t, "reason", dig(me.data, "view", "reason"), "Support request 7")
		same(t, "operator", dig(me.data, "user", "operator"), false)
		// An invitation of the operator's own cannot be accepted meanwhile.
		w.refused("INSUFFICIENT_SCOPE", tenant{}, "POST", AccountBase+"/invitations/accept",
			map[string]any{"token": w.invitationToken()}, header("Cookie", cookie),
			header("Sec-Fetch-Site", "same-origin"))
	})
}

// invitationToken returns the token of an invitation to Ada's account.
func (w *world) invitationToken() string {
	w.t.Helper()
	r := w.by(201, w.signIn(w.ada), "POST", AccountBase+"/invitations", map[string]string{"role": "member"})
	_, token, _ := strings.Cut(r.text("url"), "#")
	return token
}

func TestAViewIsInTheAuditLogs(t *testing.T) {
	for why, end := range map[string]func(w *world, cookie string){
		"": func(w *world, cookie string) { w.by(200, cookie, "DELETE", AccountBase+"/view", nil) },
		"The operator signed out.": func(w *world, cookie string) {
			w.by(200, cookie, "DELETE", AccountBase+"/sessions", nil)
		},
		"The time was over.": func(w *world, _ string) { w.clock.Advance(30 * time.Minute) },
	} {
		t.Run(why, func(t *testing.T) {
			dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
				testViewEnds(t, newWorldOn(t, d, c), why, end)
			})
		})
	}
}

// testViewEnds ends a view in one way, and reads the audit logs of both accounts.
func testViewEnds(t *testing.T, w *world, why string, end func(w *world, cookie string)) {
	cookie := w.viewing()
	end(w, cookie)
	if why != "The operator signed out." { // the session works in the operator's own account again
		me := w.by(200, cookie, "GET", AccountBase+"/me", nil)
		same(t, "account", dig(me.data, "account", "id"), string(w.bob.account))
		same(t, "operator", dig(me.data, "user", "operator"), true)
		same(t, "view", dig(me.data, "view"), nil)
		w.by(200, cookie, "GET", OperatorBase+"/accounts", nil)
		w.by(404, cookie, "GET", Base+"/deployments/"+string(w.deploy(w.ada)), nil)
		w.by(404, cookie, "DELETE", AccountBase+"/view", nil)
	}
	for range 2 { // once
		if err := w.c.Operator.EndOverdueViews(t.Context(), w.d); err != nil {
			t.Fatal(err)
		}
	}
	for _, of := range []tenant{w.ada, w.bob} {
		list := w.by(200, w.signIn(of), "GET", AccountBase+"/audit?subject="+string(w.ada.account), nil).list
		if len(list) != 2 {
			t.Fatalf("got %d entries, want a start and an end: %v", len(list), list)
		}
		for i, want := range []string{"endAccountView " + why, "startAccountView Support request 7"} {
			e := list[i]
			same(t, "entry", fmt.Sprint(dig(e, "action"), " ", dig(e, "detail")), want)
			same(t, "actor", fmt.Sprint(dig(e, "actor", "kind"), " ", dig(e, "actor", "name")), "operator Grace")
		}
	}
}

// Calls that were authenticated before any of them began a view: one wins, and the others say why.
func TestOfViewsThatBeginAtOnceOneDoes(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		cookie := w.viewing()
		w.by(200, cookie, "DELETE", AccountBase+"/view", nil)
		w.clock.Advance(time.Second)
		session := account.Session{}
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			session.User.Name = "Grace"
			session.Account = w.bob.account
			return tx.QueryRow(ctx, `SELECT session.id, users.id FROM session JOIN users ON users.id = session.user_id
				WHERE users.name = 'Grace'`).Scan(&session.ID, &session.User.ID)
		})
		start := func() error {
			return d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := w.c.Operator.StartView(
					ctx, tx, session, w.ada.account, "Support", time.Minute, operator.Source{})
				return err
			})
		}
		for range 3 {
			errs := make(chan error, 8)
			for range cap(errs) {
				go func() { errs <- start() }()
			}
			began := 0
			for range cap(errs) {
				switch err := <-errs; {
				case err == nil:
					began++
				case apierr.CodeOf(err) != apierr.Conflict || !strings.Contains(err.Error(), "Leave that view first"):
					t.Errorf("got %v, want a conflict that says what to do", err)
				}
			}
			if began != 1 {
				t.Errorf("%d views began, want 1", began)
			}
			w.clock.Advance(time.Minute) // which the next ones find over
		}
		var entries []string
		for _, e := range w.by(200, w.signIn(w.ada), "GET", AccountBase+"/audit?limit=100", nil).list {
			if text := fmt.Sprint(dig(e, "action"), " ", dig(e, "detail")); strings.Contains(text, "AccountView") {
				entries = append(entries, text)
			}
		}
		const started, over = "startAccountView Support", "endAccountView The time was over."
		same(t, "entries", entries[:5], []string{started, over, started, over, started})
	})
}

func TestAViewNeedsAnOperatorsSession(t *testing.T) {
	w := newWorld(t)
	body := map[string]any{"reason": "Support"}
	at := OperatorBase + "/accounts/" + string(w.ada.account) + "/view"
	w.refused("SIGN_IN_REQUIRED", w.operator(), "POST", at, body)
	w.refused("INSUFFICIENT_SCOPE", w.bob, "POST", at, body)
	cookie := w.viewing()
	w.by(200, cookie, "DELETE", AccountBase+"/view", nil)
	w.by(400, cookie, "POST", at, map[string]any{"reason": " "})
	w.by(400, cookie, "POST", at, map[string]any{"reason": "Support", "minutes": 61})
	w.by(404, cookie, "POST", OperatorBase+"/accounts/acc_none/view", body)
	w.by(409, cookie, "POST", OperatorBase+"/accounts/"+string(w.bob.account)+"/view", body)
	w.by(200, cookie, "POST", at, map[string]any{"reason": "Support", "minutes": 1})
	// A user who is no operator any more views nothing.
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE users SET operator = 0 WHERE name = 'Grace'`)
		return err
	})
	me := w.by(200, cookie, "GET", AccountBase+"/me", nil)
	same(t, "account", dig(me.data, "account", "id"), string(w.bob.account))
}
