package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/mcp"
	"github.com/billetcloud/billet/test/servertest"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZwpBijBd19lrp1GO7KtPM2MVlY6axv+5hGmH8ABvX8 agent@example"

// agent is an MCP client, connected to a server with one API key.
type agent struct {
	t       *testing.T
	session *sdk.ClientSession
	key     string
}

// start connects an agent with that key. now is the clock of the MCP server.
func start(t *testing.T, s *servertest.Server, key string, now func() time.Time) *agent {
	t.Helper()
	url := "http://127.0.0.1:1"
	if s != nil {
		url = s.URL
	}
	c, err := client.New(client.Config{BaseURL: url, APIKey: key, MaxRetries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return connected(t,
		mcp.New(mcp.Config{Client: c, Version: "test", Now: now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}),
		key)
}

// call calls a tool and returns its result or its error.
func (a *agent) call(tool string, in map[string]any) (result, toolError map[string]any) {
	a.t.Helper()
	r, err := a.session.CallTool(a.t.Context(), &sdk.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		a.t.Fatalf("%s: %v", tool, err)
	}
	text := r.Content[0].(*sdk.TextContent).Text
	if strings.Contains(text, a.key) {
		a.t.Errorf("%s returned the API key: %s", tool, text)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		a.t.Fatalf("%s returned invalid JSON: %s", tool, text)
	}
	if r.IsError {
		return nil, v
	}
	return v, nil
}

func (a *agent) ok(tool string, in map[string]any) map[string]any {
	a.t.Helper()
	v, refused := a.call(tool, in)
	if refused != nil {
		a.t.Fatalf("%s: %v", tool, refused)
	}
	return v
}

func (a *agent) refused(code, tool string, in map[string]any) map[string]any {
	a.t.Helper()
	v, refused := a.call(tool, in)
	if refused["code"] != code {
		a.t.Fatalf("%s: got %v, %v, want the error %s", tool, v, refused, code)
	}
	if text, _ := refused["hint"].(string); text == "" {
		a.t.Errorf("%s: no hint in %v", tool, refused)
	}
	return refused
}

var wanted = map[string]any{
	"offerId":         "off_abc123",
	"name":            "training",
	"hours":           2,
	"operatingSystem": "Ubuntu 22.04",
	"sshPublicKey":    publicKey,
}

func with(name string, v any) map[string]any {
	out := map[string]any{}
	for k, old := range wanted {
		out[k] = old
	}
	out[name] = v
	return out
}

// TestUnlimitedKeyOnlyReads checks that reading tools work with any key, and spending tools with
// none that is unlimited.
func TestUnlimitedKeyOnlyReads(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, "--sim")
	account, key := s.Key("5000")
	a := start(t, s, key, time.Now)
	id := s.Deploy(key, "theirs", publicKey)

	me := a.ok("whoami", nil)
	if me["canSpend"] != false || !strings.Contains(me["reason"].(string), "billetd key create") ||
		me["key"].(map[string]any)["account"].(map[string]any)["id"] != account {
		t.Errorf("%v", me)
	}
	query := map[string]any{"search": "b200", "maxHourlyPrice": 1000.5, "sort": "-price", "limit": 5}
	offers := a.ok("list_offers", query)["items"].([]any)
	if len(offers) == 0 || offers[0].(map[string]any)["gpuType"] != "NVIDIA B200" {
		t.Errorf("%v", offers)
	}
	price, _ := s.Call(key, "GET", "/deployments/"+id, nil).Data["hourlyPrice"].(float64)
	if o := a.ok("get_offer", map[string]any{"offerId": "off_abc123"}); o["hourlyPrice"] != price || price == 0 {
		t.Errorf("%v", o)
	}
	if h := a.ok("price_history", map[string]any{"offerId": "off_abc123"}); len(h["points"].([]any)) == 0 {
		t.Errorf("%v", h)
	}
	if c := a.ok("check_capacity", map[string]any{"count": 2, "gpuType": "NVIDIA B200"}); c["enough"] != true {
		t.Errorf("%v", c)
	}
	can := readDeployment(a, s, key, id, price)

	a.refused("KEY_NOT_LIMITED", "quote", wanted)
	a.refused("KEY_NOT_LIMITED", "deploy", map[string]any{"quoteId": "quo_x"})
	a.refused("KEY_NOT_LIMITED", "extend",
		map[string]any{"deploymentId": id, "autoTerminateAt": time.Now().Add(9 * time.Hour).Format(time.RFC3339)})
	a.refused("KEY_NOT_LIMITED", "power", map[string]any{"deploymentId": id, "action": "reboot"})
	a.refused("KEY_NOT_LIMITED", "terminate",
		map[string]any{"deploymentId": id, "confirmToken": can["confirmToken"], "earliest": true})
	if d := a.ok("list_deployments", nil); d["total"] != 1.0 {
		t.Errorf("a key without limits created a machine: %v", d)
	}
}

// readDeployment calls the tools that read a deployment and its cost, and returns the result of
// can_terminate.
func readDeployment(a *agent, s *servertest.Server, key, id string, price float64) map[string]any {
	t := a.t
	t.Helper()
	starting := map[string]any{"status": []string{"pending", "deploying"}, "page": 1}
	if d := a.ok("list_deployments", starting); d["total"] != 1.0 {
		t.Errorf("%v", d)
	}
	if d := a.ok("get_deployment", map[string]any{"deploymentId": id, "waitSeconds": 1}); d["id"] != id ||
		d["status"] == "running" {
		t.Errorf("%v", d)
	}
	s.Running(key, id)
	if d := a.ok("get_deployment", map[string]any{"deploymentId": id, "waitSeconds": 50}); d["status"] != "running" ||
		d["sshCommand"] == nil {
		t.Errorf("%v", d)
	}
	if e := a.ok("deployment_events", map[string]any{"deploymentId": id}); e["total"].(float64) < 2 {
		t.Errorf("%v", e)
	}
	if w := a.ok("get_wallet", nil); w["hourlyCost"] != price {
		t.Errorf("%v", w)
	}
	if l := a.ok("list_transactions", map[string]any{"deploymentId": id}); l["total"].(float64) < 2 {
		t.Errorf("%v", l)
	}
	from := time.Now().Add(-48 * time.Hour).Format(time.RFC3339)
	if u := a.ok("get_usage", map[string]any{"groupBy": "deployment", "from": from}); u["total"] != price {
		t.Errorf("%v", u)
	}
	a.ok("list_volumes", nil)
	a.ok("list_ssh_keys", nil)
	a.ok("list_images", nil)
	for _, tool := range []string{"list_gpu_types", "list_providers", "list_regions", "list_volume_prices"} {
		if l := a.ok(tool, map[string]any{"limit": 1}); len(l["items"].([]any)) != 1 {
			t.Errorf("%s: %v", tool, l)
		}
	}
	if q := a.ok("get_quotas", nil); q["used"].(map[string]any)["machines"] != 1.0 {
		t.Errorf("%v", q)
	}
	if l := a.ok("list_projects", nil)["items"].([]any); len(l) != 1 || l[0].(map[string]any)["machines"] != 1.0 ||
		l[0].(map[string]any)["cost"] != price {
		t.Errorf("%v", l)
	}
	running := map[string]any{"subject": id, "types": []string{"deployment.running"}}
	if l := a.ok("list_events", running); l["total"] != 1.0 {
		t.Errorf("%v", l)
	}
	can := a.ok("can_terminate", map[string]any{"deploymentId": id})
	if can["canTerminate"] != false || can["reason"] == nil {
		t.Errorf("%v", can)
	}
	return can
}

// TestSpendingNeedsBoundingLimits checks which limits allow a key to spend.
func TestSpendingNeedsBoundingLimits(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, "--sim")
	account, _ := s.Key("5000")
	for _, limits := range [][]string{
		{"--max-hourly-price", "1000"}, {"--max-deployments", "1"}, {"--gpu-type", "NVIDIA B200"},
		{"--max-deployments", "1", "--gpu-type", "NVIDIA B200"},
	} {
		start(t, s, s.KeyOf(account, limits...), time.Now).refused("KEY_NOT_LIMITED", "quote", wanted)
	}
	start(t, s, s.KeyOf(account, "--max-spend-per-day", "100", "--scopes", "offers:read,deployments:read"),
		time.Now).refused("INSUFFICIENT_SCOPE", "quote", wanted)
	for _, limits := range [][]string{
		{"--max-spend-per-month", "5000"}, {"--max-spend-per-day", "5000"},
		{"--max-hourly-price", "1000.5", "--max-deployments", "2"},
	} {
		b := start(t, s, s.KeyOf(account, limits...), time.Now)
		if me := b.ok("whoami", nil); me["canSpend"] != true {
			t.Errorf("%v: %v", limits, me)
		}
		b.ok("quote", wanted)
	}
}

