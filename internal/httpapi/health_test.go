package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/gpucheck"
	gpuhealth "github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
)

// checkedDeployment is a running deployment of Ada's whose GPUs passed. It returns the path of its
// health.
func (w *world) checkedDeployment(access gpuhealth.Access) (deployment id.ID, path string) {
	w.t.Helper()
	body := w.seedBody()
	body["healthAccess"] = access
	deployment = id.ID(w.want(201, w.ada, "POST", Base+"/deployments", body).text("id"))
	w.settle(deployment)
	path = Base + "/deployments/" + string(deployment)
	if got := w.want(200, w.ada, "GET", path, nil).text("status"); got != "running" {
		w.t.Fatalf("it is %s", got)
	}
	return deployment, path
}

// gpusPass has every offer checked, and every check pass.
func (w *world) gpusPass() {
	w.t.Helper()
	w.gpuPolicies = gpuhealth.Policies{Default: gpuhealth.Require}
	w.gpus = gpuhealth.Result{Verdict: gpucheck.Passed, Nodes: []gpuhealth.Node{{Report: gpucheck.Report{
		Level: gpucheck.LevelQuick, Verdict: gpucheck.Passed, GPUs: []gpucheck.GPU{},
		Checks: []gpucheck.Check{{Name: gpucheck.CheckCompute, Verdict: gpucheck.Passed, Detail: "All work."}},
	}}}}
	if err := w.c.Catalog.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// TestHealthOfGPUs: a tenant reads the checks of its own deployments and requests one, at most
// every two minutes and one at a time. Other accounts find nothing.
func TestHealthOfGPUs(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.gpusPass()
		deployment, path := w.checkedDeployment(gpuhealth.AccessKeep)
		for _, target := range []string{path, Base + "/deployments/dep_none"} {
			w.refused("NOT_FOUND", w.bob, "GET", target+"/health", nil)
			w.refused("NOT_FOUND", w.bob, "POST", target+"/health-checks", map[string]any{})
		}
		health := w.want(200, w.ada, "GET", path+"/health", nil)
		same(t, "verdict", health.text("verdict"), "passed")
		same(t, "checks", len(dig(health.data, "checks").([]any)), 1)
		same(t, "trigger", dig(health.data, "latest", "trigger"), "launch")

		for _, level := range []any{0, 3, -1, "1", 1.5} {
			r := w.refused("INVALID_REQUEST", w.ada, "POST", path+"/health-checks", map[string]any{"level": level})
			same(t, "fields", r.fields(), "[level]")
		}
		soon := w.refused("RATE_LIMIT_EXCEEDED", w.ada, "POST", path+"/health-checks", map[string]any{})
		same(t, "status and Retry-After", []any{soon.status, soon.header.Get("Retry-After")}, "[429 120]")
		w.clock.Advance(2 * time.Minute)
		asked := w.want(202, w.ada, "POST", path+"/health-checks", map[string]any{"level": 2})
		same(t, "verdict of the request", dig(asked.data, "verdict"), nil)
		twice := w.refused("CONFLICT", w.ada, "POST", path+"/health-checks", map[string]any{})
		same(t, "a second one", strings.Contains(string(twice.body), "in progress"), true)
		if _, err := w.c.Deployments.CheckHealth(t.Context(), deployment); err != nil {
			t.Fatal(err)
		}
		health = w.want(200, w.ada, "GET", path+"/health", nil)
		same(t, "newest", []any{
			dig(health.data, "latest", "id"), dig(health.data, "latest", "trigger"),
			dig(health.data, "latest", "level"),
		}, []any{asked.text("id"), "request", 2})

		w.want(202, w.ada, "DELETE", path+"?when=earliest", nil)
		w.clock.Advance(time.Hour)
		w.settle(deployment)
		over := w.refused("CONFLICT", w.ada, "POST", path+"/health-checks", map[string]any{})
		same(t, "after its end", strings.Contains(string(over.body), "only while it is running"), true)
	})
}

// TestHealthWithoutAKey: a requested check is refused with the reason why Billet has no key.
func TestHealthWithoutAKey(t *testing.T) {
	w := newWorld(t)
	_, off := w.checkedDeployment(gpuhealth.AccessKeep)
	r := w.refused("CONFLICT", w.ada, "POST", off+"/health-checks", map[string]any{})
	same(t, "policy off", strings.Contains(string(r.body), "policy for this offer is off"), true)
	same(t, "its policy", w.want(200, w.ada, "GET", off+"/health", nil).text("policy"), "off")
	w.gpusPass()
	_, launch := w.checkedDeployment(gpuhealth.AccessLaunch)
	r = w.refused("CONFLICT", w.ada, "POST", launch+"/health-checks", map[string]any{})
	same(t, "only for the launch", strings.Contains(string(r.body), "healthAccess set to keep"), true)
}
