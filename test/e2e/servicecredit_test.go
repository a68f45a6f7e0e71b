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

// creditShell runs billetd service-credits for a deployment.
type creditShell struct {
	*testing.T
	s     *servertest.Server
	of    string
	start time.Time
}

// create is the command that proposes a service credit from and to a minute of the deployment.
func (c creditShell) create(from, to int, more ...string) []string {
	at := func(minute int) string { return c.start.Add(time.Duration(minute) * time.Minute).Format(time.RFC3339) }
	return append([]string{
		"create", "--deployment", c.of, "--from", at(from), "--to", at(to), "--failed-gpus", "1", "--note", "GPU 3",
	}, more...)
}

// run runs a command, and decodes what it prints.
func (c creditShell) run(into any, args ...string) {
	c.Helper()
	out := c.s.Run(append(append([]string{"service-credits"}, args...), "-o", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		c.Fatalf("%v: %v", args, err)
	}
}

// one runs a command that prints one service credit, and fails the test unless it is in the state.
func (c creditShell) one(state string, args ...string) (credit map[string]any) {
	c.Helper()
	if c.run(&credit, args...); credit["state"] != state {
		c.Errorf("%v: %v", args, credit)
	}
	return credit
}

// list returns the ids that a list prints.
func (c creditShell) list(args ...string) (ids []any) {
	c.Helper()
	var all []map[string]any
	c.run(&all, append([]string{"list"}, args...)...)
	for _, credit := range all {
		ids = append(ids, credit["id"])
	}
	return ids
}

// refused fails the test unless a command fails with those words.
func (c creditShell) refused(want string, args ...string) {
	c.Helper()
	args = append([]string{"service-credits"}, args...)
	if out, err := c.s.TryRun(args...); err == nil || !strings.Contains(out, want) {
		c.Errorf("%v: %v %s, want %q", args, err, out, want)
	}
}

// audited counts the account's audit entries of each action.
func (c creditShell) audited(account string) map[any]int {
	c.Helper()
	operator, path := c.s.KeyOf(account, "--scopes", operatorScopes), "=/api/v1/operator/accounts/"+account+"/audit"
	done := map[any]int{}
	for _, e := range c.s.Call(operator, "GET", path, nil).List {
		done[e.(map[string]any)["action"]]++
	}
	return done
}

// TestServiceCreditCommands: the host proposes, approves and rejects while the server runs. The
// account learns of the approval only, and nothing is entered there above what one operator may
// add.
func TestServiceCreditCommands(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("1000")
		machine := s.Running(key, s.Deploy(key, "run", newIdentity(t).public))
		c := creditShell{t, s, machine["id"].(string), instant(t, machine["startedAt"]).Truncate(time.Second)}
		s.Advance("50m")
		s.Call(key, "DELETE", "/deployments/"+c.of, nil)
		s.Await(key, c.of, "terminated")
		before := settled(t, s, key)
		first, second := c.one("proposed", c.create(1, 31)...), c.one("proposed", c.create(31, 41)...)
		if hours, ok := first["hours"].([]any); first["accountId"] != account || first["seenAt"] != nil || !ok ||
			len(hours) != 1 {
			t.Errorf("%v", first)
		}
		got, want := c.list("--state", "proposed", "--account", account), []any{second["id"], first["id"]}
		if !slices.Equal(got, want) || len(c.list("--deployment", "dep_none")) != 0 {
			t.Errorf("%v, want %v", got, want)
		}
		if out := s.Run("service-credits", "list"); !strings.HasPrefix(out, "SERVICE CREDIT") ||
			!strings.Contains(out, "gpus_failed") {
			t.Error(out)
		}
		approved, rejected := first["id"].(string), second["id"].(string)
		for range 2 {
			if got := c.one("approved", "approve", approved); got["amount"] != first["amount"] {
				t.Errorf("%v", got)
			}
			if got := c.one("rejected", "reject", rejected, "--reason", "It worked."); got["reason"] != "It worked." {
				t.Errorf("%v", got)
			}
		}
		if rose := settled(t, s, key) - before; math.Abs(rose-first["amount"].(float64)) > 1e-6 {
			t.Errorf("the balance rose by %v, want %v", rose, first["amount"])
		}
		done := c.audited(account)
		if done["approveServiceCredit"] != 1 || done["createServiceCredit"]+done["rejectServiceCredit"] != 0 {
			t.Errorf("%v", done)
		}
		c.refused("was rejected", "approve", rejected)
		c.refused("was approved", "reject", approved, "--reason", "no")
		c.refused(`required flag(s) "reason"`, "reject", approved)
		c.refused("No service credit has this id", "approve", "svc_none")
		c.refused("--state must be", "list", "--state", "open")
		c.refused("--page must be", "list", "--limit", "101")
		c.refused("--to must be a time such as", c.create(1, 2, "--to", "now")...)
		c.refused("No deployment has this id", c.create(1, 2, "--deployment", "dep_none")...)
		c.refused("Nothing is left to credit", c.create(1, 31)...)
		c.refused("failedGpus", c.create(41, 45, "--failed-gpus", "99")...)
		s.Run("settings", "set", "wallet.approvalAbove=0.01")
		c.refused("signed-in operators enter and approve them", c.create(41, 45)...)
		s.Run("ledger", "verify")
	})
}
