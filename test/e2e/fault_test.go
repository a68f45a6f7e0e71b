package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// fault is the JSON of `billetd sim fault`.
type fault struct {
	ID, Kind          string
	Checked, Injected int
	Until             time.Time
}

func addFault(t *testing.T, s *servertest.Server, args ...string) fault {
	t.Helper()
	var f fault
	if err := json.Unmarshal(
		[]byte(s.Run(append([]string{"sim", "fault", "add", "-o", "json"}, args...)...)), &f,
	); err != nil {
		t.Fatal(err)
	}
	return f
}

func listFaults(t *testing.T, s *servertest.Server) []fault {
	t.Helper()
	var list struct {
		Now    time.Time
		Faults []fault
	}
	if err := json.Unmarshal([]byte(s.Run("sim", "fault", "list", "-o", "json")), &list); err != nil ||
		list.Faults == nil || list.Now.IsZero() {
		t.Fatalf("%+v, %v", list, err)
	}
	return list.Faults
}

// settled returns the balance of a wallet in which nothing is held.
func settled(t *testing.T, s *servertest.Server, key string) float64 {
	t.Helper()
	w := s.Call(key, "GET", "/wallet", nil).Data
	if w["held"] != 0.0 || w["hourlyCost"] != 0.0 {
		t.Fatalf("%v", w)
	}
	return w["balance"].(float64)
}

func TestLostLaunchAnswerCreatesOneMachine(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("1000", "--read-limit", "10000")
		addFault(t, s, "lost-answer", "--operation", "launch", "--count", "3")
		s.Kill() // the faults are stored
		s.Restart()
		id := s.Deploy(key, "lost-and-found", newIdentity(t).public)
		s.Advance("1m")
		s.Await(key, id, "running")
		if got := upstream(t, s); len(got) != 1 || got[0] != id {
			t.Errorf("upstream %v, want %s alone", got, id)
		}
		if all := listFaults(t, s); len(all) != 1 || all[0].Injected != 3 {
			t.Errorf("%+v", all)
		}
	})
}

func TestMachineWithoutSSHCostsNothing(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("1000", "--read-limit", "10000")
		f := addFault(t, s, "no-ssh", "--provider", "voltage-park")
		id := s.Deploy(key, "deaf", newIdentity(t).public)
		s.Advance("1m")
		if got := upstream(t, s); len(got) != 1 || got[0] != id {
			t.Fatalf("upstream %v, want %s", got, id)
		}
		s.Advance("20m")
		d := s.Await(key, id, "failed")
		if reason, _ := d["statusReason"].(string); !strings.Contains(reason, "SSH") || d["costToDate"] != 0.0 {
			t.Errorf("%v", d)
		}
		s.Advance("1m")
		if got := upstream(t, s); len(got) != 0 {
			t.Errorf("upstream %v", got)
		}
		if b := settled(t, s, key); b != 1000 {
			t.Errorf("balance %v", b)
		}
		s.Run("sim", "fault", "clear", f.ID)
		s.Running(key, s.Deploy(key, "hears", newIdentity(t).public))
	})
}

func TestRefusedTerminationCostsTenantNothing(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("1000", "--read-limit", "10000")
		id := s.Running(key, s.Deploy(key, "sticky", newIdentity(t).public))["id"].(string)
		s.Advance("26m")
		addFault(t, s, "refuse-terminate", "--for", "24h")
		if a := s.Call(key, "DELETE", "/deployments/"+id, nil); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		s.Advance("1m")
		balance := settled(t, s, key)
		if balance >= 1000 {
			t.Errorf("balance %v after 26 minutes", balance)
		}
		s.Advance("12h")
		s.Kill()
		s.Restart()
		s.Advance("11h")
		d := s.Await(key, id, "terminating")
		cost := d["costToDate"]
		if got := upstream(t, s); len(got) != 1 || got[0] != id {
			t.Fatalf("upstream %v, want %s", got, id)
		}
		if b := settled(t, s, key); b != balance {
			t.Errorf("balance %v became %v while the provider refused", balance, b)
		}
		s.Advance("2h")
		d = s.Await(key, id, "terminated")
		if got := upstream(t, s); len(got) != 0 {
			t.Errorf("upstream %v", got)
		}
		if b := settled(t, s, key); b != balance || d["costToDate"] != cost {
			t.Errorf("balance %v became %v, cost %v became %v", balance, b, cost, d["costToDate"])
		}
	})
}