// TestLimitedKeySpendsWithinItsLimits goes from a quote to the termination with a limited key.
func TestLimitedKeySpendsWithinItsLimits(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, "--sim")
	account, whole := s.Key("5000")
	price, _ := s.Call(whole, "GET", "/offers/off_abc123", nil).Data["hourlyPrice"].(float64)
	month := math.Ceil(5 * price) // enough for two machines for two hours
	key := s.KeyOf(account, "--max-spend-per-month", fmt.Sprint(month), "--max-deployments", "2", "--deploy-limit",
		"100")
	a := start(t, s, key, time.Now)

	q := a.ok("quote", wanted)
	if price := q["hourlyPrice"].(float64); q["maxCost"] != 2*price || q["hold"] != price ||
		q["minimumRuntimeMinutes"] == 0.0 {
		t.Errorf("%v", q)
	}
	// The quote shows the authorized keys, since an agent can be tricked into using another's key.
	if keys, _ := q["sshKeys"].([]any); len(keys) != 1 ||
		!strings.HasPrefix(keys[0].(map[string]any)["fingerprint"].(string), "SHA256:") {
		t.Errorf("%v", q["sshKeys"])
	}
	if remaining := q["remaining"].(map[string]any); remaining["thisMonth"] != month ||
		remaining["deployments"] != 2.0 ||
		remaining["today"] != nil {
		t.Errorf("%v", remaining)
	}
	take := map[string]any{"quoteId": q["quoteId"]}

	// However often and concurrently deploy is called, it creates one machine.
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			if d, refused := a.call("deploy", take); refused != nil {
				t.Errorf("%v", refused)
			} else {
				ids[i] = d["deployment"].(map[string]any)["id"].(string)
			}
		})
	}
	wg.Wait()
	if slices.Sort(ids); ids[0] != ids[7] {
		t.Fatalf("one quote created %v", ids)
	}
	again := a.ok("deploy", take)
	if again["repeated"] != true || again["deployment"].(map[string]any)["autoTerminateAt"] != q["autoTerminateAt"] {
		t.Errorf("%v", again)
	}
	id := ids[0]
	if d := a.ok("list_deployments", nil); d["total"] != 1.0 {
		t.Fatalf("%v", d)
	}

	// Quotes from elsewhere cannot be deployed.
	other := start(t, s, key, time.Now)
	other.refused("UNKNOWN_QUOTE", "deploy", take)
	foreign := s.Call(key, "POST", "/quotes", map[string]any{"offerId": "off_abc123"}).Data["quoteId"]
	a.refused("UNKNOWN_QUOTE", "deploy", map[string]any{"quoteId": foreign})
	a.refused("INVALID_REQUEST", "deploy", map[string]any{})
	a.refused("INVALID_REQUEST", "deploy", map[string]any{"offerId": "off_abc123"})

	// The limits hold, and the error names the limit.
	r := a.refused("KEY_LIMIT_REACHED", "quote", with("hours", 400))
	if r["details"].(map[string]any)["limit"] != "maxSpendPerMonth" {
		t.Errorf("got %v, want the limit maxSpendPerMonth", r)
	}
	late := a.ok("quote", with("name", "late")) // fits, as does the next
	a.ok("deploy", map[string]any{"quoteId": a.ok("quote", with("name", "second"))["quoteId"]})
	a.refused("KEY_LIMIT_REACHED", "deploy", map[string]any{"quoteId": late["quoteId"]})
	a.refused("NOT_FOUND", "quote", with("offerId", "off_none"))
	a.refused("INVALID_REQUEST", "quote", with("hours", 0))
	a.refused("INVALID_REQUEST", "quote", with("hours", 1000))
	testImages(a, s, account)
	a.refused("NOT_FOUND", "get_deployment", map[string]any{"deploymentId": "dep_none"})
	a.refused("INVALID_REQUEST", "get_deployment", map[string]any{"deploymentId": "../key"})

	s.Running(key, id)
	end, err := time.Parse(time.RFC3339, q["autoTerminateAt"].(string))
	if err != nil {
		t.Fatal(err)
	}
	a.refused("INVALID_REQUEST", "extend",
		map[string]any{"deploymentId": id, "autoTerminateAt": end.Add(-time.Hour).Format(time.RFC3339)})
	a.refused("KEY_LIMIT_REACHED", "extend",
		map[string]any{"deploymentId": id, "autoTerminateAt": end.Add(100 * time.Hour).Format(time.RFC3339)})
	a.refused("INVALID_REQUEST", "power", map[string]any{"deploymentId": id, "action": "explode"})
	if d := a.ok("power", map[string]any{"deploymentId": id, "action": "reboot"}); d["id"] != id {
		t.Errorf("%v", d)
	}
}

