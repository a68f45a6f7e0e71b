package deployment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Node is one server of a deployment's machine.
type Node struct {
	Index            int      `json:"index" doc:"Index of the server in the deployment, starting at 0."`
	IPAddress        string   `json:"ipAddress" doc:"IP address of its SSH server."`
	PrivateIPAddress *string  `json:"privateIpAddress" doc:"IP address on the network that the nodes share; null if the provider states none."`
	SSHPort          int      `json:"sshPort" doc:"Port of its SSH server."`
	SSHHostKeys      []string `json:"sshHostKeys" doc:"SSH host keys, as known_hosts lines."`
}

// storedNode is a Node as the database keeps it. Keys are without the host part.
type storedNode struct {
	Address string   `json:"address"`
	Private string   `json:"private,omitempty"`
	Port    int      `json:"port"`
	Keys    []string `json:"keys,omitempty"`
}

// viewNodes returns the nodes as the API shows them. A machine of one server has one node.
func (r *row) viewNodes() []Node {
	nodes := r.nodes
	if len(nodes) == 0 {
		nodes = []storedNode{{Address: r.address, Port: r.sshPort, Keys: r.sshHostKeys}}
	}
	out := make([]Node, len(nodes))
	for i, n := range nodes {
		out[i] = Node{Index: i, IPAddress: n.Address, SSHPort: n.Port, SSHHostKeys: []string{}}
		if n.Private != "" {
			out[i].PrivateIPAddress = &n.Private
		}
		for _, k := range n.Keys {
			out[i].SSHHostKeys = append(out[i].SSHHostKeys, knownHost(n.Address, n.Port)+" "+k)
		}
	}
	return out
}

// knownHost returns the host part of a known_hosts line.
func knownHost(address string, port int) string {
	if port == 22 {
		return address
	}
	return "[" + address + "]:" + strconv.Itoa(port)
}

// setMachine takes over what the provider states of the machine. Host keys that were learned stay
// if it states none.
func (r *row) setMachine(m provider.Machine) {
	r.machineID, r.address, r.sshUser, r.sshPort = m.ID, m.Address, m.SSHUser, m.SSHPort
	r.rescue = m.Rescue
	if len(m.SSHHostKeys) > 0 {
		r.sshHostKeys, r.sshHostKeySource = m.SSHHostKeys, HostKeysOfProvider
	}
	var nodes []storedNode
	for i, n := range m.Nodes {
		stored := storedNode{Address: n.Address, Private: n.PrivateAddress, Port: n.SSHPort, Keys: n.SSHHostKeys}
		if len(stored.Keys) == 0 && i < len(r.nodes) {
			stored.Keys = r.nodes[i].Keys
		}
		nodes = append(nodes, stored)
	}
	r.nodes = nodes
	if m.HourlyCost > 0 {
		r.machineCost = m.HourlyCost
	}
}

// stale reports whether the row differs from what the provider states of the machine now.
func (r *row) stale(m provider.Machine) bool {
	fresh := *r
	fresh.setMachine(m)
	return fresh.machineCost != r.machineCost || fresh.rescue != r.rescue || !fresh.sameEndpoints(r)
}

// sameEndpoints reports whether SSH answers at the same addresses with the same host keys.
func (r *row) sameEndpoints(other *row) bool {
	return r.address == other.address && r.sshUser == other.sshUser && r.sshPort == other.sshPort &&
		slices.Equal(r.sshHostKeys, other.sshHostKeys) &&
		slices.EqualFunc(r.nodes, other.nodes, func(a, b storedNode) bool {
			return a.Address == b.Address && a.Private == b.Private && a.Port == b.Port && slices.Equal(a.Keys, b.Keys)
		})
}

// probe connects to every node of the machine, and returns the host keys that they show, in the
// order of the nodes; "" for a node whose keys the provider states.
func (s *Service) probe(ctx context.Context, info provider.Info, m provider.Machine) (keys []string, err error) {
	nodes := m.Nodes
	if len(nodes) == 0 {
		nodes = []provider.Node{{Address: m.Address, SSHPort: m.SSHPort, SSHHostKeys: m.SSHHostKeys}}
	}
	for i, n := range nodes {
		key, err := s.cfg.Probe(ctx, provider.Endpoint{
			Address: net.JoinHostPort(n.Address, strconv.Itoa(n.SSHPort)),
			Private: info.PrivateAddresses, WantKey: len(n.SSHHostKeys) == 0,
		})
		if err != nil {
			return nil, fmt.Errorf("node %d of %d: %w", i, len(nodes), err)
		}
		keys = append(keys, provider.Plain(key, maxHostKey))
	}
	return keys, nil
}

// connectingDetail describes why SSH does not answer yet.
func connectingDetail(err error) string {
	if errors.Is(err, provider.ErrPrivateAddress) {
		return detailNotPublic
	}
	return "waiting for SSH to answer"
}

// SSHEndpoint returns where SSH of a node of the account's running deployment answers. It returns
// NOT_FOUND, INVALID_REQUEST if there is no such node, or CONFLICT if the deployment is not
// running.
func (s *Service) SSHEndpoint(
	ctx context.Context, r db.Reader, account, deployment id.ID, node int,
) (provider.Endpoint, error) {
	d, err := s.Get(ctx, r, account, deployment)
	if err != nil {
		return provider.Endpoint{}, err
	}
	if d.Status != StatusRunning || len(d.Nodes) == 0 {
		return provider.Endpoint{}, apierr.New(apierr.Conflict,
			"The deployment is %s. SSH is available only while it is running.", d.Status)
	}
	if node < 0 || node >= len(d.Nodes) {
		return provider.Endpoint{}, apierr.Invalid([]apierr.FieldError{{
			Field:   "query.node",
			Message: fmt.Sprintf("must be between 0 and %d, the nodes of this deployment.", len(d.Nodes)-1),
		}})
	}
	n := d.Nodes[node]
	p, configured := s.cfg.Providers.Get(d.Provider)
	return provider.Endpoint{
		Address: net.JoinHostPort(n.IPAddress, strconv.Itoa(n.SSHPort)),
		Private: configured && p.Info().PrivateAddresses,
	}, nil
}
