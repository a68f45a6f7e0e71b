package deployment_test

import (
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// What a provider states as a machine's address becomes a command that users paste.
func TestInvalidAddressIsNotShown(t *testing.T) {
	for name, change := range map[string]func(m *provider.Machine){
		"a user that is an option":  func(m *provider.Machine) { m.SSHUser = "-oProxyCommand=sh" },
		"a user that is a command":  func(m *provider.Machine) { m.SSHUser = "root;sh;" },
		"an address with a command": func(m *provider.Machine) { m.Address += ";sh" },
		"an address that is an option": func(m *provider.Machine) {
			m.Address = "-oProxyCommand=sh"
		},
		"a port out of range": func(m *provider.Machine) { m.SSHPort = 70000 },
		"a key with two lines": func(m *provider.Machine) {
			m.SSHHostKeys = []string{"ssh-ed25519 AAAA\n* " +
				"ssh-ed25519 BBBB"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(1000))
				d := r.running(a)
				before := *d.SSHCommand
				r.fake.set(func() {
					r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) {
						if m.State == provider.MachineReady {
							change(&m)
						}
						return m, nil
					}
				})
				r.pass(2 * time.Minute)
				d = r.get(a, d.ID)
				if d.SSHCommand == nil || *d.SSHCommand != before {
					t.Errorf("sshCommand of the running deployment changed from %q: %v", before, d.SSHCommand)
				}
				r.deploy(a) // one whose provider states it from the start
				r.pass(2 * time.Minute)
				all, _, err := r.deployments.List(t.Context(), r.db, a, deployment.Filter{}, firstPage)
				r.must(err)
				for _, d := range all {
					if d.SSHCommand != nil && strings.ContainsAny(*d.SSHCommand, ";=") {
						t.Errorf("sshCommand is %q", *d.SSHCommand)
					}
					if strings.Contains(strings.Join(d.SSHHostKeys, ""), "\n") {
						t.Errorf("sshHostKeys are %q", d.SSHHostKeys)
					}
				}
			})
		})
	}
}
