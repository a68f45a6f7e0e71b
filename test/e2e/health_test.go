package e2e_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/test/servertest"
)

// proving is a server that checks GPUs: the specification's offer reports, all others require.
type proving struct {
	*servertest.Server
	t                      *testing.T
	key, account, operator string
	tenant                 identity
	first, second          string // offers that require, of two providers
	providers              [2]string
}

func startProving(t *testing.T, args ...string) *proving {
	t.Helper()
	s := servertest.Prepare(t, t.TempDir(), append(args, "--sim")...)
	s.Run("settings", "set", "gpuHealth.policy=require", "gpuHealth.report=off_abc123")
	s.Restart()
	c := &proving{Server: s, t: t, tenant: newIdentity(t)}
	c.account, c.key = s.Key("1000", "--read-limit", "100000", "--write-limit", "1000", "--deploy-limit", "100")
	c.operator = s.KeyOf(c.account, "--scopes", operatorScopes, "--read-limit", "100000")
	s.Until("the offer shows the policy", func() bool {
		return s.Call(c.key, "GET", "/offers/off_abc123", nil).Data["healthPolicy"] == "report"
	})
	for _, x := range s.Call(c.key, "GET", "/offers?available=true&limit=100&sort=price", nil).List {
		o := x.(map[string]any)
		single, _ := o["capabilities"].(map[string]any)["singleKey"].(bool)
		switch {
		case o["healthPolicy"] != "require" || single ||
			!slices.Contains(o["operatingSystems"].([]any), any("Ubuntu 22.04")):
		case c.first == "":
			c.first, c.providers[0] = o["id"].(string), o["provider"].(string)
		case c.second == "" && o["provider"] != c.providers[0]:
			c.second, c.providers[1] = o["id"].(string), o["provider"].(string)
		}
	}
	if c.second == "" {
		t.Fatal("no two providers have an offer that requires the check")
	}
	return c
}

// deploy deploys the first of the offers that starts.
func (c *proving) deploy(name, access string, offers ...string) string {
	c.t.Helper()
	candidates := []any{}
	for _, o := range offers {
		candidates = append(candidates, map[string]any{"offerId": o})
	}
	a := c.Call(c.key, "POST", "/deployments", map[string]any{
		"candidates": candidates, "operatingSystem": "Ubuntu 22.04", "ssh_public_key": c.tenant.public, "name": name,
		"healthAccess": access,
	})
	if a.Status != 201 {
		c.t.Fatalf("%d %s", a.Status, a.Body)
	}
	return a.Data["id"].(string)
}

// until advances the clock until the deployment has the status.
func (c *proving) until(id, status string) map[string]any {
	c.t.Helper()
	for range 60 {
		d := c.Call(c.key, "GET", "/deployments/"+id, nil).Data
		if d["status"] == status {
			return d
		}
		c.Advance("30s")
	}
	return c.Await(c.key, id, status)
}

// charges returns the amounts that the deployment was charged.
func (c *proving) charges(id string) []float64 {
	c.t.Helper()
	out := []float64{}
	for _, x := range c.Call(c.key, "GET", "/wallet/transactions?type=charge&limit=100", nil).List {
		if charge := x.(map[string]any); charge["deploymentId"] == id {
			out = append(out, charge["amount"].(float64))
		}
	}
	return out
}

// events returns the deployment's events of a type.
func (c *proving) events(id, kind string) []map[string]any {
	c.t.Helper()
	a := c.Call(c.key, "GET", "/deployments/"+id+"/events?limit=100", nil)
	if a.Status != 200 {
		c.t.Fatalf("%d %s", a.Status, a.Body)
	}
	out := []map[string]any{}
	for _, x := range a.List {
		if e := x.(map[string]any); e["type"] == kind {
			out = append(out, e)
		}
	}
	return out
}

// health returns the deployment's checks.
func (c *proving) health(id string) map[string]any {
	c.t.Helper()
	return c.Call(c.key, "GET", "/deployments/"+id+"/health", nil).Data
}

// openIssues returns the issues of GPUs that failed, of the deployment.
func (c *proving) openIssues(id string) (out []map[string]any) {
	c.t.Helper()
	for _, i := range issuesOf(c.t, c.Server, c.operator, "failed_gpus") {
		if i["deploymentId"] == id {
			out = append(out, i)
		}
	}
	return out
}

// hasKey reports whether the machine lets the key of Billet in, beside the tenant's.
func (c *proving) hasKey(d map[string]any) bool {
	c.t.Helper()
	keys := strings.TrimSpace(c.tenant.run(c.t, d, "cat .ssh/authorized_keys"))
	lines := strings.Split(keys, "\n")
	if !slices.Contains(lines, c.tenant.public) || len(lines) > 2 {
		c.t.Errorf("the machine has the keys %q", keys)
	}
	return len(lines) == 2 && strings.HasSuffix(lines[1], " billet-gpu-check")
}

