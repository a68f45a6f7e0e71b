package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// scrape reads the server's metrics at the address in its log.
func scrape(t *testing.T, s *servertest.Server) string {
	t.Helper()
	m := regexp.MustCompile(`(?:metrics=|"metrics":")(http://127\.0\.0\.1:\d+/metrics)`).FindStringSubmatch(s.Log())
	if m == nil {
		t.Fatalf("the log does not say where the metrics are:\n%s", s.Log())
	}
	resp, err := http.Get(m[1])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// issuesOf returns the issues of a kind, from the operator's API.
func issuesOf(t *testing.T, s *servertest.Server, key, kind string) []map[string]any {
	t.Helper()
	a := s.Call(key, "GET", "=/api/v1/operator/issues?limit=100&kind="+kind, nil)
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	var out []map[string]any
	for _, f := range a.List {
		out = append(out, f.(map[string]any))
	}
	return out
}

const operatorScopes = "operator:read,operator:write"

func checkMetrics(t *testing.T, s *servertest.Server, wants ...string) {
	t.Helper()
	metrics := scrape(t, s)
	for _, want := range wants {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

// checkOperatorOnly checks that a tenant's key may read none of the operator's paths.
func checkOperatorOnly(t *testing.T, s *servertest.Server, tenant string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if a := s.Call(tenant, "GET", "=/api/v1/operator"+path, nil); a.Status != 403 ||
			a.Code() != "INSUFFICIENT_SCOPE" {
			t.Errorf("%s with a tenant's key: %d %s", path, a.Status, a.Body)
		}
	}
}

// checkNoOpenIssues checks that every gauge of open issues is zero.
func checkNoOpenIssues(t *testing.T, s *servertest.Server) {
	t.Helper()
	for line := range strings.Lines(scrape(t, s)) {
		if strings.HasPrefix(line, "billet_issues{") && !strings.HasSuffix(line, " 0\n") {
			t.Errorf("the metrics still have %s", line)
		}
	}
}

func TestOrphansBecomeIssues(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, tenant := s.Key("1000", "--read-limit", "10000")
		operator := s.KeyOf(account, "--scopes", operatorScopes, "--read-limit", "10000")
		runs := s.Running(tenant, s.Deploy(tenant, "bystander", newIdentity(t).public))["id"].(string)
		addFault(t, s, "orphan", "--provider", "northgrid")
		addFault(t, s, "orphan", "--provider", "basalt", "--value", "dep_somebodyelses")
		s.Advance("6m") // the watchers find them; the time for tagging a new machine has passed

		orphaned, foreign := issuesOf(t, s, operator, "orphaned_machine"), issuesOf(t, s, operator, "unmanaged_machine")
		if len(orphaned) != 1 || orphaned[0]["reference"] != "dep_somebodyelses" ||
			orphaned[0]["provider"] != "basalt" || orphaned[0]["state"] != "open" || orphaned[0]["endAfter"] == nil {
			t.Fatalf("%v", orphaned)
		}
		if len(foreign) != 1 || foreign[0]["reference"] != nil || foreign[0]["provider"] != "northgrid" ||
			foreign[0]["endAfter"] != nil {
			t.Fatalf("%v", foreign)
		}
		checkMetrics(
			t, s, `billet_issues{kind="orphaned_machine",provider="basalt"} 1`,
			`billet_issues{kind="unmanaged_machine",provider="northgrid"} 1`,
			`billet_deployments{status="running"} 1`,
		)
		checkOperatorOnly(
			t, s, tenant, "/issues", "/issues/"+foreign[0]["id"].(string), "/accounts", "/provider-accounts", "/jobs",
			"/margins",
		)

		s.Kill() // the scheduled end survives the kill
		s.Restart()
		s.Advance("2h")
		if got := upstream(t, s); strings.Join(sorted(got), " ") != " "+runs {
			t.Fatalf("upstream %q, want the foreign machine and %s", got, runs)
		}
		s.Advance("10m")
		if orphaned = issuesOf(t, s, operator, "orphaned_machine"); len(orphaned) != 1 ||
			orphaned[0]["state"] != "ended" {
			t.Errorf("%v", orphaned)
		}
		at := "=/api/v1/operator/issues/" + foreign[0]["id"].(string)
		call := func(want int, what string, body any) {
			t.Helper()
			if a := s.Call(operator, "POST", at+what, body); a.Status != want {
				t.Errorf("%s: got %d %s, want %d", what, a.Status, a.Body, want)
			}
		}
		call(409, "/terminate", nil)
		if out := s.Run("issues", "list"); !strings.Contains(out, foreign[0]["id"].(string)) ||
			strings.Contains(out, "dep_somebodyelses") {
			t.Errorf("issue list:\n%s", out)
		}
		call(200, "/dismiss", map[string]any{"note": "the old cluster"})
		s.Advance("30m")
		if foreign = issuesOf(t, s, operator, "unmanaged_machine"); len(foreign) != 1 ||
			foreign[0]["state"] != "dismissed" || foreign[0]["note"] != "the old cluster" {
			t.Errorf("%v", foreign)
		}
		checkMetrics(
			t, s, `billet_issues_ended_total{kind="orphaned_machine",provider="basalt"} 1`,
			`billet_issues{kind="orphaned_machine",provider="basalt"} 0`,
			`billet_issues{kind="unmanaged_machine",provider="northgrid"} 0`,
		)
		checkNoOpenIssues(t, s)
		s.Await(tenant, runs, "running")
	})
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func TestManyOrphansAreLeftToTheOperator(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, _ := s.Key("0")
		operator := s.KeyOf(account, "--scopes", operatorScopes, "--read-limit", "10000")
		for i := range 6 {
			addFault(t, s, "orphan", "--provider", "basalt", "--value", fmt.Sprintf("dep_orphan%d", i))
		}
		s.Advance("1m")
		s.Advance("5h")
		s.Advance("10m")
		all := issuesOf(t, s, operator, "orphaned_machine")
		if len(all) != 6 || len(upstream(t, s)) != 6 {
			t.Fatalf("%d issues, upstream %q", len(all), upstream(t, s))
		}
		for _, f := range all {
			if f["held"] != true || f["endAfter"] != nil || f["state"] != "open" {
				t.Errorf("%v", f)
			}
		}
		s.Run("issues", "terminate", "--issue", all[0]["id"].(string))
		s.Run("issues", "dismiss", "--issue", all[1]["id"].(string), "--note", "of the backup")
		s.Advance("5h")
		if got := upstream(t, s); len(got) != 5 || slices.Contains(got, all[0]["reference"].(string)) {
			t.Errorf("upstream %q; the operator ended %v and nothing else", got, all[0]["reference"])
		}
	})
}