// TestTerminateNeedsToken checks that only a token of the same session and machine terminates a
// machine.
func TestTerminateNeedsToken(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, "--sim")
	account, _ := s.Key("5000")
	key := s.KeyOf(account, "--max-spend-per-month", "5000", "--deploy-limit", "100")
	a, other := start(t, s, key, time.Now), start(t, s, key, time.Now)
	take := map[string]any{"quoteId": a.ok("quote", wanted)["quoteId"]}
	id := a.ok("deploy", take)["deployment"].(map[string]any)["id"].(string)
	s.Running(key, id)
	can := a.ok("can_terminate", map[string]any{"deploymentId": id})
	confirm := can["confirmToken"]
	a.refused("CONFIRMATION_REQUIRED", "terminate", map[string]any{"deploymentId": id, "confirmToken": "yes"})
	a.refused("CONFIRMATION_REQUIRED", "terminate", map[string]any{"deploymentId": id, "confirmToken": ""})
	a.refused("INVALID_REQUEST", "terminate", map[string]any{"deploymentId": id})
	a.refused("CONFIRMATION_REQUIRED", "terminate",
		map[string]any{"deploymentId": s.Deploy(s.KeyOf(account), "another", publicKey), "confirmToken": confirm})
	other.refused("CONFIRMATION_REQUIRED", "terminate", map[string]any{"deploymentId": id, "confirmToken": confirm})
	a.refused("MINIMUM_RUNTIME_NOT_MET", "terminate", map[string]any{"deploymentId": id, "confirmToken": confirm})
	e := a.ok("terminate", map[string]any{"deploymentId": id, "confirmToken": confirm, "earliest": true})
	if e["billedUntil"] != nil ||
		e["deployment"].(map[string]any)["status"] != "running" {
		t.Errorf("%v", e)
	}
	s.Advance("30m")
	s.Await(key, id, "terminated")
	if e := a.ok("terminate", map[string]any{"deploymentId": id, "confirmToken": confirm}); e["billedUntil"] == nil {
		t.Errorf("%v", e)
	}
	if d := a.ok("deploy", take)["deployment"].(map[string]any); d["id"] != id || d["status"] != "terminated" {
		t.Errorf("a quote whose machine has ended created another: %v", d)
	}
}

