package deployment_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

func (r *testKit) kinds() (kinds []issue.Kind) {
	for _, f := range r.allIssues() {
		if f.State == issue.StateOpen {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

func TestEveryNodeOfAClusterIsShown(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.fake.changeReady(func(m *provider.Machine) {
			m.SSHHostKeys = nil
			m.Nodes = []provider.Node{{Address: m.Address, PrivateAddress: "10.0.0.10", SSHPort: m.SSHPort}}
			for i := range 3 {
				m.Nodes = append(
					m.Nodes,
					provider.Node{
						Address:        fmt.Sprintf("127.0.3.%d", i+1),
						PrivateAddress: fmt.Sprintf("10.0.0.%d", 11+i),
						SSHPort:        2200,
					},
				)
			}
		})
		answers := 3 // nodes
		r.hostKey = func(at provider.Endpoint) string {
			return "ssh-ed25519 " + strings.ReplaceAll(at.Address, ":", "")
		}
		r.probe = func(at provider.Endpoint) error {
			if !at.WantKey || at.Address == "127.0.3.3:2200" && answers < 4 {
				return errors.New("connection refused")
			}
			return nil
		}
		d := r.deploy(a)
		r.pass(time.Minute)
		if x := r.get(a, d.ID); x.Status != deployment.StatusDeploying || len(x.Nodes) != 0 {
			t.Fatalf("one node does not answer, and it is %s with %+v", x.Status, x.Nodes)
		}
		answers = 4
		x := r.await(a, d.ID, deployment.StatusRunning)
		if len(x.Nodes) != 4 || x.Nodes[0].IPAddress != *x.IPAddress || x.Nodes[0].SSHHostKeys[0] != x.SSHHostKeys[0] {
			t.Fatalf("%+v", x)
		}
		for i, n := range x.Nodes[1:] {
			address := fmt.Sprintf("127.0.3.%d", i+1)
			if n.Index != i+1 || n.IPAddress != address || *n.PrivateIPAddress != fmt.Sprintf("10.0.0.%d", 11+i) ||
				n.SSHPort != 2200 ||
				n.SSHHostKeys[0] != "["+address+"]:2200 ssh-ed25519 "+address+"2200" {
				t.Errorf("%+v", n)
			}
		}
		first := fmt.Sprintf("%s:%d", *x.IPAddress, *x.SSHPort)
		for node, want := range map[int]string{0: first, 3: "127.0.3.3:2200", 4: "", -1: ""} {
			at, err := r.deployments.SSHEndpoint(t.Context(), r.db, a, d.ID, node)
			if at.Address != want || (err == nil) != (want != "") {
				t.Errorf("node %d is at %q, %v", node, at.Address, err)
			}
		}
	})
}

func TestMachineOfOneServerHasOneNode(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.fake.changeReady(func(m *provider.Machine) { m.SSHHostKeys = []string{"ssh-ed25519 STATED"} })
		d := r.running(a)
		if len(d.Nodes) != 1 || d.Nodes[0].IPAddress != *d.IPAddress || d.Nodes[0].PrivateIPAddress != nil ||
			!slices.Equal(d.Nodes[0].SSHHostKeys, d.SSHHostKeys) ||
			*d.SSHHostKeySource != deployment.HostKeysOfProvider {
			t.Errorf("%+v", d)
		}
	})
}

// What is sold for one price and stated to cost another is counted at what is stated, and an
// operator hears of it.
func TestStatedPriceIsTheCost(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		plain := r.running(a)
		stated := money.Micros(2_010_000)
		r.fake.changeReady(func(m *provider.Machine) {
			if m.Reference != plain.ID {
				m.HourlyCost = stated
			}
		})
		d := r.running(a)
		if cost := r.cost(d.ID); cost != stated {
			t.Errorf("the machine is stated at %s and costs %s", stated, cost)
		}
		if cost := r.cost(plain.ID); cost == stated || cost == 0 {
			t.Errorf("a machine of which nothing is stated costs %s", cost)
		}
		r.pass(2 * time.Minute)
		all := r.allIssues()
		if len(all) != 1 || all[0].Kind != issue.PriceMismatch || *all[0].DeploymentID != d.ID ||
			!strings.Contains(all[0].Detail, "$2.01/hr") ||
			all[0].EndAfter != nil {
			t.Fatalf("%+v", all)
		}
		err := r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.issues.End(ctx, tx, all[0].ID)
			return err
		})
		if r.code(err) != apierr.Conflict {
			t.Errorf("End of a running machine for its price = %v, want CONFLICT", err)
		}
		stated = 2_500_000 // it was raised while the machine runs
		r.pass(2 * time.Minute)
		if cost := r.cost(d.ID); cost != stated {
			t.Errorf("the machine is stated at %s now and costs %s", stated, cost)
		}
		if x := r.get(a, d.ID); x.HourlyPrice != d.HourlyPrice {
			t.Errorf("the tenant pays %s instead of %s", x.HourlyPrice, d.HourlyPrice)
		}
	})
}