// wants checks what is known of the GPUs of a deployment, and returns the newest check's checks by
// name.
func (c *proving) wants(id, verdict, trigger string, checks int) map[string]string {
	c.t.Helper()
	h := c.health(id)
	latest, _ := h["latest"].(map[string]any)
	if h["verdict"] != verdict || latest == nil || latest["verdict"] != verdict || latest["trigger"] != trigger ||
		len(h["checks"].([]any)) != checks {
		c.t.Fatalf("want %s by %s, the %d. check: %v", verdict, trigger, checks, h)
	}
	out := map[string]string{}
	for _, n := range latest["nodes"].([]any) {
		for _, x := range n.(map[string]any)["checks"].([]any) {
			one := x.(map[string]any)
			out[one["name"].(string)] = one["verdict"].(string)
		}
	}
	return out
}

// TestGPUsAreProven: the GPUs of real machines are checked over their SSH server before they run,
// and the key of the check is gone by then.
func TestGPUsAreProven(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		c := startProving(t, args...)
		for name, offer := range map[string]string{"reported": "off_abc123", "required": c.first} {
			id := c.deploy(name, "launch", offer)
			d := c.until(id, "running")
			if by := c.wants(id, "passed", "launch", 1); by["collection"] != "passed" || by["compute"] != "passed" {
				t.Errorf("%s: %v", name, by)
			}
			if h := c.health(id); h["keyInstalled"] != false || h["reason"] != nil || c.hasKey(d) {
				t.Errorf("%s: the key is still there: %v", name, h)
			}
			if got := c.charges(id); len(got) != 1 {
				t.Errorf("%s: charged %v", name, got)
			}
			if len(c.events(id, "deployment.health_checked")) != 1 || len(c.openIssues(id)) != 0 {
				t.Errorf("%s: %v", name, c.events(id, "deployment.health_checked"))
			}
			a := c.Call(c.key, "POST", "/deployments/"+id+"/health-checks", map[string]any{})
			if a.Status != 409 || a.Code() != "CONFLICT" || !strings.Contains(string(a.Body), "healthAccess") {
				t.Errorf("%s: a check without a key: %d %s", name, a.Status, a.Body)
			}
		}
		c.Run("ledger", "verify")
	})
}

// TestFaultyGPUsAreReported: where the check only reports, a machine with a broken GPU runs, and
// its verdict is shown.
func TestFaultyGPUsAreReported(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		c := startProving(t, args...)
		addFault(t, c.Server, "gpu", "--value", "ecc", "--count", "1")
		id := c.deploy("reported", "launch", "off_abc123")
		d := c.until(id, "running")
		if by := c.wants(id, "failed", "launch", 1); by["ecc"] != "failed" || by["gpu_count"] != "passed" {
			t.Errorf("%v", by)
		}
		if h := d["health"].(map[string]any); h["verdict"] != "failed" || h["reason"] == nil || c.hasKey(d) {
			t.Errorf("%v", h)
		}
		if got := c.events(id, "deployment.health_failed"); len(got) != 1 {
			t.Errorf("%v", got)
		}
		if got := c.openIssues(id); len(got) != 1 || got[0]["provider"] != "voltage-park" {
			t.Errorf("%v", got)
		}
		if got := c.charges(id); len(got) != 1 {
			t.Errorf("charged %v", got)
		}
		// The operator credits the time for which one of the GPUs did not work, once.
		c.Advance("15m")
		credits := creditShell{t, c.Server, id, instant(t, d["startedAt"]).Truncate(time.Second)}
		balance := func() float64 { return c.Call(c.key, "GET", "/wallet", nil).Data["balance"].(float64) }
		before := balance()
		made := credits.one("proposed", credits.create(1, 11)...)
		want := d["hourlyPrice"].(float64) / 6 / d["gpuCount"].(float64)
		credits.one("approved", "approve", made["id"].(string))
		if rose := balance() - before; math.Abs(rose-want) > 1e-6 {
			t.Errorf("the balance rose by %v, want %v", rose, want)
		}
		credits.refused("CONFLICT", credits.create(1, 11)...)
		if rose := balance() - before; math.Abs(rose-want) > 1e-6 {
			t.Errorf("after a second one for the same time, the balance rose by %v, want %v", rose, want)
		}
	})
}

// TestFaultyGPUsAreReplaced: where the check is required, a machine with a broken GPU is ended and
// costs its tenant nothing. The next candidate runs.
func TestFaultyGPUsAreReplaced(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		c := startProving(t, args...)
		addFault(t, c.Server, "gpu", "--value", "xid", "--provider", c.providers[0])
		id := c.deploy("replaced", "launch", c.first, c.second)
		d := c.until(id, "running")
		attempts, _ := d["attempts"].([]any)
		if d["offerId"] != c.second || len(attempts) != 1 {
			t.Fatalf("%v", d)
		}
		if tried := attempts[0].(map[string]any); tried["offerId"] != c.first || tried["cause"] != "unhealthy" ||
			!strings.Contains(tried["reason"].(string), "GPU") {
			t.Errorf("%v", tried)
		}
		if got := upstream(t, c.Server); len(got) != 1 || got[0] != id {
			t.Errorf("upstream %v", got)
		}
		if got := c.charges(id); len(got) != 1 || got[0] != -d["hourlyPrice"].(float64) {
			t.Errorf("charged %v, want only one hour of %v", got, d["hourlyPrice"])
		}
		if c.wants(id, "passed", "launch", 2); c.hasKey(d) {
			t.Error("the key is still there")
		}
		if got := c.openIssues(id); len(got) != 1 || got[0]["provider"] != c.providers[0] {
			t.Errorf("%v", got)
		}
		c.Run("ledger", "verify")
	})
}