func TestConfirmTokenExpires(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, "--sim")
	account, _ := s.Key("5000")
	key := s.KeyOf(account, "--max-spend-per-month", "5000")
	var mu sync.Mutex
	now := time.Now()
	a := start(t, s, key, func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	quote := a.ok("quote", wanted)
	id := a.ok("deploy", map[string]any{"quoteId": quote["quoteId"]})["deployment"].(map[string]any)["id"]
	can := a.ok("can_terminate", map[string]any{"deploymentId": id})
	mu.Lock()
	now = now.Add(11 * time.Minute)
	mu.Unlock()
	a.refused("CONFIRMATION_REQUIRED", "terminate",
		map[string]any{"deploymentId": id, "confirmToken": can["confirmToken"], "earliest": true})
	can = a.ok("can_terminate", map[string]any{"deploymentId": id})
	a.ok("terminate", map[string]any{"deploymentId": id, "confirmToken": can["confirmToken"], "earliest": true})
}

// TestLimitIsCheckedAtEachCall checks that removing the limit during a session ends the spending.
func TestLimitIsCheckedAtEachCall(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set(`{"maxHourlyPrice":null,"maxSpendPerDay":50,"maxSpendPerMonth":null,"maxDeployments":null,"gpuTypes":[]}`)
	a := f.agent()
	a.refused("UNKNOWN_QUOTE", "deploy", map[string]any{"quoteId": "quo_1"})
	f.set(`null`)
	a.refused("KEY_NOT_LIMITED", "deploy", map[string]any{"quoteId": "quo_1"})
}

