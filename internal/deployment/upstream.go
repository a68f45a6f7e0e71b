package deployment

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/wallet"
)

const (
	// askLimit is how long a provider may take for one answer, in real time. One that never answers must not keep a
	// worker for ever: the same workers charge the hours and carry out the planned ends.
	askLimit = time.Minute
	// maxDetail is how much of a provider's text is kept, in characters.
	maxDetail = 500
	// maxHostKey is the same for one of its SSH keys.
	maxHostKey = 4000
)

// look asks for the machine.
func look(ctx context.Context, p provider.Provider, reference id.ID) (provider.Machine, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	m, err := p.Machine(ask, reference)
	return cleaned(p, m), err
}

// cleaned is the machine with texts that the database takes and a terminal can show, whatever the upstream has sent: else
// the change that they belong to could never be written, and neither would the money that goes with it.
func cleaned(p provider.Provider, m provider.Machine) provider.Machine {
	if m.State == provider.MachineReady && m.Address != "" && !m.Reachable() { // it would become a command that people paste
		m.State, m.Detail = provider.MachineProvisioning, "waiting for an address"
	}
	if m.State == provider.MachineReady && m.Address != "" && !p.Info().PrivateAddresses && !m.Public() {
		m.State, m.Detail, m.Address, m.Nodes = provider.MachineProvisioning, notPublic, "", nil
	}
	m.HourlyCost = max(0, min(m.HourlyCost, wallet.MaxAmount))
	m.Nodes = slices.Clone(m.Nodes)
	for i := range m.Nodes {
		n := &m.Nodes[i]
		n.Address, n.PrivateAddress = provider.Plain(n.Address, maxDetail), provider.Plain(n.PrivateAddress, maxDetail)
		n.SSHHostKeys = slices.Clone(n.SSHHostKeys)
		for j, k := range n.SSHHostKeys {
			n.SSHHostKeys[j] = provider.Plain(k, maxHostKey)
		}
	}
	m.SSHHostKeys = slices.Clone(m.SSHHostKeys)
	for i, k := range m.SSHHostKeys {
		m.SSHHostKeys[i] = provider.Plain(k, maxHostKey)
	}
	m.ID, m.Detail, m.Address, m.SSHUser = provider.Plain(m.ID, maxDetail), provider.Plain(m.Detail, maxDetail), provider.Plain(m.Address, maxDetail), provider.Plain(m.SSHUser, maxDetail)
	return m
}

// reasonOf is what the tenant may read of a provider's error.
func reasonOf(err error, otherwise string) string {
	var e *provider.Error
	if errors.As(err, &e) && e.Message != "" {
		return provider.Plain(e.Message, maxDetail)
	}
	return otherwise
}
