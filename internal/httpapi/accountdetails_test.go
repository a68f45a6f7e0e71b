package httpapi

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

func TestTheOperatorSeesOneAccount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op, at := w.operator(), OperatorBase+"/accounts/"+string(w.ada.account)
		owner := w.signIn(w.ada)
		key := w.by(201, owner, "POST", AccountBase+"/api-keys", map[string]any{"name": "ci"})
		members := w.want(200, op, "GET", at+"/members", nil)
		same(t, "member", dig(members.list[0], "email"), string(w.ada.account)+"@example.com")
		keys := w.want(200, op, "GET", at+"/api-keys", nil)
		if len(keys.list) != 2 || strings.Contains(string(keys.body), key.text("key")) {
			t.Errorf("keys: got %s, want two without their secrets", keys.body)
		}
		if list := w.want(200, op, "GET", at+"/transactions", nil).list; dig(list[0], "description") != "paid in" {
			t.Errorf("transactions: got %v", list)
		}
		entries := w.want(200, op, "GET", at+"/audit?action=createApiKey", nil)
		same(t, "audit log", dig(entries.list[0], "subject"), key.text("id"))
		for _, path := range []string{"/members", "/api-keys", "/transactions", "/audit"} {
			w.refused("NOT_FOUND", op, "GET", OperatorBase+"/accounts/acc_none"+path, nil)
			w.refused("INSUFFICIENT_SCOPE", w.bob, "GET", at+path, nil)
		}
	})
}

func TestTheOwnerIsInvitedWithTheAccount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op := w.operator()
		made := w.want(201, op, "POST", OperatorBase+"/accounts",
			map[string]any{"name": "Vision lab", "ownerEmail": "grace@example.com"})
		id := made.text("id")
		same(t, "role", dig(made.data, "invitation", "role"), string(account.Owner))
		same(t, "mailed", dig(made.data, "invitation", "mailed"), false) // no mail server is set
		link, _ := dig(made.data, "invitation", "url").(string)
		_, token, _ := strings.Cut(link, "/invite#")
		shown := w.want(200, tenant{}, "POST", AccountBase+"/invitations/preview", map[string]any{"token": token})
		same(t, "invited by", shown.text("invitedBy"), "The operator")
		w.want(201, tenant{}, "POST", AccountBase+"/invitations/accept",
			map[string]any{"token": token, "name": "Grace", "password": goodPassword})
		owner := w.cookie("grace@example.com")
		same(t, "role", w.by(200, owner, "GET", AccountBase+"/me", nil).text("role"), string(account.Owner))
		list := w.by(200, owner, "GET", AccountBase+"/invitations", nil).list
		same(t, "created by", dig(list[0], "createdBy", "type"), "operator")

		// A further owner, and what is refused.
		at := OperatorBase + "/accounts/" + id + "/invitations"
		w.want(201, op, "POST", at, map[string]any{"email": "second@example.com"})
		w.refused("CONFLICT", op, "POST", at, map[string]any{"email": "grace@example.com"})
		w.refused("NOT_FOUND", op, "POST", OperatorBase+"/accounts/acc_none/invitations",
			map[string]any{"email": "second@example.com"})
		r := w.refused("INVALID_REQUEST", op, "POST", OperatorBase+"/accounts",
			map[string]any{"name": "Other", "ownerEmail": "no address"})
		same(t, "fields", r.fields(), []string{"ownerEmail"})
		if list := w.want(200, op, "GET", OperatorBase+"/accounts", nil).list; len(list) != 3 {
			t.Errorf("a refused account was created: %v", list)
		}
		same(t, "no invitation", dig(w.want(201, op, "POST", OperatorBase+"/accounts",
			map[string]any{"name": "Plain"}).data, "invitation"), nil)
	})
}