// TestNoCandidateHasGoodGPUs: where all candidates have a broken GPU, the deployment fails and
// costs nothing.
func TestNoCandidateHasGoodGPUs(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		c := startProving(t, args...)
		addFault(t, c.Server, "gpu", "--value", "gpu_count")
		none := c.deploy("none", "keep", c.first, c.second)
		d := c.until(none, "failed")
		attempts, _ := d["attempts"].([]any)
		if reason, _ := d["statusReason"].(string); d["statusCause"] != "unhealthy" || d["costToDate"] != 0.0 ||
			len(attempts) != 1 || !strings.Contains(reason, "The GPUs failed the health check: ") {
			t.Errorf("%v", d)
		}
		c.Advance("5m")
		if got := upstream(t, c.Server); len(got) != 0 {
			t.Errorf("upstream %v", got)
		}
		if b := settled(t, c.Server, c.key); b != 1000 || len(c.charges(none)) != 0 {
			t.Errorf("balance %v, charged %v", b, c.charges(none))
		}
		if got := c.openIssues(none); len(got) != 2 {
			t.Errorf("%v", got)
		}
		c.Run("ledger", "verify")
	})
}

// TestGPUsAreCheckedOnRequest: with a key that is kept, a running machine is checked when its
// tenant asks.
func TestGPUsAreCheckedOnRequest(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		c := startProving(t, args...)
		id := c.deploy("kept", "keep", c.first)
		d := c.until(id, "running")
		if c.wants(id, "passed", "launch", 1); !c.hasKey(d) || c.health(id)["keyInstalled"] != true {
			t.Fatalf("the key was not kept: %v", d["health"])
		}
		path := "/deployments/" + id + "/health-checks"
		if a := c.Call(c.key, "POST", path, map[string]any{}); a.Status != 429 ||
			a.Header.Get("Retry-After") == "" {
			t.Errorf("a moment after the last: %d %s", a.Status, a.Body)
		}
		c.Advance("3m")
		a := c.Call(c.key, "POST", path, map[string]any{"level": 1})
		if a.Status != 202 || a.Data["trigger"] != "request" || a.Data["verdict"] != nil {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		c.Until("the check has a verdict", func() bool {
			latest := c.health(id)["latest"].(map[string]any)
			return latest["id"] == a.Data["id"] && latest["verdict"] != nil
		})
		c.wants(id, "passed", "request", 2)
		told := c.events(id, "deployment.health_checked")
		if len(told) != 2 || !slices.ContainsFunc(told, func(e map[string]any) bool {
			data := e["data"].(map[string]any)
			return data["trigger"] == "request" && data["verdict"] == "passed"
		}) {
			t.Errorf("%v", told)
		}
		if got := c.charges(id); len(got) != 1 {
			t.Errorf("charged %v", got)
		}
	})
}

// TestKilledGPUCheck: the server is killed at each step of a check. There is one machine, charged
// once, with one verdict and without the key of the check.
func TestKilledGPUCheck(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		c := startProving(t, args...)
		for i, step := range []string{
			crashpoint.HealthAfterCheck, crashpoint.HealthBeforeCommit, crashpoint.HealthAfterCommit,
			crashpoint.HealthAfterRemoval,
		} {
			c.Kill()
			if !c.TryRestart(0, crashpoint.Variable+"="+step) {
				t.Fatalf("the server did not start with %s", step)
			}
			id := c.deploy(step, "launch", c.first)
			_, _ = c.TryRun("sim", "advance", "10m") // it fails when the server is killed
			c.Until("the server is killed at "+step, func() bool {
				select {
				case <-c.Ended():
					return true
				default:
					return false
				}
			})
			c.Restart()
			d := c.Await(c.key, id, "running") // once the killed server's lease is over, in real time
			c.wants(id, "passed", "launch", 1)
			if c.health(id)["keyInstalled"] != false || c.hasKey(d) {
				t.Errorf("%s: the key is still there", step)
			}
			if got := c.charges(id); len(got) != 1 {
				t.Errorf("%s: charged %v", step, got)
			}
			if got := c.events(id, "deployment.health_checked"); len(got) != 1 {
				t.Errorf("%s: %v", step, got)
			}
			if got := upstream(t, c.Server); len(got) != i+1 || !slices.Contains(got, id) {
				t.Errorf("%s: upstream %v", step, got)
			}
		}
		c.Run("ledger", "verify")
	})
}
