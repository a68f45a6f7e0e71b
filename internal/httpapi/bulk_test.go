package httpapi

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/google/go-cmp/cmp"
)

const bulkPath = Base + "/deployments/bulk"

// bulkResultsOf returns the results of a bulk action as "id ok" or "id CODE".
func bulkResultsOf(r reply) []string {
	out := []string{}
	results, _ := dig(r.data, "results").([]any)
	for _, one := range results {
		text := fmt.Sprint(dig(one, "id"), " ok")
		if dig(one, "ok") != true {
			text = fmt.Sprint(dig(one, "id"), " ", dig(one, "error", "code"))
		}
		out = append(out, text)
	}
	return out
}

func TestBulkTerminateEndsAProjectAtOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		first, second := w.deployIn(w.ada, "first", "blue"), w.deployIn(w.ada, "second", "blue")
		other, protected := w.deployIn(w.ada, "other", "red"), w.deployIn(w.ada, "protected", "blue")
		theirs := w.deployIn(w.bob, "theirs", "blue")
		for _, x := range []id.ID{first, second, other, protected, theirs} {
			w.settle(x)
		}
		w.want(http.StatusOK, w.ada, "PATCH", Base+"/deployments/"+string(protected), `{"terminationProtection":true}`)
		body := map[string]any{"action": "terminate", "filter": map[string]any{"project": "blue"}}

		early := w.want(http.StatusOK, w.ada, "POST", bulkPath, body)
		want := []string{
			string(protected) + " CONFLICT", string(second) + " MINIMUM_RUNTIME_NOT_MET",
			string(first) + " MINIMUM_RUNTIME_NOT_MET",
		}
		if diff := cmp.Diff(want, bulkResultsOf(early)); diff != "" {
			t.Errorf("before the minimum runtime (-want +got):\n%s", diff)
		}
		c.Advance(30 * time.Minute)
		can := w.want(http.StatusOK, w.ada, "GET", Base+"/deployments/"+string(first)+"/can-terminate", nil)
		body["dryRun"] = true
		dry := w.want(http.StatusOK, w.ada, "POST", bulkPath, body)
		want = []string{string(protected) + " CONFLICT", string(second) + " ok", string(first) + " ok"}
		if diff := cmp.Diff(want, bulkResultsOf(dry)); diff != "" {
			t.Errorf("dry run (-want +got):\n%s", diff)
		}
		results, _ := dig(dry.data, "results").([]any)
		same(t, "refund of the preview", dig(results[2], "refund"), dig(can.data, "refund"))
		same(t, "status after a dry run",
			w.want(http.StatusOK, w.ada, "GET", Base+"/deployments/"+string(first), nil).text("status"), "running")

		body["dryRun"] = false
		before := w.want(http.StatusOK, w.ada, "GET", Base+"/wallet", nil)
		key := header("Idempotency-Key", "end-blue")
		done := w.want(http.StatusOK, w.ada, "POST", bulkPath, body, key)
		if diff := cmp.Diff(want, bulkResultsOf(done)); diff != "" {
			t.Errorf("terminated (-want +got):\n%s", diff)
		}
		after := w.want(http.StatusOK, w.ada, "GET", Base+"/wallet", nil)
		returned := dig(after.data, "available").(float64) - dig(before.data, "available").(float64)
		same(
			t,
			"returned to the wallet",
			fmt.Sprintf("%.2f", returned),
			fmt.Sprintf("%.2f", 2*dig(can.data, "refund").(float64)),
		)
		again := w.want(http.StatusOK, w.ada, "POST", bulkPath, body, key)
		same(t, "replayed", again.header.Get("Idempotent-Replayed"), "true")
		statuses := map[id.ID]string{
			first: "terminating", second: "terminating", other: "running", protected: "running",
		}
		for x, status := range statuses {
			same(t, "status of "+string(x),
				w.want(http.StatusOK, w.ada, "GET", Base+"/deployments/"+string(x), nil).text("status"), status)
		}
		same(t, "another account's deployment in a project of that name",
			w.want(http.StatusOK, w.bob, "GET", Base+"/deployments/"+string(theirs), nil).text("status"), "running")
		if got := w.want(http.StatusOK, w.ada, "POST", bulkPath, map[string]any{
			"action": "terminate", "ids": []id.ID{first, theirs, other},
		}); !cmp.Equal(bulkResultsOf(got), []string{
			string(first) + " ok", string(theirs) + " NOT_FOUND", string(other) + " ok",
		}) {
			t.Errorf("by ids: %s", got.body)
		}
		entries := w.by(http.StatusOK, w.signIn(w.ada), "GET",
			AccountBase+"/audit?action=bulkUpdateDeployments", nil)
		if len(entries.list) != 3 {
			t.Errorf("%d audit entries for 3 terminated deployments: %s", len(entries.list), entries.body)
		}
		for x := range map[id.ID]bool{first: true, second: true, other: true} {
			w.settle(x)
			same(t, "status in the end",
				w.want(http.StatusOK, w.ada, "GET", Base+"/deployments/"+string(x), nil).text("status"), "terminated")
		}
	})
}

