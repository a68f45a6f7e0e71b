package httpapi

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// eventTypes are the types of an account's events, oldest first.
func (w *world) eventTypes(who tenant, prefix string) string {
	w.t.Helper()
	var out []string
	for _, e := range w.want(200, who, "GET", Base+"/events?limit=100", nil).list {
		if kind := e.(map[string]any)["type"].(string); strings.HasPrefix(kind, prefix) {
			out = append([]string{kind}, out...)
		}
	}
	return strings.Join(out, " ")
}

func TestASuspendedAccountStartsNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		op, machine := w.operator(), string(w.deploy(w.ada))
		volume := map[string]any{"name": "data", "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5"}
		disk := w.want(201, w.ada, "POST", Base+"/volumes", volume).text("id")
		at := OperatorBase + "/accounts/" + string(w.ada.account)
		w.refused("NOT_FOUND", op, "POST", OperatorBase+"/accounts/acc_none/suspend", map[string]any{"reason": "a"})
		w.refused("INVALID_REQUEST", op, "POST", at+"/suspend", map[string]any{"reason": "a", "terminate": "soon"})
		w.refused("INVALID_REQUEST", op, "POST", at+"/suspend", map[string]any{"reason": " "})
		body := map[string]any{"reason": "Payment dispute 7"}
		for range 2 { // the second changes nothing
			got := w.want(200, op, "POST", at+"/suspend", body).data.(map[string]any)["suspension"].(map[string]any)
			if got["reason"] != "Payment dispute 7" {
				t.Fatalf("got %v", got)
			}
		}

		volume["name"] = "more"
		for what, r := range map[string]reply{
			"deploy":        w.refused("ACCOUNT_SUSPENDED", w.ada, "POST", Base+"/deployments", w.seedBody()),
			"create volume": w.refused("ACCOUNT_SUSPENDED", w.ada, "POST", Base+"/volumes", volume),
			"resize volume": w.refused("ACCOUNT_SUSPENDED", w.ada, "PATCH", Base+"/volumes/"+disk,
				map[string]any{"sizeGb": 20}),
			"power on": w.refused("ACCOUNT_SUSPENDED", w.ada, "POST", Base+"/deployments/"+machine+"/power-on",
				nil),
			"put off an end": w.refused("ACCOUNT_SUSPENDED", w.ada, "PATCH", Base+"/deployments/"+machine,
				map[string]any{"autoTerminateAt": nil}),
		} {
			details, _ := r.error["details"].(map[string]any)
			if r.status != 403 || details["reason"] != "Payment dispute 7" ||
				!strings.Contains(fmt.Sprint(r.error["message"]), "Payment dispute 7.") {
				t.Errorf("%s: got %d %s", what, r.status, r.body)
			}
		}
		w.deploy(w.bob) // another account goes on
		w.want(200, w.ada, "GET", Base+"/deployments/"+machine, nil)
		w.want(200, w.ada, "GET", Base+"/wallet", nil)
		w.want(200, op, "POST", at+"/credit", map[string]any{"amount": 5})
		w.user(w.ada, account.Viewer, "viewer@example.com")
		me := w.by(200, w.cookie("viewer@example.com"), "GET", AccountBase+"/me", nil).data.(map[string]any)
		if got := me["account"].(map[string]any)["suspension"]; got == nil {
			t.Error("a member is not told of the suspension")
		}
		w.want(202, w.ada, "DELETE", Base+"/deployments/"+machine+"?when=earliest", nil)

		for range 2 {
			if got := w.want(200, op, "POST", at+"/resume", nil).data.(map[string]any)["suspension"]; got != nil {
				t.Errorf("after resume: got %v", got)
			}
		}
		w.deploy(w.ada)
		if got, want := w.eventTypes(w.ada, "account."), "account.suspended account.resumed"; got != want {
			t.Errorf("events: got %s, want %s", got, want)
		}
	})
}

func TestSuspensionEndsDeployments(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		op, first, second := w.operator(), string(w.deploy(w.ada)), string(w.deploy(w.ada))
		other := string(w.deploy(w.bob))
		w.want(200, w.ada, "PATCH", Base+"/deployments/"+first, map[string]any{"terminationProtection": true})
		at := OperatorBase + "/accounts/" + string(w.ada.account) + "/suspend"
		body := map[string]any{"reason": "Fraud.", "terminate": "earliest"}
		for range 2 {
			w.want(200, op, "POST", at, body)
		}
		for _, machine := range []string{first, second} {
			got := w.want(200, w.ada, "GET", Base+"/deployments/"+machine, nil)
			if got.text("status") == "terminating" || got.text("autoTerminateAt") != got.text("terminableAt") {
				t.Errorf("earliest: got %s", got.body)
			}
		}
		if got, want := w.eventTypes(w.ada, "account."), "account.suspended"; got != want {
			t.Errorf("events after earliest: got %s, want %s", got, want)
		}
		body["terminate"] = "now"
		for range 2 {
			w.want(200, op, "POST", at, body)
		}
		for _, machine := range []string{first, second} {
			got := w.want(200, w.ada, "GET", Base+"/deployments/"+machine, nil)
			if got.text("status") != "terminating" || got.text("statusReason") != "Fraud." {
				t.Errorf("now: got %s", got.body)
			}
		}
		if got, want := w.eventTypes(w.ada, "account."), "account.suspended account.suspended"; got != want {
			t.Errorf("events after now: got %s, want %s", got, want)
		}
		if got := w.want(200, w.bob, "GET", Base+"/deployments/"+other, nil).text("status"); got == "terminating" {
			t.Error("another account's deployment was ended")
		}
	})
}

