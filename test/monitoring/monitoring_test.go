package monitoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
	"go.yaml.in/yaml/v3"
)

func TestMain(m *testing.M) { os.Exit(servertest.Run(m)) }

const (
	rulesDir = "../../deploy/prometheus"
	board    = "../../deploy/grafana/billet.json"
	book     = "../../docs/operations.md"
	runbook  = "https://github.com/billetcloud/billet/blob/main/docs/operations.md#"
)

// promtool runs promtool with what it reads. scripts/need.sh installs it.
func promtool(t *testing.T, dir string, in []byte, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

type rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

func (f ruleFile) all() (rules []rule) {
	for _, g := range f.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

func read[T any](t *testing.T, path string) (v T) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func rules(t *testing.T) []rule {
	t.Helper()
	return read[ruleFile](t, filepath.Join(rulesDir, "alerts.yml")).all()
}

// TestAlerts: each alert fires in one case and stays silent in another, and has its runbook.
func TestAlerts(t *testing.T) {
	promtool(t, rulesDir, nil, "check", "rules", "alerts.yml")
	promtool(t, rulesDir, nil, "test", "rules", "alerts_test.yml")
	type testFile struct {
		Tests []struct {
			Cases []struct {
				Alert  string `yaml:"alertname"`
				Alerts []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range read[testFile](t, filepath.Join(rulesDir, "alerts_test.yml")).Tests {
		for _, c := range test.Cases {
			if len(c.Alerts) > 0 {
				fires[c.Alert] = true
			} else {
				silent[c.Alert] = true
			}
		}
	}
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	sections := sectionsOf(string(text))
	named := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		anchor := strings.ToLower(r.Alert)
		named[anchor] = true
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s needs a case in which it fires and one in which it stays silent", r.Alert)
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["runbook"] != runbook+anchor {
			t.Errorf("%s needs a summary, and the runbook %s%s", r.Alert, runbook, anchor)
		}
		section := sections[anchor]
		if !strings.Contains(section, "**Means:**") || !strings.Contains(section, "**Do:**") ||
			!strings.Contains(section, "`") {
			t.Errorf("%s needs a section %q with what it means and what to type", book, anchor)
		}
	}
	for anchor := range sections {
		if strings.HasPrefix(anchor, "billet") && !named[anchor] {
			t.Errorf("%s has a section for the alert %s, which there is not", book, anchor)
		}
	}
}

// sectionsOf returns the sections of a Markdown text by their anchors.
func sectionsOf(text string) map[string]string {
	out := map[string]string{}
	for _, part := range strings.Split("\n"+text, "\n#")[1:] {
		title, body, _ := strings.Cut(strings.TrimLeft(part, "# "), "\n")
		out[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(title)), " ", "-")] = body
	}
	return out
}

// boardQueries returns the queries of the board.
func boardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var b struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(board)
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range b.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("the panel %d %q has no title, or the id of another", p.ID, p.Title)
		}
		ids[p.ID] = true
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("the panel %q has no query", p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	return queries
}

func TestBoardQueriesAreValid(t *testing.T) {
	type one struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var all []one
	for i, q := range boardQueries(t) {
		all = append(all, one{fmt.Sprintf("board:query:%d", i), q})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "board", "rules": all}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "board.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, nil, "check", "rules", "board.yml")
}

var (
	metricName = regexp.MustCompile(`\b(?:billet|go|process)_[a-z0-9_]+`)
	recorded   = regexp.MustCompile(`\bbillet:[a-z0-9_:]+`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
)

const token = "0123456789abcdef-of-a-test"

// scrape reads the page with the token.
func scrape(t *testing.T, url, token string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestMetrics: what the alerts and the board ask for is exported by a server that has just started,
// with zeros, and only to who has the token.
func TestMetrics(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "token")
	for path, text := range map[string]string{file: token + "\n", filepath.Join(dir, "last-backup"): ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := servertest.StartIn(t, dir, "--sim", "--sim-machines", "banner", "--metrics-listen", "0.0.0.0:0",
		"--metrics-token-file", file, "--metrics-profiling")
	s.AwaitLog("metrics=http")
	named := regexp.MustCompile(`metrics=(http://127\.0\.0\.1:\d+/metrics)`).FindStringSubmatch(s.Log())
	if named == nil {
		t.Fatalf("the log does not name the metrics:\n%s", s.Log())
	}
	page := named[1]
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
		at := strings.TrimSuffix(page, "/metrics") + path
		for _, given := range []string{"", token[1:], token + "x"} {
			status, text := scrape(t, at, given)
			if status != http.StatusUnauthorized || strings.Contains(text, "billet_") {
				t.Errorf("%s with the token %q: %d", path, given, status)
			}
		}
		if status, _ := scrape(t, at, token); status != http.StatusOK {
			t.Errorf("%s with the token: %d", path, status)
		}
	}
	// The histogram of requests has its first series after one, and what is counted in rounds has
	// its zeros after the first.
	scrape(t, s.URL+"/api/v1/nothing", "")
	text := ""
	s.Until("every series is there", func() bool {
		_, text = scrape(t, page, token)
		return len(missingZeros(text)) == 0
	})
	promtool(t, ".", []byte(text), "check", "metrics")
	checkQueries(t, exportedBy(text))
}

// exportedBy returns the names in the text of a scrape.
func exportedBy(text string) map[string]bool {
	exported := map[string]bool{}
	for line := range strings.Lines(text) {
		if _, rest, is := strings.Cut(line, "# TYPE "); is {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			exported[name] = true
			if kind == "histogram" {
				exported[name+"_bucket"], exported[name+"_count"], exported[name+"_sum"] = true, true, true
			}
		}
	}
	// Only a server that serves TLS has certificates, and only one that was waited for has waits.
	// An account that can be opened has no error.
	for _, name := range []string{
		"billet_certificate_remaining_seconds", "billet_provider_account_error",
		"billet_http_wait_duration_seconds_count",
	} {
		exported[name] = true
	}
	return exported
}

// checkQueries fails for queries of the alerts and the board about what nothing exports.
func checkQueries(t *testing.T, exported map[string]bool) {
	t.Helper()
	records := map[string]bool{}
	queries := boardQueries(t)
	for _, r := range rules(t) {
		queries = append(queries, r.Expr)
		if r.Record != "" {
			records[r.Record] = true
		}
	}
	for _, q := range queries {
		plain := quoted.ReplaceAllString(q, "")
		for _, name := range recorded.FindAllString(plain, -1) {
			if !records[name] {
				t.Errorf("%s is not recorded, in %s", name, q)
			}
		}
		for _, name := range metricName.FindAllString(recorded.ReplaceAllString(plain, ""), -1) {
			if !exported[name] && name != "go_version" {
				t.Errorf("%s is not exported, in %s", name, q)
			}
		}
	}
}

// missingZeros returns the series that do not exist from the start.
func missingZeros(text string) (missing []string) {
	for _, zero := range []string{
		`billet_provider_calls_total{call="launch",outcome="unavailable",provider="northgrid"} 0`,
		`billet_launches_total{outcome="failed",provider="northgrid"} 0`,
		`billet_launch_duration_seconds_count{provider="northgrid"} 0`,
		`billet_issues{kind="orphaned_machine",provider="northgrid"} 0`,
		`billet_issues{kind="changed_ledger",provider="ledger"} 0`,
		`billet_jobs_failing{kind="meter-sweep"} 0`,
		`billet_jobs_oldest_due_seconds{kind="webhook"} 0`,
		`billet_job_runs_total{kind="meter-sweep",outcome="error"} 0`,
		`billet_rate_limit_refusals_total{limit="deploy"} 0`,
		`billet_http_requests_failed_total 0`,
		`billet_deployments{status="running"} 0`,
		`billet_accounts_past_due 0`,
		`billet_wallet_held_dollars 0`,
		`billet_webhook_oldest_waiting_seconds 0`,
		`billet_loop_failures_total{loop="reload the catalog"} 0`,
	} {
		if !slices.Contains(strings.Split(text, "\n"), zero) {
			missing = append(missing, zero)
		}
	}
	return missing
}

var (
	typed = regexp.MustCompile("sudo billetd-operator ([^`\n#]+)")
	flag  = regexp.MustCompile(`^--[a-z-]+`)
)

// TestRunbooksCommandsExist: the operator types them as they stand.
func TestRunbooksCommandsExist(t *testing.T) {
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	found := typed.FindAllStringSubmatch(string(text), -1)
	if len(found) < 20 {
		t.Fatalf("only %d commands were found", len(found))
	}
	// The log of an installed server is JSON.
	if m := regexp.MustCompile(`journalctl.*\b(level|msg|status|route|job|key)=`).Find(text); m != nil {
		t.Errorf("%s: the log has no such lines", m)
	}
	for _, m := range found {
		words := strings.Fields(m[1])
		command := []string{}
		for _, w := range words {
			if w != strings.ToLower(w) || strings.HasPrefix(w, "-") || len(command) == 2 {
				break
			}
			command = append(command, w)
		}
		help, err := exec.Command(servertest.Binary(t), append(command, "--help")...).CombinedOutput()
		if err != nil || !strings.Contains(string(help), "billetd "+strings.Join(command, " ")) {
			t.Errorf("%s: %v\n%s", m[0], err, help)
		}
		for _, w := range words {
			if name := flag.FindString(w); name != "" && !strings.Contains(string(help), name+" ") {
				t.Errorf("%s: there is no %s", m[0], name)
			}
		}
	}
}