// cost is what the meter counts for the deployment now.
func (r *testKit) cost(d id.ID) (hourly money.Micros) {
	r.t.Helper()
	r.must(
		r.db.QueryRow(r.t.Context(), `SELECT hourly_cost FROM meter_cost WHERE subject = $1 AND to_at IS NULL`, d).
			Scan(&hourly),
	)
	return hourly
}

func TestPriceOfTheOfferIsNoIssue(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.fake.set(func() { r.fake.price = 1_995_000 })
		r.must(r.catalog.Start(t.Context()))
		r.pass(2 * time.Minute)
		r.fake.changeReady(func(m *provider.Machine) { m.HourlyCost = 1_995_000 + 4_000 }) // whole cents and fractions
		d := r.running(a)
		r.pass(2 * time.Minute)
		if all := r.allIssues(); len(all) != 0 || r.cost(d.ID) != 1_999_000 {
			t.Errorf("%s: %+v", r.cost(d.ID), all)
		}
	})
}

func TestPrivateAddressIsRefused(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.hostKey = func(at provider.Endpoint) string {
			if at.Private || !strings.HasPrefix(at.Address, "8.8.8.") {
				t.Errorf("connects to %+v", at)
			}
			return ""
		}
		r.fake.set(func() {
			r.fake.changeInfo = func(i *provider.Info) { i.PrivateAddresses, i.LaunchLimit = false, 24*time.Hour }
		})
		r.fake.changeReady(func(m *provider.Machine) { m.Address = "8.8.8.8" })
		before := r.running(a)
		r.fake.changeReady(func(m *provider.Machine) { m.Address = "10.0.0.5" })
		d := r.deploy(a)
		for _, address := range []string{
			"10.0.0.5", "169.254.169.254", "127.88.1.1", "100.64.0.1", "fd00::1", "::1", "0.0.0.0", "192.168.1.1",
			"localhost", "::ffff:10.0.0.1",
		} {
			for name, change := range map[string]func(m *provider.Machine){
				"the machine": func(m *provider.Machine) { m.Address = address },
				"a node": func(m *provider.Machine) {
					m.Address = "8.8.8.8"
					m.Nodes = []provider.Node{{Address: "8.8.8.8", SSHPort: 22}, {Address: address, SSHPort: 22}}
				},
			} {
				r.fake.changeReady(change)
				r.pass(2 * time.Minute)
				if x := r.get(a, d.ID); x.Status != deployment.StatusDeploying || x.IPAddress != nil ||
					len(x.Nodes) != 0 ||
					!strings.Contains(*x.Steps[2].Detail, "not on the Internet") {
					t.Fatalf("%s at %s: %+v", name, address, x)
				}
				if x := r.get(a, before.ID); x.Status != deployment.StatusRunning || *x.IPAddress != "8.8.8.8" ||
					len(x.Nodes) != 1 {
					t.Fatalf("%s at %s: %+v", name, address, x)
				}
				if kinds := r.kinds(); !slices.Contains(kinds, issue.PrivateAddress) {
					t.Errorf("%s at %s: the operator sees %q", name, address, kinds)
				}
			}
		}
	})
}

func TestUnhealthyMachineIsAbandoned(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		runs := r.running(a)
		r.fake.changeReady(
			func(m *provider.Machine) { m.Unhealthy, m.Detail = true, "the cloud finds the machine unhealthy" },
		)
		d := r.deploy(a)
		r.pass(5 * time.Minute)
		if x := r.get(a, d.ID); x.Status != deployment.StatusDeploying ||
			*x.Steps[2].Detail != "the cloud finds the machine unhealthy" {
			t.Fatalf("%+v", x)
		}
		r.pass(6 * time.Minute)
		if x := r.get(a, d.ID); x.Status != deployment.StatusFailed || x.CostToDate != 0 {
			t.Errorf("%+v", x)
		}
		if x := r.get(a, runs.ID); x.Status != deployment.StatusRunning {
			t.Errorf("what ran is %s", x.Status)
		}
		r.pass(10 * time.Minute)
		if left := r.upstream(); len(left) != 1 || left[0] != runs.ID {
			t.Errorf("upstream: %q", left)
		}
	})
}

// givesKeys has the simulated provider state no host keys, and take the ones that it is given.
func (r *testKit) takeHostKeys() {
	r.fake.set(func() { r.fake.takesHostKey = true })
	r.fake.changeReady(func(m *provider.Machine) { m.SSHHostKeys = nil })
}

// sealed is the private host key as the database has it.
func (r *testKit) sealed(d id.ID) (sealed string) {
	r.t.Helper()
	r.must(r.db.QueryRow(r.t.Context(), `SELECT host_key_sealed FROM deployment WHERE id = $1`, d).Scan(&sealed))
	return sealed
}