func TestSimulatedOrphansDisappearWithTheirFault(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim", "--orphaned-machines", "report")...)
		addFault(t, s, "orphan", "--provider", "northgrid")
		addFault(t, s, "orphan", "--provider", "basalt", "--value", "dep_somebodyelses")
		for range 2 {
			if got := strings.Join(upstream(t, s), " "); got != "dep_somebodyelses " {
				t.Errorf("upstream %q", got)
			}
			s.Advance("1h") // the watcher finds them, and ends none
		}
		if out := s.Run("sim", "status"); !strings.Contains(out, "northgrid") {
			t.Errorf("sim status:\n%s", out)
		}
		s.Run("sim", "fault", "clear")
		if got := upstream(t, s); len(got) != 0 || len(listFaults(t, s)) != 0 {
			t.Errorf("upstream %v, faults %v", got, listFaults(t, s))
		}
	})
}

// Every example in docs/simulator.md is a working command.
func TestFaultExamples(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "simulator.md"))
	if err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t, "--sim")
	kinds := map[string]bool{}
	for _, m := range regexp.MustCompile("`billetd (sim fault add [^`]+)`").FindAllStringSubmatch(string(page), -1) {
		words := strings.Fields(m[1])
		kinds[words[3]] = true
		s.Run(words...)
		s.Run("sim", "fault", "clear")
	}
	help := s.Run("sim", "fault", "add", "--help")
	for _, m := range regexp.MustCompile(`(?m)^ +billetd sim fault add ([a-z-]+)`).FindAllStringSubmatch(help, -1) {
		if !kinds[m[1]] {
			t.Errorf("the page has no example of %s", m[1])
		}
	}
	if len(kinds) < 17 {
		t.Errorf("%v", kinds)
	}
}

func TestFaultCommandErrors(t *testing.T) {
	s := servertest.Start(t, "--sim")
	for want, command := range map[string][]string{
		"lost-answer, unavailable": {"explode"},
		"expected one kind":        {},
		"must be 1 to 100":         {"slow", "--percent", "0"},
		"takes no percent":         {"scarcity", "--value", "1", "--percent", "5"},
		"the providers are":        {"slow", "--provider", "unknown"},
		"is not a duration":        {"slow", "--for", "soon"},
		"at least one second":      {"slow", "--for", "1ms"},
		"are no seconds":           {"slow", "--seconds", "a while"},
	} {
		if out, err := s.TryRun(append([]string{"sim", "fault", "add"}, command...)...); err == nil ||
			!strings.Contains(out, want) {
			t.Errorf("%v: %v %s", command, err, out)
		}
	}
	if out, err := s.TryRun("sim", "fault", "clear", "f9"); err == nil || !strings.Contains(out, "there are: none") {
		t.Errorf("%v %s", err, out)
	}
	addFault(t, s, "scarcity", "--offer", "off_abc123", "--value", "0s:4,10m:0", "--for", "1h")
	if out := s.Run("sim", "fault", "list"); !strings.Contains(out, "offer=off_abc123 value=0s:4,10m:0") ||
		!strings.Contains(out, "until ") {
		t.Errorf("sim fault list:\n%s", out)
	}
	s.Advance("2h")
	if out := s.Run("sim", "fault", "list"); !strings.Contains(out, "over") {
		t.Errorf("sim fault list:\n%s", out)
	}
	if out := s.Run("sim", "fault", "add", "--help"); !strings.Contains(
		out,
		"billetd sim fault add refuse-terminate --for 24h",
	) {
		t.Errorf("no example:\n%s", out)
	}
	without := servertest.Start(t)
	if out, err := without.TryRun("sim", "fault", "list"); err == nil || !strings.Contains(out, "--sim") {
		t.Errorf("%v %s", err, out)
	}
}