func TestNoDeployIsLeftBehindByASuspension(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		op, body := w.operator(), w.seedBody()
		w.want(
			200,
			op,
			"POST",
			OperatorBase+"/accounts/"+string(w.ada.account)+"/credit",
			map[string]any{"amount": 9000},
		)
		var wg sync.WaitGroup
		for i := range 21 {
			wg.Go(func() {
				if i == 10 {
					w.do(op, "POST", OperatorBase+"/accounts/"+string(w.ada.account)+"/suspend",
						map[string]any{"reason": "Fraud.", "terminate": "now"})
				} else if r := w.do(w.ada, "POST", Base+"/deployments", body); r.status != 201 &&
					r.code != "ACCOUNT_SUSPENDED" {
					t.Errorf("deploy: got %d %s", r.status, r.body)
				}
			})
		}
		wg.Wait()
		if left := w.want(200, w.ada, "GET", Base+"/deployments?status=pending,deploying,running,stopped", nil); len(
			left.list,
		) != 0 {
			t.Errorf("%d deployments are left", len(left.list))
		}
		if held := w.want(200, w.ada, "GET", Base+"/wallet", nil).data.(map[string]any)["held"]; held != 0.0 {
			t.Errorf("on hold: got %v, want 0", held)
		}
	})
}

func TestFiftyDeploysAtOnceStayWithinAQuota(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		op, body, at := w.operator(), w.seedBody(), OperatorBase+"/accounts/"+string(w.ada.account)
		w.want(200, op, "POST", at+"/credit", map[string]any{"amount": 9000})
		w.want(200, op, "PUT", at+"/quotas", map[string]any{"machines": 7})
		var let, refused atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				switch r := w.do(w.ada, "POST", Base+"/deployments", body); {
				case r.status == 201:
					let.Add(1)
				case r.status == 403 && r.code == "QUOTA_EXCEEDED":
					refused.Add(1)
				default:
					t.Errorf("got %d %s", r.status, r.body)
				}
			})
		}
		wg.Wait()
		if let.Load() != 7 || refused.Load() != 43 {
			t.Errorf("got %d deployed and %d refused, want 7 and 43", let.Load(), refused.Load())
		}
	})
}

func TestQuotasOverTheAPI(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		op, at := w.operator(), OperatorBase+"/accounts/"+string(w.ada.account)+"/quotas"
		w.refused("NOT_FOUND", op, "PUT", OperatorBase+"/accounts/acc_none/quotas", map[string]any{"gpus": 1})
		if got := w.refused("INVALID_REQUEST", op, "PUT", at, map[string]any{"gpus": -1, "volumes": -2}).fields(); len(
			got,
		) != 2 {
			t.Errorf("faults: got %v, want two", got)
		}
		w.want(200, op, "PUT", OperatorBase+"/quotas", map[string]any{"gpus": 12, "volumes": 1})
		w.deploy(w.ada)
		r := w.refused("QUOTA_EXCEEDED", w.ada, "POST", Base+"/deployments", w.seedBody())
		details := r.error["details"].(map[string]any)
		if details["quota"] != "gpus" || details["used"] != 8.0 || details["limit"] != 12.0 ||
			details["requested"] != 8.0 ||
			!strings.Contains(fmt.Sprint(r.error["message"]), "GPUs: 8 of 12 in use, 8 more requested") {
			t.Errorf("got %s", r.body)
		}
		volume := map[string]any{"name": "data", "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5"}
		w.want(201, w.ada, "POST", Base+"/volumes", volume)
		volume["name"] = "more"
		w.refused("QUOTA_EXCEEDED", w.ada, "POST", Base+"/volumes", volume)

		w.want(200, op, "PUT", at, map[string]any{"gpus": 16, "volumeGb": 10, "hourlySpend": nil})
		w.deploy(w.ada)
		seen := w.want(200, w.ada, "GET", AccountBase+"/quotas", nil).data.(map[string]any)
		limits, used := seen["limits"].(map[string]any), seen["used"].(map[string]any)
		if limits["gpus"] != 16.0 || limits["volumes"] != 1.0 || limits["machines"] != nil || used["gpus"] != 16.0 ||
			used["machines"] != 2.0 || used["volumes"] != 1.0 || used["volumeGb"] != 10.0 {
			t.Errorf("the tenant sees %v", seen)
		}
		spend := used["hourlySpend"].(float64)
		w.want(200, op, "PUT", at, map[string]any{"gpus": 100, "hourlySpend": spend + 1})
		if r := w.refused("QUOTA_EXCEEDED", w.ada, "POST", Base+"/deployments",
			w.seedBody()); r.error["details"].(map[string]any)["quota"] != "hourlySpend" {
			t.Errorf("got %s", r.body)
		}
		dry := w.seedBody()
		dry["dryRun"] = true
		w.refused("QUOTA_EXCEEDED", w.ada, "POST", Base+"/deployments", dry)
		if got := w.want(200, op, "GET", at, nil).data.(map[string]any); got["volumes"] != nil ||
			got["defaults"].(map[string]any)["volumes"] != 1.0 || got["hourlySpend"] != spend+1 {
			t.Errorf("the operator sees %v", got)
		}
		w.deploy(w.bob)
	})
}