func TestIssuedHostKeyIsVerifiedAndForgotten(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.takeHostKeys()
		r.hostKey = func(provider.Endpoint) string { return r.fake.lastLaunch.HostKey.Public }
		r.sshErr = errNoSSH
		d := r.deploy(a)
		r.pass(time.Minute)
		given := r.fake.lastLaunch.HostKey
		sealed := r.sealed(d.ID)
		if given.Public == "" || !strings.Contains(given.Private, "OPENSSH PRIVATE KEY") || sealed == "" ||
			strings.Contains(sealed, "PRIVATE") {
			t.Fatalf("given %q; kept %q", given.Public, sealed)
		}
		if plain, err := r.secrets.Open("host-key/"+string(d.ID), sealed); err != nil ||
			string(plain) != given.Private {
			t.Errorf("%v", err)
		}
		r.sshErr = nil
		x := r.await(a, d.ID, deployment.StatusRunning)
		if len(x.SSHHostKeys) != 1 || !strings.HasSuffix(x.SSHHostKeys[0], " "+given.Public) ||
			*x.SSHHostKeySource != deployment.HostKeysIssued {
			t.Errorf("%q by %v", x.SSHHostKeys, x.SSHHostKeySource)
		}
		if kept := r.sealed(d.ID); kept != "" {
			t.Errorf("the private key is still kept")
		}
		r.pass(5 * time.Minute) // the provider goes on stating none
		if x := r.get(a, d.ID); len(x.SSHHostKeys) != 1 {
			t.Errorf("%q", x.SSHHostKeys)
		}
		r.sshErr = errNoSSH
		gone := r.deploy(a)
		r.pass(time.Minute)
		if r.fake.lastLaunch.HostKey.Public == given.Public {
			t.Error("two machines were given one key")
		}
		r.pass(time.Hour)
		if x := r.get(a, gone.ID); x.Status != deployment.StatusFailed || r.sealed(gone.ID) != "" {
			t.Errorf("%s, and the private key is kept: %t", x.Status, r.sealed(gone.ID) != "")
		}
	})
}

// A machine whose image does not take the key is learned after a while, and that is said.
func TestHostKeyIsLearned(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.takeHostKeys()
		r.hostKey = func(provider.Endpoint) string { return "ssh-ed25519 OTHER" }
		d := r.deploy(a)
		r.pass(2 * time.Minute)
		if x := r.get(a, d.ID); x.Status != deployment.StatusDeploying ||
			!strings.Contains(*x.Steps[3].Detail, "host key") {
			t.Fatalf("%+v", x)
		}
		x := r.await(a, d.ID, deployment.StatusRunning)
		if len(x.SSHHostKeys) != 1 || !strings.HasSuffix(x.SSHHostKeys[0], " ssh-ed25519 OTHER") ||
			*x.SSHHostKeySource != deployment.HostKeysLearned {
			t.Errorf("%q by %v", x.SSHHostKeys, *x.SSHHostKeySource)
		}
		// Without a way to give it a key it is learned at once.
		r.fake.set(func() { r.fake.takesHostKey = false })
		one := r.running(a)
		if *one.SSHHostKeySource != deployment.HostKeysLearned || r.fake.lastLaunch.HostKey.Public != "" {
			t.Errorf("%q by %v", one.SSHHostKeys, *one.SSHHostKeySource)
		}
		// A key that changes is not followed: it is what the tenant relies on.
		r.hostKey = func(provider.Endpoint) string { return "ssh-ed25519 THIRD" }
		r.pass(10 * time.Minute)
		if x := r.get(a, d.ID); !strings.HasSuffix(x.SSHHostKeys[0], "OTHER") {
			t.Errorf("%q", x.SSHHostKeys)
		}
		// But after a reinstallation, which the tenant asked for.
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.deployments.Reinstall(ctx, tx, a, d.ID, deployment.ReinstallRequest{EraseLocalDisks: true})
			return err
		}))
		r.pass(5 * time.Minute)
		if x := r.get(a, d.ID); len(x.SSHHostKeys) != 1 || !strings.HasSuffix(x.SSHHostKeys[0], "THIRD") ||
			*x.SSHHostKeySource != deployment.HostKeysLearned {
			t.Errorf("%q", x.SSHHostKeys)
		}
	})
}

// An offer that boots fast is given up sooner than its provider's others, and one that says too
// much is not waited for longer.
func TestLaunchLimitOfTheOfferCounts(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{
		4 * time.Minute: 4 * time.Minute, 0: 15 * time.Minute, 24 * time.Hour: 15 * time.Minute,
	} {
		t.Run(limit.String(), func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(1000))
				r.fake.set(func() { r.fake.launchLimit = limit })
				r.must(r.catalog.Start(t.Context()))
				r.pass(2 * time.Minute)
				r.sshErr = errNoSSH
				d := r.deploy(a)
				r.pass(want - time.Minute)
				if x := r.get(a, d.ID); x.Status != deployment.StatusDeploying {
					t.Fatalf("given up before %s: %+v", want, x)
				}
				r.pass(2 * time.Minute)
				if x := r.get(a, d.ID); x.Status != deployment.StatusFailed ||
					x.StatusCause != deployment.CauseTimedOut {
					t.Fatalf("not given up after %s: %+v", want, x)
				}
			})
		})
	}
}