// TestWeekOfFaults: whatever the upstream does, in the end every deployment is over, nothing that
// costs money is left, and the ledger is consistent.
func TestWeekOfFaults(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("100000", "--read-limit", "100000", "--write-limit", "10000", "--deploy-limit", "1000")
		for _, f := range [][]string{
			{"lost-answer", "--percent", "20", "--seed", "1"},
			{"unavailable", "--percent", "10", "--seed", "2"},
			{"garbage", "--percent", "10", "--seed", "3"},
			{"rate-limited", "--percent", "10", "--seconds", "1-90", "--seed", "4"},
			{"garbled", "--percent", "30", "--seed", "5"},
			{"slow", "--percent", "5", "--seconds", "0.01-0.05", "--seed", "6"},
			{"no-ssh", "--percent", "15", "--seed", "7"},
			{"fail-provisioning", "--percent", "15", "--value", "booting", "--seed", "8"},
			{"provisioning-time", "--seconds", "30-240-1500", "--seed", "9"},
			{"machine-lost", "--percent", "1", "--seed", "10"},
			{"refuse-terminate", "--percent", "40", "--seconds", "60-7200", "--seed", "11"},
			{"stale-list", "--percent", "50", "--seconds", "10-600", "--seed", "12"},
			{"rejected", "--operation", "launch", "--percent", "5", "--seed", "13"},
			{"no-capacity", "--percent", "5", "--seed", "14"},
		} {
			addFault(t, s, f...)
		}
		var ids []string
		for i := range 16 {
			a := s.Call(key, "POST", "/deployments", deployBody(t, "week"))
			switch {
			case a.Status == 201:
				ids = append(ids, a.Data["id"].(string))
			case a.Status != 404 && a.Status != 503 && a.Code() != "OFFER_UNAVAILABLE":
				// The list of offers may be missing, or the offer sold out.
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			s.Advance("5m")
			if i == 8 {
				s.Kill()
				s.Restart()
			}
		}
		if len(ids) < 6 {
			t.Fatalf("only %d deploys were taken", len(ids))
		}
		for _, id := range ids {
			if a := s.Call(key, "DELETE", "/deployments/"+id+"?when=earliest", nil); a.Status != 200 &&
				a.Status != 202 &&
				a.Status != 409 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}
		s.Advance("2d")
		s.Run("sim", "fault", "clear")
		s.Advance("1h")
		ends, spent := map[any]int{}, 0.0
		for _, id := range ids {
			d := s.Call(key, "GET", "/deployments/"+id, nil).Data
			ends[d["status"]]++
			spent += d["costToDate"].(float64)
			if d["status"] == "failed" && d["costToDate"] != 0.0 {
				t.Errorf("a failed deploy costs %v: %v", d["costToDate"], d["statusReason"])
			}
		}
		if ends["failed"]+ends["terminated"]+ends["interrupted"] != len(ids) || ends["failed"] == len(ids) {
			t.Errorf("%v", ends)
		}
		if got := upstream(t, s); len(got) != 0 {
			t.Errorf("upstream %v", got)
		}
		if b := settled(t, s, key); int64((100000-b)*1e6+0.5) != int64(spent*1e6+0.5) {
			t.Errorf("balance %v, and the deployments cost %v", b, spent)
		}
	})
}

// Texts that no database takes and no terminal should see stop nothing.
func TestGarbledAnswers(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("1000", "--read-limit", "10000")
		addFault(t, s, "garbled")
		addFault(t, s, "fail-provisioning", "--count", "1")
		failed := s.Deploy(key, "fails", newIdentity(t).public)
		s.Advance("1m")
		if reason, _ := s.Await(key, failed, "failed")["statusReason"].(string); !strings.HasPrefix(
			reason,
			"The installation failed while installing.",
		) ||
			strings.ContainsAny(reason, "\x00\x1b") {
			t.Errorf("%.100q", reason)
		}
		addFault(t, s, "rejected", "--operation", "create-volume", "--count", "1")
		a := s.Call(
			key,
			"POST",
			"/volumes",
			map[string]any{"name": "refused", "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5"},
		)
		if a.Status != 201 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		awaitVolume(t, s, key, a.Data["id"].(string), "failed")
		runs := s.Running(key, s.Deploy(key, "runs", newIdentity(t).public))["id"].(string)
		addFault(t, s, "machine-lost")
		s.Advance("2m")
		s.Await(key, runs, "interrupted")
		s.Advance("1m")
		if got := upstream(t, s); len(got) != 0 {
			t.Errorf("upstream %v", got)
		}
	})
}