func TestReportPolicyEndsNothing(t *testing.T) {
	s := servertest.Start(t, "--sim", "--orphaned-machines", "report")
	addFault(t, s, "orphan", "--provider", "basalt", "--value", "dep_ofanother")
	s.Advance("1m")
	s.Advance("48h")
	if got := upstream(t, s); len(got) != 1 {
		t.Errorf("upstream %q", got)
	}
	if out := s.Run("issues", "list"); !strings.Contains(out, "dep_ofanother") ||
		!strings.Contains(out, "operator decides") {
		t.Errorf("issue list:\n%s", out)
	}
}

// A tenant pays 25 percent above the provider's price at deploy time; that price is the cost.
func TestDailyMargins(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim", "--markup", "25")...)
		account, tenant := s.Key("10000", "--read-limit", "10000")
		operator := s.KeyOf(account, "--scopes", "operator:read")
		addFault(t, s, "price", "--provider", "voltage-park", "--value", "16.00")
		s.Advance("30m") // the catalog reads the price
		d := s.Running(tenant, s.Deploy(tenant, "sold", newIdentity(t).public))
		if d["hourlyPrice"] != 20.0 {
			t.Fatalf("%v", d["hourlyPrice"])
		}
		addFault(t, s, "price", "--provider", "voltage-park", "--value", "99.00") // a later price changes nothing
		s.Advance("2h30m")
		if a := s.Call(tenant, "DELETE", "/deployments/"+d["id"].(string), nil); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		s.Advance("1h")
		s.Await(tenant, d["id"].(string), "terminated")
		a := s.Call(operator, "GET", "=/api/v1/operator/margins?by=account", nil)
		total, _ := a.Data["total"].(map[string]any)
		revenue, cost, margin := total["revenue"].(float64), total["cost"].(float64), total["margin"].(float64)
		// Three hours are charged. The provider is paid for two and a half, and some seconds until
		// it confirmed the end.
		if revenue != 60 || cost < 40 || cost > 40.2 ||
			fmt.Sprintf("%.6f", revenue-cost) != fmt.Sprintf("%.6f", margin) || len(a.Data["rows"].([]any)) != 1 {
			t.Errorf("%s", a.Body)
		}
		for _, path := range []string{
			"/deployments", "/deployments/" + d["id"].(string), "/deployments/" + d["id"].(string) + "/events",
			"/wallet", "/wallet/transactions", "/wallet/usage",
		} {
			if a := s.Call(tenant, "GET", path, nil); a.Status != 200 ||
				regexp.MustCompile(`(":|\$)16(\.0+)?(["/,} ]|$)`).Match(a.Body) {
				t.Errorf("%s shows what the provider asks: %s", path, a.Body)
			}
		}
	})
}
