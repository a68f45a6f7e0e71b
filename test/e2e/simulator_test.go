package e2e_test

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// The operator's API moves the same clock and injects the same faults as the commands.
func TestSimulatorAPI(t *testing.T) {
	s := servertest.Start(t, "--sim", "--sim-machines", "banner")
	account, key := s.Key("1000")
	operator := s.KeyOf(account, "--scopes", "operator:read,operator:write")
	const at = "=/api/v1/operator/simulator"
	a := s.Call(
		operator, "POST", at+"/faults",
		map[string]any{"kind": "price", "provider": "voltage-park", "value": "cheap"},
	)
	if a.Status != 400 || !strings.Contains(string(a.Body), "cheap") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	a = s.Call(operator, "POST", at+"/faults", map[string]any{"kind": "provisioning-time", "seconds": "600-600"})
	if a.Status != 201 || a.Data["seconds"] != "600" || a.Data["id"] != "f1" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if out := s.Run("sim", "fault", "list"); !strings.Contains(out, "provisioning-time") {
		t.Errorf("the command shows %s", out)
	}
	d := s.Deploy(key, "slow", newIdentity(t).public)
	before := s.Call(operator, "GET", at, nil).Data["now"].(string)
	a = s.Call(operator, "POST", at+"/advance", map[string]any{"seconds": 300})
	if machines, _ := a.Data["machines"].([]any); a.Status != 200 || len(machines) != 1 ||
		a.Data["now"].(string) <= before {
		t.Fatalf("%d %s after %s", a.Status, a.Body, before)
	}
	if got := s.Call(key, "GET", "/deployments/"+d, nil).Data["status"]; got != "deploying" {
		t.Errorf("after five minutes of ten it is %v", got)
	}
	s.Call(operator, "POST", at+"/advance", map[string]any{"seconds": 320})
	s.Await(key, d, "running")
	if a := s.Call(operator, "DELETE", at+"/faults", nil); a.Status != 200 || len(a.Data["faults"].([]any)) != 0 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := s.Call(key, "GET", at, nil); a.Status != 403 {
		t.Errorf("a tenant: %d %s", a.Status, a.Body)
	}
	if a := servertest.Start(t).Call("", "GET", at, nil); a.Status != 401 {
		t.Errorf("without a key: got %d %s", a.Status, a.Body)
	}
}
