package deployment_test

import (
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// What a provider says of a machine's address becomes a command that people paste.
func TestInvalidAddressIsNotShown(t *testing.T) {
	for name, change := range map[string]func(m *provider.Machine){
		"a user that is an option":  func(m *provider.Machine) { m.SSHUser = "-oProxyCommand=sh" },
		"a user that is a command":  func(m *provider.Machine) { m.SSHUser = "root;sh;" },
		"an address with a command": func(m *provider.Machine) { m.Address += ";sh" },
		"an address that is an option": func(m *provider.Machine) {
			m.Address = "-oProxyCommand=sh"
		},
		"a port out of range":  func(m *provider.Machine) { m.SSHPort = 70000 },
		"a key with two lines": func(m *provider.Machine) { m.SSHHostKeys = []string{"ssh-ed25519 AAAA\n* ssh-ed25519 BBBB"} },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a := r.account(money.Dollars(1000))
				d := r.running(a)
				before := *d.SSHCommand
				r.park.set(func() {
					r.park.machine = func(m provider.Machine) (provider.Machine, error) {
						if m.State == provider.MachineReady {
							change(&m)
						}
						return m, nil
					}
				})
				r.pass(2 * time.Minute)
				d = r.get(a, d.ID)
				if d.SSHCommand == nil || *d.SSHCommand != before {
					t.Errorf("what ran before can be reached no more, or by %q", *d.SSHCommand)
				}
				r.deploy(a) // and one that meets it from the start
				r.pass(2 * time.Minute)
				all, _, err := r.deployments.List(t.Context(), r.db, a, deployment.Filter{}, everything)
				r.must(err)
				for _, d := range all {
					if d.SSHCommand != nil && strings.ContainsAny(*d.SSHCommand, ";=") {
						t.Errorf("shown: %q", *d.SSHCommand)
					}
					if strings.Contains(strings.Join(d.SSHHostKeys, ""), "\n") {
						t.Errorf("shown: %q", d.SSHHostKeys)
					}
				}
			})
		})
	}
}
