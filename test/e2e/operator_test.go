package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

func TestProbesMetricsAndLog(t *testing.T) {
	s := servertest.Start(t, "--sim", "--log-format", "json")
	for _, path := range []string{"=/healthz", "=/readyz"} {
		if a := s.Call("", "GET", path, nil); a.Status != 200 || a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	_, key := s.Key("10")
	a := s.Call(key, "GET", "/wallet", nil)
	if a := s.Call(key, "GET", "=/metrics", nil); a.Status != 404 {
		t.Errorf("the metrics are on the API's own address: %d", a.Status)
	}
	m := regexp.MustCompile(`"metrics":"(http://127\.0\.0\.1:\d+/metrics)"`).FindStringSubmatch(s.Log())
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
	want := `billet_http_requests_total{method="GET",route="/api/v1/inventory/wallet",status="200"} 1`
	if !strings.Contains(string(text), want) {
		t.Errorf("no %s in the metrics", want)
	}
	if !strings.Contains(s.Log(), a.Header.Get("X-Request-Id")) {
		t.Error("the log does not have the request's id")
	}
	if strings.Contains(s.Log(), key) || strings.Contains(s.Log(), "Bearer") {
		t.Error("the log has the API key")
	}
	s.Stop()
	for line := range strings.Lines(s.Log()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestSimulatorSocket(t *testing.T) {
	with := servertest.Start(t, "--sim")
	info, err := os.Stat(filepath.Join(with.Dir, "billetd.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if out, err := with.TryRun("sim", "advance", "-5m"); err == nil {
		t.Errorf("time went back: %s", out)
	}
	var status struct{ Machines []any }
	if err := json.Unmarshal([]byte(with.Run("sim", "status", "-o", "json")), &status); err != nil ||
		status.Machines == nil {
		t.Errorf("without machines the list is %v, %v", status.Machines, err)
	}
	if out, err := with.TryRun("serve", "--listen", "127.0.0.1:0"); err == nil ||
		!strings.Contains(out, "another billetd") {
		t.Errorf("a second server on one data directory: %v %s", err, out)
	}
	with.Kill()
	with.Restart() // over the socket that the killed server left
	with.Advance("1m")
	with.Stop()
	if _, err := os.Stat(filepath.Join(with.Dir, "billetd.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}

	without := servertest.Start(t)
	for _, command := range [][]string{{"sim", "advance", "1m"}, {"sim", "status"}} {
		if out, err := without.TryRun(command...); err == nil || !strings.Contains(out, "--sim") {
			t.Errorf("%v without the simulator: %v %s", command, err, out)
		}
	}
	_, key := without.Key("100")
	a := without.Call(key, "GET", "/offers", nil)
	if a.Status != 200 || !strings.Contains(string(a.Body), `"total":0`) {
		t.Errorf("a marketplace without providers: got %d %s, want no offers", a.Status, a.Body)
	}
}

func TestOperatorCommandsWhileServerRuns(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		s.Advance("3h")
		account, key := s.Key("49.99")
		if out := s.Run("account", "list"); !strings.Contains(out, account) {
			t.Errorf("account list:\n%s", out)
		}
		if a := s.Call(key, "POST", "/deployments", deployBody(t, "too poor")); a.Status != 402 ||
			a.Error["message"] != "Insufficient balance. You need at least $50.00 to deploy." {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		for range 2 {
			s.Run("wallet", "credit", "--account", account, "--amount", "0.01", "--reference", "invoice-1")
		}
		if w := s.Call(key, "GET", "/wallet", nil).Data; w["balance"] != 50.0 {
			t.Errorf("%v", w)
		}
		if a := s.Call(key, "POST", "/deployments", deployBody(t, "enough")); a.Status != 201 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if out := s.Run("wallet", "list"); !strings.Contains(out, "$50.00") {
			t.Errorf("wallet list:\n%s", out)
		}
		reader := s.KeyOf(account, "--scopes", "offers:read")
		if a := s.Call(reader, "GET", "/offers", nil); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := s.Call(reader, "GET", "/wallet", nil); a.Status != 403 || a.Code() != "INSUFFICIENT_SCOPE" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		_, other := s.Key("0")
		price := func(key string) float64 {
			return s.Call(key, "GET", "/offers/off_abc123", nil).Data["hourlyPrice"].(float64)
		}
		for i, percent := range []string{"100", "default"} {
			times := []float64{2, 1}[i]
			s.Run("account", "markup", account, percent)
			s.Advance("2m") // the providers are polled, with the new markups
			if mine, theirs := price(key), price(other); mine != times*theirs {
				t.Errorf("with a markup of %s one pays %g and another %g", percent, mine, theirs)
			}
		}
		var keys []struct{ ID string }
		if err := json.Unmarshal(
			[]byte(s.Run("key", "list", "--account", account, "-o", "json")), &keys,
		); err != nil || len(keys) != 2 {
			t.Fatalf("%v %v", keys, err)
		}
		for _, k := range keys {
			s.Run("key", "revoke", "--account", account, "--key", k.ID)
		}
		if a := s.Call(key, "GET", "/offers", nil); a.Status != 401 || a.Code() != "REVOKED_API_KEY" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

func TestOperatorCommandsRefuseWrongValues(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, _ := s.Key("1")
		for _, command := range [][]string{
			{"account", "create", "--name", strings.Repeat("x", 65)},
			{"account", "create", "--name", "a", "--credit", "1e3"},
			{"key", "create", "--account", "acc_nosuch", "--name", "a"},
			{"key", "create", "--account", account, "--name", "a", "--scopes", "everything"},
			{"key", "create", "--account", account, "--name", "a", "--max-spend-per-day", "much"},
			{"key", "create", "--account", account, "--name", "a", "--max-hourly-price", "-1"},
			{"account", "markup", account, "1001"}, {"account", "markup", account, "much"},
			{"account", "markup", account}, {"account", "markup", "acc_nosuch", "5"},
			{"wallet", "credit", "--account", "acc_nosuch", "--amount", "1"},
			{"wallet", "credit", "--account", account, "--amount", "0.0000001"},
		} {
			if out, err := s.TryRun(command...); err == nil || strings.Contains(out, "panic") {
				t.Errorf("%v: %v %s", command, err, out)
			}
		}
	})
}

func TestDemoAccountAndFlagVariables(t *testing.T) {
	t.Setenv("BILLET_SIM", "true")
	t.Setenv("BILLET_DEMO", "true")
	s := servertest.Start(t)
	read := func() (d struct{ URL, Email, Password, APIKey string }) {
		b, err := os.ReadFile(filepath.Join(s.Dir, "demo.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := read()
	s.Kill()
	s.Restart()
	second := read()
	if second.APIKey != first.APIKey || second.Password != first.Password || second.URL != s.URL {
		t.Fatalf("%+v, then %+v", first, second)
	}
	if w := s.Call(second.APIKey, "GET", "/wallet", nil).Data; w["balance"] != 1000.0 {
		t.Fatalf("%v", w)
	}
	a := s.Call(
		"", "POST", "=/api/v1/account/sessions",
		map[string]any{"email": second.Email, "password": second.Password},
	)
	if a.Status != 200 && a.Status != 201 {
		t.Fatalf("sign in: %d %s", a.Status, a.Body)
	}
	cookie := a.Header.Get("Set-Cookie")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("cookie %q", cookie)
	}
	token, _, _ := strings.Cut(cookie, ";")
	made := s.Call(
		"", "POST", "=/api/v1/account/api-keys",
		map[string]any{"name": "made by hand", "scopes": []string{"wallet:read"}}, "Cookie", token,
	)
	if made.Status != 201 {
		t.Fatalf("make a key: %d %s", made.Status, made.Body)
	}
	secret, _ := made.Data["key"].(string)
	if a := s.Call(secret, "GET", "/wallet", nil); !strings.HasPrefix(secret, "pk_live_") || a.Status != 200 {
		t.Fatalf("the new key: %d %s", a.Status, a.Body)
	}
	if a := s.Call(secret, "GET", "=/api/v1/account/api-keys", nil); a.Status != 401 && a.Status != 403 {
		t.Errorf("an API key could list API keys: %d", a.Status)
	}
}

func TestOperatorSetsSpendingLimits(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append([]string{"--sim", "--sim-machines", "banner"}, args...)...)
		account, free := s.Key("1000")
		limited := s.KeyOf(
			account, "--max-hourly-price", "20", "--max-spend-per-day", "50.5", "--max-spend-per-month", "500",
			"--max-deployments", "0", "--gpu-type", "NVIDIA H100", "--gpu-type", "NVIDIA L40S",
		)
		var keys []struct {
			Prefix         string
			SpendingLimits *struct {
				MaxHourlyPrice, MaxSpendPerDay, MaxSpendPerMonth float64
				MaxDeployments                                   *int
				GPUTypes                                         []string
			}
		}
		if err := json.Unmarshal(
			[]byte(s.Run("key", "list", "--account", account, "-o", "json")), &keys,
		); err != nil || len(keys) != 2 {
			t.Fatalf("%v: %+v", err, keys)
		}
		for _, k := range keys {
			if strings.HasPrefix(free, strings.TrimSuffix(k.Prefix, "…")) {
				if k.SpendingLimits != nil {
					t.Errorf("the key without limits has %+v", *k.SpendingLimits)
				}
				continue
			}
			l := k.SpendingLimits
			if l == nil || l.MaxHourlyPrice != 20 || l.MaxSpendPerDay != 50.5 || l.MaxSpendPerMonth != 500 ||
				l.MaxDeployments == nil || *l.MaxDeployments != 0 ||
				!slices.Equal(l.GPUTypes, []string{"NVIDIA H100", "NVIDIA L40S"}) {
				t.Errorf("the key's limits are %+v", l)
			}
		}
		if table := s.Run("key", "list", "--account", account); !strings.Contains(
			table, "$20.00/hr, $50.50/day, $500.00/month, 0 concurrent, NVIDIA H100, NVIDIA L40S",
		) || !strings.Contains(table, "none") {
			t.Errorf("the table says\n%s", table)
		}
		body := map[string]any{
			"offerId": "off_abc123", "name": "box", "operatingSystem": "Ubuntu 22.04",
			"ssh_public_key": newIdentity(t).public,
		}
		if a := s.Call(limited, "POST", "/deployments", body); a.Code() != "KEY_LIMIT_REACHED" {
			t.Errorf("beyond its limits the key gets %d %s", a.Status, a.Body)
		}
		if a := s.Call(free, "POST", "/deployments", body); a.Status != http.StatusCreated {
			t.Errorf("the key without limits gets %d %s", a.Status, a.Body)
		}
	})
}

func TestOperatorCannotSetWrongSpendingLimits(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Prepare(t, t.TempDir(), args...)
		account, _ := s.Key("1000")
		for _, wrong := range [][]string{
			{"--max-hourly-price", "much"}, {"--max-spend-per-day", "-1"},
			{"--max-spend-per-month", "2000000000"}, {"--max-deployments", "-1"}, {"--gpu-type", " "},
		} {
			if out, err := s.TryRun(append(
				[]string{"key", "create", "--account", account, "--name", "wrong"}, wrong...,
			)...); err == nil || !strings.Contains(out, "must be") && !strings.Contains(out, "US dollars") &&
				!strings.Contains(out, "GPU type") {
				t.Errorf("%q: %v %s", wrong, err, out)
			}
		}
		if list := s.Run("key", "list", "--account", account); strings.Contains(list, "wrong") {
			t.Errorf("a key was made with limits that are wrong:\n%s", list)
		}
	})
}
