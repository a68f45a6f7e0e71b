package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// Rules that an operator makes on the server's database apply on the running server, and what is
// hidden cannot be deployed.
func TestPriceRulesOfTheCommandLine(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("10000", "--read-limit", "10000")
		_, other := s.Key("10000", "--read-limit", "10000")
		price := func(key string) any { return s.Call(key, "GET", "/offers/off_abc123", nil).Data["hourlyPrice"] }
		becomes := func(what, key string, want any) {
			t.Helper()
			s.Until(what, func() bool { return price(key) == want })
		}
		usual := price(other)
		added := func(flags ...string) (id string) {
			t.Helper()
			var rule struct{ ID string }
			out := s.Run(append([]string{"price-rule", "add", "-o", "json"}, flags...)...)
			if err := json.Unmarshal([]byte(out), &rule); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return rule.ID
		}
		own := added("--account", account, "--gpu-type", "nvidia b200", "--floor-per-gpu", "12.5", "--round-up-to", "3")
		becomes("the own price", key, 102.0) // 8 × 12.5, rounded up
		if got := price(other); got != usual {
			t.Errorf("another account pays %v, want %v", got, usual)
		}
		all := added("--percent", "-100", "--fixed-per-gpu", "1.01", "--position", "1")
		becomes("the price of the first rule", key, 8.08)
		becomes("the price of the only rule", other, 8.08)
		s.Run("price-rule", "change", own, "--position", "1")
		becomes("the own price, first again", key, 102.0)
		if out := s.Run("price-rule", "list"); !strings.Contains(out, "-100%") ||
			strings.Index(out, own) > strings.Index(out, all) {
			t.Errorf("price-rule list:\n%s", out)
		}
		s.Run("price-rule", "change", all, "--percent", "0", "--fixed-per-gpu", "0", "--hidden")
		becomes("nothing", other, nil)
		if a := s.Call(other, "POST", "/deployments", deployBody(t, "hidden")); a.Status == 201 {
			t.Errorf("a hidden offer is deployed: %s", a.Body)
		}
		d := s.Running(key, s.Deploy(key, "ruled", newIdentity(t).public))
		if d["hourlyPrice"] != 102.0 {
			t.Errorf("the deployment costs %v", d["hourlyPrice"])
		}
		s.Run("price-rule", "remove", own)
		s.Run("price-rule", "remove", all)
		becomes("the usual price", key, usual)
		for _, wrong := range [][]string{
			{"price-rule", "add", "--percent", "1000.01"}, {"price-rule", "add", "--percent", "1.234"},
			{"price-rule", "add", "--floor-per-gpu", "-1"}, {"price-rule", "add", "--account", "acc_nosuch"},
			{"price-rule", "add", "--hidden", "--percent", "1"}, {"price-rule", "add", "--position", "0"},
			{"price-rule", "change", "prl_nosuch", "--percent", "1"}, {"price-rule", "remove", "prl_nosuch"},
		} {
			if out, err := s.TryRun(wrong...); err == nil || strings.Contains(out, "panic") {
				t.Errorf("%v: %v %s", wrong, err, out)
			}
		}
	})
}

// A machine that runs earns what it costs while it has no markup, whenever it is asked.
func TestARunningMachineWithoutMarkupHasNoMargin(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("10000", "--read-limit", "10000")
		operator := s.KeyOf(account, "--scopes", "operator:read")
		s.Running(key, s.Deploy(key, "at cost", newIdentity(t).public))
		s.Advance("90m")
		total := s.Call(operator, "GET", "=/api/v1/operator/margins", nil).Data["total"].(map[string]any)
		if total["margin"] != 0.0 || total["revenue"].(float64) <= 0 || total["marginPercent"] != 0.0 {
			t.Errorf("after an hour and a half: %v", total)
		}
	})
}