func TestBulkTagsAndAutoTerminate(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		a, b := w.deployIn(w.ada, "a", ""), w.deployIn(w.ada, "b", "")
		tags := func(x id.ID) string {
			return fmt.Sprint(
				dig(w.want(http.StatusOK, w.ada, "GET", Base+"/deployments/"+string(x), nil).data, "tags"),
			)
		}
		do := func(body map[string]any) reply {
			t.Helper()
			body["ids"] = []id.ID{a, b}
			return w.want(http.StatusOK, w.ada, "POST", bulkPath, body)
		}
		do(map[string]any{"action": "addTags", "tags": []string{"x", "y"}})
		do(map[string]any{"action": "addTags", "tags": []string{"y", "z"}})
		same(t, "tags after adding", tags(a), "[x y z]")
		do(map[string]any{"action": "removeTags", "tags": []string{"y", "none"}})
		same(t, "tags after removing", tags(b), "[x z]")
		do(map[string]any{"action": "addTags", "tags": []string{"y"}})
		same(t, "tags after adding again", tags(b), "[x z y]")
		for i := range 18 {
			do(map[string]any{"action": "addTags", "tags": []string{fmt.Sprint("t", i)}})
		}
		full := do(map[string]any{"action": "addTags", "tags": []string{"one more"}})
		same(
			t,
			"with too many tags",
			bulkResultsOf(full),
			[]string{string(a) + " INVALID_REQUEST", string(b) + " INVALID_REQUEST"},
		)

		at := c.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
		do(map[string]any{"action": "setAutoTerminate", "autoTerminateAt": at})
		same(t, "auto-terminate",
			w.want(http.StatusOK, w.ada, "GET", Base+"/deployments/"+string(a), nil).text("autoTerminateAt"),
			at.Format(time.RFC3339))
		soon := do(map[string]any{"action": "setAutoTerminate", "autoTerminateAt": c.Now()})
		same(
			t,
			"too early",
			bulkResultsOf(soon),
			[]string{string(a) + " INVALID_REQUEST", string(b) + " INVALID_REQUEST"},
		)
		do(map[string]any{"action": "setAutoTerminate", "autoTerminateAt": nil})
		r := w.want(http.StatusOK, w.ada, "GET", Base+"/deployments/"+string(b), nil)
		if dig(r.data, "autoTerminateAt") != nil {
			t.Errorf("auto-terminate after it was canceled: %s", r.body)
		}
	})
}

func TestBulkRefusesContradictions(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	d := w.deploy(w.ada)
	for _, tt := range []struct {
		body  map[string]any
		field string
	}{
		{map[string]any{"action": "terminate"}, "ids"},
		{map[string]any{"action": "terminate", "ids": []id.ID{d}, "filter": map[string]any{"tag": "t"}}, "filter"},
		{map[string]any{"action": "terminate", "filter": map[string]any{}}, "filter"},
		{
			map[string]any{"action": "terminate", "filter": map[string]any{"status": []string{}, "tag": "t"}},
			"filter.status",
		},
		{
			map[string]any{"action": "terminate", "filter": map[string]any{"status": []string{"terminated"}}},
			"filter.status",
		},
		{map[string]any{"action": "terminate", "ids": []id.ID{d, d}}, "ids"},
		{map[string]any{"action": "terminate", "ids": []id.ID{d}, "tags": []string{"t"}}, "tags"},
		{map[string]any{"action": "addTags", "ids": []id.ID{d}}, "tags"},
		{map[string]any{"action": "addTags", "ids": []id.ID{d}, "tags": []string{"t"}, "when": "now"}, "when"},
		{map[string]any{"action": "setAutoTerminate", "ids": []id.ID{d}}, "autoTerminateAt"},
		{map[string]any{"action": "explode", "ids": []id.ID{d}}, "action"},
	} {
		r := w.refused("INVALID_REQUEST", w.ada, "POST", bulkPath, tt.body)
		same(t, fmt.Sprint("fields of ", tt.body), r.fields(), []string{tt.field})
	}
}

func TestBulkWithAKeyOfAProjectReachesOnlyItsProject(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	bound := w.projectKey("blue")
	mine, theirs := w.deployIn(bound, "mine", ""), w.deployIn(w.ada, "theirs", "red")
	r := w.want(http.StatusOK, bound, "POST", bulkPath, map[string]any{
		"action": "addTags", "tags": []string{"t"}, "ids": []id.ID{mine, theirs},
	})
	same(t, "by ids", bulkResultsOf(r), []string{string(mine) + " ok", string(theirs) + " NOT_FOUND"})
	r = w.want(http.StatusOK, bound, "POST", bulkPath, map[string]any{
		"action": "addTags", "tags": []string{"u"}, "filter": map[string]any{"search": "e"},
	})
	same(t, "by filter", bulkResultsOf(r), []string{string(mine) + " ok"})
}
