package e2e_test

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/test/servertest"
)

// TestLostMachineIsCredited: a machine is lost, and its tenant gets back what it paid since the
// machine was last seen, once, although the server is killed on both sides of the commit.
func TestLostMachineIsCredited(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("1000")
		operator := s.KeyOf(account, "--scopes", operatorScopes)
		machine := s.Running(key, s.Deploy(key, "lost", newIdentity(t).public))["id"].(string)
		addFault(t, s, "machine-lost")
		s.Advance("40m")
		s.Await(key, machine, "interrupted")
		const all = "=/api/v1/operator/service-credits"
		var credit map[string]any
		s.Until("a service credit is proposed", func() bool {
			list := s.Call(operator, "GET", all+"?state=proposed&deploymentId="+machine, nil).List
			if len(list) == 1 {
				credit = list[0].(map[string]any)
			}
			return len(list) == 1
		})
		if credit["cause"] != "machine_lost" || credit["accountId"] != account || credit["amount"].(float64) <= 0 {
			t.Fatalf("%v", credit)
		}
		before := settled(t, s, key)
		approve := all + "/" + credit["id"].(string) + "/approve"
		for _, step := range []string{crashpoint.ServiceCreditBeforeCommit, crashpoint.ServiceCreditAfterCommit} {
			s.Kill()
			if !s.TryRestart(0, crashpoint.Variable+"="+step) {
				t.Fatalf("the server did not start with %s", step)
			}
			_, _ = s.TryCall(operator, "POST", approve, nil)
			<-s.Ended()
		}
		s.Restart()
		for range 2 {
			a := s.Call(operator, "POST", approve, nil)
			if a.Status != 200 || a.Data["state"] != "approved" || a.Data["amount"] != credit["amount"] {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		if got := settled(t, s, key) - before; got < credit["amount"].(float64)-1e-6 ||
			got > credit["amount"].(float64)+1e-6 {
			t.Errorf("the balance rose by %v, want %v", got, credit["amount"])
		}
		found := 0
		for _, x := range s.Call(key, "GET", "/wallet/transactions?type=credit&limit=100", nil).List {
			if strings.Contains(x.(map[string]any)["description"].(string), machine) {
				found++
			}
		}
		if mine := s.Call(key, "GET", "/wallet/service-credits", nil).List; found != 1 || len(mine) != 1 {
			t.Errorf("%d transactions, and %v", found, mine)
		}
		s.Run("ledger", "verify")
	})
}
