package httpapi

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// A key with limits deploys within them, says which one is in the way, and cannot have what others
// made cost more. A user can.
func TestAKeySpendsNoMoreThanItMay(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		ada := w.signIn(w.ada)
		made := w.by(201, ada, "POST", AccountBase+"/api-keys", map[string]any{"name": "agent",
			"spendingLimits": map[string]any{
				"maxHourlyPrice": 30, "maxSpendPerDay": 100, "gpuTypes": []string{"NVIDIA B200"},
			}}).data.(map[string]any)
		same(t, "shown", made["spendingLimits"].(map[string]any)["maxSpendPerDay"], 100)
		agent := w.ada
		agent.secret = made["key"].(string)
		limit := func(body map[string]any) any {
			t.Helper()
			return w.want(403, agent, "POST", Base+"/deployments", body).error["details"].(map[string]any)["limit"]
		}
		told := func(who tenant) map[string]any {
			t.Helper()
			r := w.want(200, who, "GET", Base+"/key", nil)
			if strings.Contains(string(r.body), who.secret) || strings.Contains(string(r.body), who.secret[:12]) {
				t.Errorf("the secret is told: %s", r.body)
			}
			return r.data.(map[string]any)
		}
		mine := told(agent)
		same(t, "the id", mine["id"], made["id"])
		same(t, "the account", mine["account"].(map[string]any)["id"], string(w.ada.account))
		same(t, "the limit", mine["spendingLimits"].(map[string]any)["maxSpendPerDay"], 100)
		same(t, "nothing used", mine["spent"].(map[string]any)["committedToday"], 0)
		if of := told(w.ada); of["spendingLimits"] != nil || of["spent"] != nil || len(of["scopes"].([]any)) == 0 {
			t.Errorf("a key without limits: %v", of)
		}
		body := w.seedBody()
		same(t, "without an end", limit(body), "maxSpendPerDay")
		body["autoTerminateAt"] = w.clock.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
		dry := w.seedBody()
		dry["autoTerminateAt"], dry["dryRun"] = body["autoTerminateAt"], true
		w.want(200, agent, "POST", Base+"/deployments", dry)
		first := w.want(201, agent, "POST", Base+"/deployments", body).data.(map[string]any)
		w.want(201, agent, "POST", Base+"/deployments", body)
		used := told(agent)["spent"].(map[string]any)
		same(
			t,
			"used",
			fmt.Sprint(used["committedToday"], used["committedThisMonth"], used["deployments"]),
			"47.84 47.84 2",
		) // it is a minute to midnight, and a month ends: of each the first hour begins today
		same(
			t,
			"a third",
			limit(body),
			"maxSpendPerDay",
		) // 2 × 2 × 23.92 are committed
		later := map[string]any{"autoTerminateAt": w.clock.Now().Add(9 * time.Hour).UTC().Format(time.RFC3339)}
		at := Base + "/deployments/" + first["id"].(string)
		same(
			t,
			"longer",
			w.want(403, agent, "PATCH", at, later).error["details"].(map[string]any)["limit"],
			"maxSpendPerDay",
		)
		w.by(200, ada, "PATCH", at, later)
		theirs := w.want(201, w.ada, "POST", Base+"/deployments", body).data.(map[string]any)
		w.want(403, agent, "PATCH", Base+"/deployments/"+theirs["id"].(string), later)
		w.want(200, agent, "PATCH", Base+"/deployments/"+theirs["id"].(string), map[string]any{"name": "renamed"})
		key := AccountBase + "/api-keys/" + made["id"].(string)
		w.by(400, ada, "PATCH", key, map[string]any{"spendingLimits": map[string]any{"gpuTypes": []string{" "}}})
		changed := w.by(200, ada, "PATCH", key, map[string]any{"spendingLimits": map[string]any{}})
		same(t, "spending limits", changed.data.(map[string]any)["spendingLimits"], nil)
		w.want(201, agent, "POST", Base+"/deployments", body)
	})
}

// Fifty at once with one key commit no more than it may.
func TestFiftyDeploysAtOnceStayWithinAKeysLimit(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		ada := w.signIn(w.ada)
		made := w.by(201, ada, "POST", AccountBase+"/api-keys", map[string]any{"name": "agent",
			"spendingLimits": map[string]any{"maxSpendPerDay": 100}}).data.(map[string]any)
		agent, body := w.ada, w.seedBody()
		agent.secret = made["key"].(string)
		body["autoTerminateAt"] = w.clock.Now().Add(26 * time.Minute).UTC().Format(time.RFC3339)
		var let, refused atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				switch r := w.do(agent, "POST", Base+"/deployments", body); r.status {
				case 201:
					let.Add(1)
				case 403:
					refused.Add(1)
				default:
					t.Errorf("%d: %v", r.status, r.error)
				}
			})
		}
		wg.Wait()
		if let.Load() != 4 || refused.Load() != 46 { // 4 × 23.92
			t.Errorf("%d were let, %d refused", let.Load(), refused.Load())
		}
	})
}

// Fifty changes at once, made with one key, commit no more than it may: of four deployments, two
// fit for another hour, whichever come first.
func TestFiftyChangesAtOnceStayWithinAKeysLimit(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		made := w.by(201, w.signIn(w.ada), "POST", AccountBase+"/api-keys", map[string]any{"name": "agent",
			"spendingLimits": map[string]any{"maxSpendPerDay": 150}}).data.(map[string]any)
		agent, body := w.ada, w.seedBody()
		agent.secret = made["key"].(string)
		in := func(d time.Duration) string { return w.clock.Now().Add(d).UTC().Format(time.RFC3339) }
		body["autoTerminateAt"] = in(26 * time.Minute)
		var all []string
		for range 4 {
			all = append(all, w.want(201, agent, "POST", Base+"/deployments", body).text("id")) // 23.92 each
		}
		longer := map[string]any{"autoTerminateAt": in(90 * time.Minute)}
		var refused atomic.Int64
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				switch r := w.do(agent, "PATCH", Base+"/deployments/"+all[i%4], longer); r.status {
				case 200:
				case 403:
					refused.Add(1)
				default:
					t.Errorf("%d: %v", r.status, r.error)
				}
			})
		}
		wg.Wait()
		let := 0
		for _, id := range all {
			d := w.want(200, agent, "GET", Base+"/deployments/"+id, nil).data.(map[string]any)
			if d["autoTerminateAt"] == longer["autoTerminateAt"] {
				let++
			}
		}
		if let != 2 || refused.Load() < 2 {
			t.Errorf("%d deployments were let run longer, %d changes refused", let, refused.Load())
		}
	})
}
