package e2e_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestServiceCreditCommands: the host proposes, approves and rejects while the server runs. The
// account learns of the approval only, and nothing is entered there above what one operator may add.
func TestServiceCreditCommands(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("1000")
		machine := s.Running(key, s.Deploy(key, "run", newIdentity(t).public))
		of, start := machine["id"].(string), instant(t, machine["startedAt"]).Truncate(time.Second)
		s.Advance("50m")
		s.Call(key, "DELETE", "/deployments/"+of, nil)
		s.Await(key, of, "terminated")
		create := func(from, to int) []string {
			at := func(minute int) string { return start.Add(time.Duration(minute) * time.Minute).Format(time.RFC3339) }
			return []string{
				"service-credits", "create", "--deployment", of, "--from", at(from), "--to", at(to), "--failed-gpus", "1",
				"--note", "GPU 3", "-o", "json",
			}
		}
		one := func(args ...string) (c map[string]any) {
			t.Helper()
			if err := json.Unmarshal([]byte(s.Run(append(args, "-o", "json")...)), &c); err != nil {
				t.Fatal(err)
			}
			return c
		}
		refused := func(want string, args ...string) {
			t.Helper()
			if out, err := s.TryRun(args...); err == nil || !strings.Contains(out, want) {
				t.Errorf("%v: %v %s, want %q", args, err, out, want)
			}
		}
		before := settled(t, s, key)
		first, second := one(create(1, 31)...), one(create(31, 41)...)
		if hours, ok := first["hours"].([]any); first["state"] != "proposed" || first["accountId"] != account ||
			first["seenAt"] != nil || !ok || len(hours) != 1 {
			t.Errorf("%v", first)
		}
		list := func(more ...string) (ids []any) {
			t.Helper()
			var all []map[string]any
			if err := json.Unmarshal([]byte(s.Run(append([]string{"service-credits", "list", "-o", "json"}, more...)...)), &all); err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				ids = append(ids, c["id"])
			}
			return ids
		}
		if got := list("--state", "proposed", "--account", account); !slices.Equal(got, []any{second["id"], first["id"]}) {
			t.Errorf("%v", got)
		}
		if got := list("--deployment", "dep_none"); len(got) != 0 {
			t.Errorf("%v", got)
		}
		if out := s.Run("service-credits", "list"); !strings.HasPrefix(out, "SERVICE CREDIT") ||
			!strings.Contains(out, "gpus_failed") {
			t.Error(out)
		}
		approve := []string{"service-credits", "approve", first["id"].(string)}
		reject := []string{"service-credits", "reject", second["id"].(string), "--reason", "It worked."}
		for range 2 {
			if got := one(approve...); got["state"] != "approved" || got["amount"] != first["amount"] {
				t.Errorf("%v", got)
			}
			if got := one(reject...); got["state"] != "rejected" || got["reason"] != "It worked." {
				t.Errorf("%v", got)
			}
		}
		if rose := settled(t, s, key) - before; math.Abs(rose-first["amount"].(float64)) > 1e-6 {
			t.Errorf("the balance rose by %v, want %v", rose, first["amount"])
		}
		done := map[any]int{}
		operator, path := s.KeyOf(account, "--scopes", operatorScopes), "=/api/v1/operator/accounts/"+account+"/audit"
		for _, e := range s.Call(operator, "GET", path, nil).List {
			done[e.(map[string]any)["action"]]++
		}
		if done["approveServiceCredit"] != 1 || done["createServiceCredit"]+done["rejectServiceCredit"] != 0 {
			t.Errorf("%v", done)
		}
		refused("was rejected", "service-credits", "approve", second["id"].(string))
		refused("was approved", "service-credits", "reject", first["id"].(string), "--reason", "no")
		refused(`required flag(s) "reason"`, "service-credits", "reject", first["id"].(string))
		refused("No service credit has this id", "service-credits", "approve", "svc_none")
		refused("--state must be", "service-credits", "list", "--state", "open")
		refused("--page must be", "service-credits", "list", "--limit", "101")
		refused("--to must be a time such as", append(create(1, 2), "--to", "now")...)
		refused("No deployment has this id", append(create(1, 2), "--deployment", "dep_none")...)
		refused("Nothing is left to credit", create(1, 31)...)
		refused("failedGpus", append(create(41, 45), "--failed-gpus", "99")...)
		s.Run("settings", "set", "wallet.approvalAbove=0.01")
		refused("signed-in operators enter and approve them", create(41, 45)...)
		s.Run("ledger", "verify")
	})
}
