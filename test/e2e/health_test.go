package e2e_test

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// TestGPUsAreProven: the GPUs of real machines are checked over their SSH server before they run,
// and the key of the check is gone by then.
func TestGPUsAreProven(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("1000")
		s.Run("settings", "set", "gpuHealth.policy=report")
		s.Until("the offer shows the policy", func() bool {
			return s.Call(key, "GET", "/offers/off_abc123", nil).Data["healthPolicy"] == "report"
		})
		tenant := newIdentity(t)
		proven := func(id string) {
			t.Helper()
			d := s.Running(key, id)
			h := s.Call(key, "GET", "/deployments/"+id+"/health", nil).Data
			if h["keyInstalled"] != false || h["verdict"] == nil || len(h["checks"].([]any)) != 1 {
				t.Errorf("%v", h)
			}
			node := h["latest"].(map[string]any)["nodes"].([]any)[0].(map[string]any)
			if len(node["checks"].([]any)) == 0 {
				t.Fatalf("not checked: %v", h)
			}
			first := node["checks"].([]any)[0].(map[string]any)
			if first["name"] != "collection" || first["verdict"] != "passed" || len(node["gpus"].([]any)) != 8 {
				t.Errorf("%v", node)
			}
			if keys := tenant.run(t, d, "cat .ssh/authorized_keys"); !strings.Contains(keys, tenant.public) ||
				strings.Count(strings.TrimSpace(keys), "\n") != 0 {
				t.Errorf("the machine has the keys %q", keys)
			}
			charges := 0
			for _, x := range s.Call(key, "GET", "/wallet/transactions?type=charge&limit=100", nil).List {
				if x.(map[string]any)["deploymentId"] == id {
					charges++
				}
			}
			if charges != 1 {
				t.Errorf("%d charges", charges)
			}
		}
		proven(s.Deploy(key, "first", tenant.public))
		s.Run("ledger", "verify")
	})
}
