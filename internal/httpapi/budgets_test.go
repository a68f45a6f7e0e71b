package httpapi

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/money"
)

// Fifty calls at once stay within a budget that blocks, to the last deployment that fits.
func TestFiftyDeploysAtOnceStayWithinABudget(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		made := w.want(201, w.ada, "POST", Base+"/budgets", map[string]any{
			"name": "research", "period": "day", "amount": 100, "mode": "block",
			"scope": map[string]any{"project": "llm"},
		}).text("id")
		body := w.seedBody()
		body["project"] = "llm"
		var let, refused atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				switch r := w.do(w.ada, "POST", Base+"/deployments", body); r.code {
				case "":
					let.Add(1)
				case "BUDGET_EXCEEDED":
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
		b := w.want(200, w.ada, "GET", Base+"/budgets/"+made, nil).data.(map[string]any)
		if b["committed"] != 95.68 || b["spent"] != 0.0 {
			t.Errorf("the budget says %v", b)
		}
		delete(body, "project") // which does not count
		w.want(201, w.ada, "POST", Base+"/deployments", body)
	})
}

func TestBudgetsAreChecked(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	r := w.want(400, w.ada, "POST", Base+"/budgets", map[string]any{
		"name": "b", "period": "day", "amount": 0, "thresholds": []int{50, 50, 101},
		"scope": map[string]any{"project": "a", "tag": "b"},
	})
	got := strings.Join(r.fields(), " ")
	for _, field := range []string{"amount", "thresholds[1]", "thresholds[2]", "scope"} {
		if !strings.Contains(got, field) {
			t.Errorf("the faults %q lack %s", got, field)
		}
	}
	made := w.want(201, w.ada, "POST", Base+"/budgets", map[string]any{"name": "b", "period": "total", "amount": 5})
	b := made.data.(map[string]any)
	if b["mode"] != "alert" || len(b["thresholds"].([]any)) != 3 || b["resetsAt"] != nil {
		t.Errorf("the defaults are %v", b)
	}
	at := Base + "/budgets/" + made.text("id")
	changed := w.want(200, w.ada, "PATCH", at, map[string]any{"mode": "block", "scope": map[string]any{"tag": "x"}})
	if c := changed.data.(map[string]any); c["mode"] != "block" || c["scope"].(map[string]any)["tag"] != "x" {
		t.Errorf("changed to %v", c)
	}
	w.want(400, w.ada, "PATCH", at, map[string]any{})
	w.want(200, w.ada, "DELETE", at, nil)
	w.want(404, w.ada, "GET", at, nil)
}

// A key that is limited itself cannot lift what its account set.
func TestLimitedKeysCannotChangeBudgets(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	ada, budget := w.signIn(w.ada), map[string]any{"name": "b", "period": "day", "amount": 5}
	at := Base + "/budgets/" + w.want(201, w.ada, "POST", Base+"/budgets", budget).text("id")
	for _, key := range []map[string]any{
		{"name": "agent", "spendingLimits": map[string]any{"maxSpendPerDay": 100}}, {"name": "p", "project": "llm"},
	} {
		limited := w.ada
		limited.secret = w.by(201, ada, "POST", AccountBase+"/api-keys", key).data.(map[string]any)["key"].(string)
		w.want(403, limited, "POST", Base+"/budgets", budget)
		w.want(403, limited, "PATCH", at, map[string]any{"amount": 500})
		w.want(403, limited, "DELETE", at, nil)
	}
}

// What the whole account has and spends is not for a key of a project: it reads it from no refusal.
func TestRefusalsHideTheAccountFromKeysOfAProject(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	bound, body := w.projectKey("llm"), w.seedBody()
	disk := map[string]any{"name": "data", "sizeGb": 500, "provider": "voltage-park", "region": "dallas-usa-5"}
	dry := w.seedBody()
	dry["dryRun"] = true
	calls := []struct {
		path string
		body map[string]any
	}{{"/deployments", body}, {"/deployments", dry}, {"/volumes", disk}}
	check := func(code, says string, hidden ...string) {
		t.Helper()
		for _, c := range calls {
			e := w.refused(code, bound, "POST", Base+c.path, c.body).error
			details := e["details"].(map[string]any)
			for _, name := range hidden {
				if _, has := details[name]; has {
					t.Errorf("%s: the details of %s have %s: %v", c.path, code, name, details)
				}
			}
			if text := e["message"].(string); !strings.Contains(text, says) || strings.Contains(text, "secret") {
				t.Errorf("%s: %s says %q", c.path, code, text)
			}
		}
	}
	budget := map[string]any{"name": "secret", "period": "total", "amount": 0.000001, "mode": "block"}
	at := Base + "/budgets/" + w.want(201, w.ada, "POST", Base+"/budgets", budget).text("id")
	check("BUDGET_EXCEEDED", "A budget of the account does not allow this.", "amount", "spent", "committed")
	whole := w.refused("BUDGET_EXCEEDED", w.ada, "POST", Base+"/deployments", body).error
	if d := whole["details"].(map[string]any); d["spent"] == nil || d["budgetId"] == nil {
		t.Errorf("a key of the account reads %v", d)
	}
	w.want(200, w.ada, "PATCH", at, map[string]any{"name": "own", "scope": map[string]any{"project": "llm"}})
	check("BUDGET_EXCEEDED", "own")
	w.want(200, w.ada, "DELETE", at, nil)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		all := holdAll(w.ada.account)
		all.Amount = money.Dollars(1000)
		return w.c.Wallet.Hold(ctx, tx, all)
	})
	check("INSUFFICIENT_BALANCE", "You need at least $", "available")
}
