package httpapi

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
)

func TestServiceCreditsAreReviewed(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		operator := w.operator()
		machine := w.running(w.ada)
		start := c.Now().UTC().Truncate(time.Second)
		c.Advance(50 * time.Minute)
		body := map[string]any{
			"deploymentId": machine, "from": start, "to": start.Add(30 * time.Minute), "failedGpus": 1,
			"note": "Sorry.",
		}
		const all, mine = OperatorBase + "/service-credits", Base + "/wallet/service-credits"
		w.refused("INSUFFICIENT_SCOPE", w.ada, "GET", all, nil)
		w.refused("INSUFFICIENT_SCOPE", w.ada, "POST", all, body)
		made := w.want(201, operator, "POST", all, body)
		one := all + "/" + made.text("id")
		if hours := made.data.(map[string]any)["hours"].([]any); made.text("state") != "proposed" || len(hours) != 1 {
			t.Errorf("%v", made.data)
		}
		if n := len(w.want(200, w.ada, "GET", mine, nil).list); n != 0 {
			t.Errorf("the tenant sees %d proposals", n)
		}
		balance := w.balance(w.ada)
		w.refused("INSUFFICIENT_SCOPE", w.ada, "POST", one+"/approve", nil)
		for range 2 {
			if got := w.want(200, operator, "POST", one+"/approve", nil); got.text("state") != "approved" {
				t.Errorf("%v", got.data)
			}
		}
		detail, err := w.c.ServiceCredits.Get(t.Context(), d, id.ID(made.text("id")))
		if now := w.balance(w.ada); err != nil || now != balance+detail.Amount {
			t.Errorf("the balance is %s, and was %s before %s: %v", now, balance, detail.Amount, err)
		}
		for _, of := range []string{"", "?deploymentId=" + string(machine)} {
			got := w.want(200, w.ada, "GET", mine+of, nil).list
			if len(got) != 1 {
				t.Fatalf("%q: %v", of, got)
			}
			if c := got[0].(map[string]any); c["note"] != "Sorry." || c["creditedAt"] == nil || c["accountId"] != nil {
				t.Errorf("%q: %v", of, got)
			}
		}
		if n := len(w.want(200, w.bob, "GET", mine+"?deploymentId="+string(machine), nil).list); n != 0 {
			t.Errorf("another account sees %d", n)
		}
		w.refused("CONFLICT", operator, "POST", one+"/reject", map[string]any{"reason": "no"})
		w.refused("CONFLICT", operator, "POST", all, body)
		w.refused("NOT_FOUND", operator, "POST", all+"/svc_none/approve", nil)
		w.refused("INVALID_REQUEST", operator, "GET", all+"?account=Ada", nil)
		for filter, want := range map[string]int{
			"?state=approved": 1, "?state=proposed": 0, "?account=" + string(w.ada.account): 1,
			"?deploymentId=" + string(machine) + "&state=approved": 1,
		} {
			if n := len(w.want(200, operator, "GET", all+filter, nil).list); n != want {
				t.Errorf("%s: %d, want %d", filter, n, want)
			}
		}
		if got := w.want(200, operator, "GET", one, nil); got.text("state") != "approved" {
			t.Errorf("%v", got.data)
		}
		// The tenant learns of the approval only.
		rejected := w.want(201, operator, "POST", all, map[string]any{
			"deploymentId": machine, "from": start.Add(30 * time.Minute), "to": start.Add(40 * time.Minute),
			"failedGpus": 1,
		})
		for range 2 {
			w.want(200, operator, "POST", all+"/"+rejected.text("id")+"/reject", map[string]any{"reason": "no"})
		}
		w.wantServiceCreditEntries(operator)
	})
}

// wantServiceCreditEntries fails the test unless the operator's own account has an entry of
// everything, and the tenant's of the approval only.
func (w *world) wantServiceCreditEntries(operator tenant) {
	w.t.Helper()
	entries := func(of id.ID) map[any]int {
		done := map[any]int{}
		log := w.want(200, operator, "GET", OperatorBase+"/accounts/"+string(of)+"/audit?limit=100", nil).list
		for _, e := range log {
			done[e.(map[string]any)["action"]]++
		}
		return done
	}
	own, tenants := entries(operator.account), entries(w.ada.account)
	for action, want := range map[string][2]int{
		"createServiceCredit": {2, 0}, "rejectServiceCredit": {1, 0}, "approveServiceCredit": {1, 1},
	} {
		if got := [2]int{own[action], tenants[action]}; got != want {
			w.t.Errorf("%s: %d entries of the operator's account and the tenant's, want %d", action, got, want)
		}
	}
}

func TestLargeServiceCreditIsApprovedByASecondOperator(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		key, site := w.operator(), header("Sec-Fetch-Site", "same-origin")
		operator := func(email string) option {
			w.newUser(w.bob, account.Viewer, account.UserRequest{Email: email, Password: goodPassword, Operator: true})
			return header("Cookie", w.cookie(email))
		}
		ann, ben := operator("ann@example.com"), operator("ben@example.com")
		machine := w.running(w.ada)
		start := c.Now().UTC().Truncate(time.Second)
		c.Advance(50 * time.Minute)
		const all = OperatorBase + "/service-credits"
		w.want(200, key, "PATCH", OperatorBase+"/settings",
			map[string]any{"wallet": map[string]any{"approvalAbove": 0.01}})
		body := map[string]any{
			"deploymentId": machine, "from": start, "to": start.Add(30 * time.Minute), "failedGpus": 1,
		}
		w.refused("CONFLICT", key, "POST", all, body) // its user could approve it, signed in
		one := all + "/" + w.want(201, tenant{}, "POST", all, body, ann, site).text("id")
		w.refused("CONFLICT", tenant{}, "POST", one+"/approve", nil, ann, site)
		w.refused("CONFLICT", key, "POST", one+"/approve", nil)
		if got := w.want(200, tenant{}, "POST", one+"/approve", nil, ben, site); got.text("state") != "approved" {
			t.Errorf("%v", got.data)
		}
	})
}