func TestResultsHaveNoInvisibleCharacters(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.name = `a\u001b[31m\u202eevil\u200b\ue000\nb\u034f\u115f\u3164\ufe01\udb40\udd21\u180b\u2065`
	f.set(`null`)
	if name := f.agent().ok("whoami", nil)["key"].(map[string]any)["name"]; name != "a[31mevil b" {
		t.Errorf("%q", name)
	}
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	a := start(t, nil, "pk_live_test", time.Now)
	a.refused("UNREACHABLE", "get_wallet", nil)
}

var row = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z, -]+) \\|")

// TestDocsListEveryTool checks the table of docs/mcp.md against the tools and their annotations.
func TestDocsListEveryTool(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "mcp.md"))
	if err != nil {
		t.Fatal(err)
	}
	var docs, offered []string
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		docs = append(docs, m[1]+": "+m[2])
	}
	list, err := start(t, nil, "pk_live_test", time.Now).session.ListTools(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, tool := range list.Tools {
		words := []string{}
		for word, is := range map[string]bool{
			"read-only": tool.Annotations.ReadOnlyHint, "destructive": *tool.Annotations.DestructiveHint,
			"idempotent": tool.Annotations.IdempotentHint && !tool.Annotations.ReadOnlyHint,
		} {
			if is {
				words = append(words, word)
			}
		}
		if slices.Sort(words); len(words) == 0 {
			words = []string{"creates"}
		}
		offered = append(offered, tool.Name+": "+strings.Join(words, ", "))
		if len(tool.Description) < 30 || len(tool.Description) > 350 || tool.InputSchema == nil ||
			tool.OutputSchema == nil {
			t.Errorf("%s: the description or schema is missing or too long", tool.Name)
		}
		b, _ := json.Marshal(tool)
		size += len(b)
	}
	slices.Sort(docs)
	slices.Sort(offered)
	if len(offered) < 15 || !slices.Equal(docs, offered) {
		t.Errorf("docs/mcp.md has\n%s\nthe server has\n%s", strings.Join(docs, "\n"), strings.Join(offered, "\n"))
	}
	t.Logf("%d tools, %d bytes", len(list.Tools), size)
}

// testImages checks that a quote takes an image of the account's own, where the offer does.
func testImages(a *agent, s *servertest.Server, account string) {
	a.t.Helper()
	made := s.Call(s.KeyOf(account), "POST", "/images", map[string]any{
		"name": "rocky", "url": "https://images.example.com/rocky.raw", "sha256": strings.Repeat("ab", 32),
		"format": "raw", "sizeBytes": 1 << 30,
	})
	image, _ := made.Data["id"].(string)
	if items := a.ok("list_images", nil)["items"].([]any); len(items) != 1 ||
		items[0].(map[string]any)["id"] != image {
		a.t.Errorf("%v, created %v", items, made)
	}
	r := a.refused("INVALID_REQUEST", "quote", with("imageId", image))
	text, _ := json.Marshal(r["fields"])
	if !strings.Contains(string(text), `"imageId"`) || !strings.Contains(string(text), "cannot install images") {
		a.t.Errorf("%v", r)
	}
}
