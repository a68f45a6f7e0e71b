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
	// askLimit is how long a provider may take for one answer, in real time. A provider that never
	// answers must not block a worker: the same workers charge hours and auto-terminate.
	askLimit = time.Minute
	// maxDetail is how much of a provider's text is kept, in characters.
	maxDetail = 500
	// maxHostKey is the same for an SSH host key.
	maxHostKey = 4000
	// detailNotPublic is what a tenant reads of an address that is refused.
	detailNotPublic = "the provider states an address that is not on the Internet"
)

// askMachine asks the provider for the machine.
func askMachine(ctx context.Context, p provider.Provider, reference id.ID) (provider.Machine, error) {
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	ask, done := provider.Begin(ask, p, provider.CallMachine)
	m, err := p.Machine(ask, reference)
	done(err)
	return sanitized(p, m), err
}

// sanitized returns the machine with texts that the database takes and a terminal can show,
// whatever the provider sent. Otherwise the change that they belong to, and its money, could not be
// written.
func sanitized(p provider.Provider, m provider.Machine) provider.Machine {
	if m.State == provider.MachineReady && m.Address != "" {
		switch {
		case !m.Reachable(): // it becomes a command that users paste
			m.State, m.Detail = provider.MachineProvisioning, "waiting for an address"
		case !p.Info().PrivateAddresses && !m.Public():
			m.State, m.Detail, m.Address, m.Nodes = provider.MachineProvisioning, detailNotPublic, "", nil
		}
	}
	m.HourlyCost = max(0, min(m.HourlyCost, wallet.MaxAmount))
	m.Nodes = slices.Clone(m.Nodes)
	for i := range m.Nodes {
		n := &m.Nodes[i]
		n.Address = provider.Plain(n.Address, maxDetail)
		n.PrivateAddress = provider.Plain(n.PrivateAddress, maxDetail)
		n.SSHHostKeys = plainKeys(n.SSHHostKeys)
	}
	m.SSHHostKeys = plainKeys(m.SSHHostKeys)
	for _, text := range []*string{&m.ID, &m.Detail, &m.Address, &m.SSHUser} {
		*text = provider.Plain(*text, maxDetail)
	}
	return m
}

func plainKeys(keys []string) []string {
	keys = slices.Clone(keys)
	for i, k := range keys {
		keys[i] = provider.Plain(k, maxHostKey)
	}
	return keys
}

// reasonOf returns what the tenant may read of a provider's error.
func reasonOf(err error, otherwise string) string {
	if e, is := errors.AsType[*provider.Error](err); is && e.Message != "" {
		return provider.Plain(e.Message, maxDetail)
	}
	return otherwise
}
