package httpapi

import (
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/money"
)

func TestCreditIsApprovedByASecondOperator(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		key, site := w.operator(), header("Sec-Fetch-Site", "same-origin")
		operator := func(email string) option {
			w.newUser(w.bob, account.Viewer, account.UserRequest{Email: email, Password: goodPassword, Operator: true})
			return header("Cookie", w.cookie(email))
		}
		ann, ben := operator("ann@example.com"), operator("ben@example.com")
		credit := OperatorBase + "/accounts/" + string(w.ada.account) + "/credit"
		all, set := OperatorBase+"/adjustments", OperatorBase+"/settings"
		approval := func(above float64) map[string]any {
			return map[string]any{"wallet": map[string]any{"approvalAbove": above}}
		}
		before := w.balance(w.ada)

		// Without the setting, everything is booked at once.
		booked := w.want(200, key, "POST", credit, map[string]any{"amount": 500}).data.(map[string]any)
		same(t, "made", booked["made"], true)
		same(t, "state", booked["adjustment"].(map[string]any)["state"], "booked")
		w.want(200, key, "PATCH", set, approval(100))
		for _, above := range []float64{0, 100.01} { // no operator lifts it alone
			w.refused("INVALID_REQUEST", tenant{}, "PATCH", set, approval(above), ann, site)
		}
		w.want(200, tenant{}, "PATCH", set, approval(50), ann, site)

		body := map[string]any{"amount": 200, "reference": "r"}
		w.refused("INVALID_REQUEST", tenant{}, "POST", credit, body, ann, site)
		body["reason"] = "an outage"
		asked := w.want(200, tenant{}, "POST", credit, body, ann, site).data.(map[string]any)
		same(t, "made", asked["made"], false)
		pending := asked["adjustment"].(map[string]any)
		same(t, "state", pending["state"], "pending")
		same(t, "balance", w.balance(w.ada)-before, money.Dollars(500))
		one := all + "/" + pending["id"].(string)
		for _, end := range []string{"/approve", "/reject"} {
			w.refused("CONFLICT", tenant{}, "POST", one+end, map[string]any{}, ann, site)
			w.refused("CONFLICT", key, "POST", one+end, map[string]any{})
		}
		w.refused("CONFLICT", tenant{}, "POST", one+"/withdraw", nil, ben, site)
		listed := w.want(200, key, "GET", all+"?state=pending&account="+string(w.ada.account), nil).list
		same(t, "pending", len(listed), 1)

		log := AccountBase + "/audit?action="
		ada := header("Cookie", w.signIn(w.ada))
		same(t, "entries", len(w.want(200, tenant{}, "GET", log+"creditAccount", nil, ada).list), 1)
		done := w.want(200, tenant{}, "POST", one+"/approve", map[string]any{"comment": "agreed"}, ben, site)
		same(t, "state", done.text("state"), "approved")
		same(t, "balance", w.balance(w.ada)-before, money.Dollars(700))
		same(t, "entries", len(w.want(200, tenant{}, "GET", log+"approveAdjustment", nil, ada).list), 1)
		w.refused("CONFLICT", tenant{}, "POST", one+"/approve", map[string]any{}, ben, site)
		w.refused("NOT_FOUND", tenant{}, "POST", all+"/adj_none/approve", map[string]any{}, ben, site)
		same(t, "balance", w.balance(w.ada)-before, money.Dollars(700))

		w.refused("INVALID_REQUEST", key, "POST", OperatorBase+"/accounts", map[string]any{"name": "n", "credit": 51})
	})
}
