package deployment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

const (
	// issuedGrace is how long SSH may answer with another host key than the one that the machine was
	// given, before the one that it shows is taken.
	issuedGrace = 3 * time.Minute
	// unhealthyGrace is how long after its launch a machine that the provider calls broken is waited
	// for, where it never ran.
	unhealthyGrace = 10 * time.Minute
	// relearnWithin is how long after a reinstallation a new host key is looked for.
	relearnWithin = 2 * time.Hour
	// notPublic is what a tenant reads of an address that is refused.
	notPublic = "the provider states an address that is not on the Internet"
)

// Node is one server of a deployment's machine.
type Node struct {
	Index            int      `json:"index" doc:"Place of the server in the deployment, from 0."`
	IPAddress        string   `json:"ipAddress" doc:"Where its SSH answers."`
	PrivateIPAddress *string  `json:"privateIpAddress" doc:"Its address on the network that the nodes share; null where the provider does not state one."`
	SSHPort          int      `json:"sshPort" doc:"Port of its SSH."`
	SSHHostKeys      []string `json:"sshHostKeys" doc:"Its SSH host keys, as known_hosts lines."`
}

// HostKeySource is how the host keys of a deployment came to be known.
type HostKeySource string

// The sources of host keys.
const (
	// HostKeysOfProvider were stated by the provider.
	HostKeysOfProvider HostKeySource = "provider"
	// HostKeysIssued were made by Billet, given to the machine, and shown by it.
	HostKeysIssued HostKeySource = "issued"
	// HostKeysLearned are what the machine showed when Billet first connected to it.
	HostKeysLearned HostKeySource = "first_connection"
)

// storedNode is a Node as the database keeps it. Keys are without the host part.
type storedNode struct {
	Address string   `json:"address"`
	Private string   `json:"private,omitempty"`
	Port    int      `json:"port"`
	Keys    []string `json:"keys,omitempty"`
}

// showNodes fills in the nodes of the API. A machine of one server has one.
func (r *row) showNodes() {
	nodes := r.nodes
	if len(nodes) == 0 {
		nodes = []storedNode{{Address: r.address, Port: r.sshPort, Keys: r.hostKeys}}
	}
	for i, n := range nodes {
		shown := Node{Index: i, IPAddress: n.Address, SSHPort: n.Port, SSHHostKeys: []string{}}
		if n.Private != "" {
			shown.PrivateIPAddress = &n.Private
		}
		for _, k := range n.Keys {
			shown.SSHHostKeys = append(shown.SSHHostKeys, knownHost(n.Address, n.Port)+" "+k)
		}
		r.Nodes = append(r.Nodes, shown)
	}
}

// knownHost is the host part of a known_hosts line.
func knownHost(address string, port int) string {
	if port == 22 {
		return address
	}
	return "[" + address + "]:" + strconv.Itoa(port)
}

// setMachine takes over what the provider says of the machine. Host keys that were learned stay
// where it states none.
func (r *row) setMachine(m provider.Machine) {
	r.machineID, r.address, r.sshUser, r.sshPort = m.ID, m.Address, m.SSHUser, m.SSHPort
	if len(m.SSHHostKeys) > 0 {
		r.hostKeys, r.hostKeySource = m.SSHHostKeys, HostKeysOfProvider
	}
	r.nodes = r.merged(m.Nodes)
	if m.HourlyCost > 0 {
		r.machineCost = m.HourlyCost
	}
}

// merged are the provider's nodes with the host keys that are known of them.
func (r *row) merged(nodes []provider.Node) []storedNode {
	var out []storedNode
	for i, n := range nodes {
		stored := storedNode{Address: n.Address, Private: n.PrivateAddress, Port: n.SSHPort, Keys: n.SSHHostKeys}
		if len(stored.Keys) == 0 && i < len(r.nodes) {
			stored.Keys = r.nodes[i].Keys
		}
		out = append(out, stored)
	}
	return out
}

// stale reports whether the row says something else of the machine than the provider does now.
func (r *row) stale(m provider.Machine) bool {
	fresh := *r
	fresh.setMachine(m)
	return fresh.address != r.address || fresh.sshUser != r.sshUser || fresh.sshPort != r.sshPort ||
		fresh.machineCost != r.machineCost || fmt.Sprint(fresh.hostKeys, fresh.nodes) != fmt.Sprint(r.hostKeys, r.nodes)
}

// prove connects to every node of the machine, and returns the host keys that they show, in the
// order of the nodes; "" where the provider states one, or none can be agreed on.
func (s *Service) prove(ctx context.Context, p provider.Provider, m provider.Machine) (keys []string, err error) {
	nodes := m.Nodes
	if len(nodes) == 0 {
		nodes = []provider.Node{{Address: m.Address, SSHPort: m.SSHPort, SSHHostKeys: m.SSHHostKeys}}
	}
	for i, n := range nodes {
		key, err := s.c.Probe(ctx, provider.Endpoint{
			Address: net.JoinHostPort(n.Address, strconv.Itoa(n.SSHPort)), Private: p.Info().PrivateAddresses, WantKey: len(n.SSHHostKeys) == 0,
		})
		if err != nil {
			return nil, fmt.Errorf("node %d of %d: %w", i, len(nodes), err)
		}
		keys = append(keys, provider.Plain(key, maxHostKey))
	}
	return keys, nil
}

// awaitsKey reports whether the machine was given a host key, shows another, and may still take it.
func (s *Service) awaitsKey(x row, keys []string) bool {
	if x.hostKeyPublic == "" || x.issued(keys) {
		return false
	}
	for _, st := range x.Steps {
		if st.Name == step.Connecting && st.StartedAt != nil {
			return s.c.Clock.Now().Sub(*st.StartedAt) < issuedGrace
		}
	}
	return true
}

// issued reports whether every node shows the host key that the machine was given.
func (r *row) issued(keys []string) bool {
	for _, k := range keys {
		if k != r.hostKeyPublic {
			return false
		}
	}
	return r.hostKeyPublic != ""
}

// learn keeps the host keys that were shown, where the provider states none.
func (r *row) learn(keys []string) {
	if r.hostKeySource == HostKeysOfProvider || len(keys) == 0 || keys[0] == "" {
		return
	}
	r.hostKeySource, r.hostKeys = HostKeysLearned, keys[:1]
	if r.issued(keys) {
		r.hostKeySource = HostKeysIssued
	}
	for i := range r.nodes {
		if i < len(keys) && keys[i] != "" {
			r.nodes[i].Keys = keys[i : i+1]
		}
	}
}

// renew writes what the provider says of the machine now, tells the tenant where that can be
// reached, and counts what it costs from now on.
func (s *Service) renew(ctx context.Context, x row, m provider.Machine) error {
	before := x
	x.setMachine(m)
	costs := x.machineCost != before.machineCost
	before.machineCost = x.machineCost
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := guarded(setMachine(ctx, tx, x)); err != nil {
			return err
		}
		if err := setMachineFacts(ctx, tx, x); err != nil {
			return err
		}
		if costs {
			if err := s.c.Meter.CostChanges(ctx, tx, x.ID, x.machineCost); err != nil {
				return err
			}
		}
		if !before.stale(m) {
			return nil // nothing that a tenant sees
		}
		x.finish()
		return s.tell(ctx, tx, x, "address_changed", map[string]any{"ipAddress": x.address, "sshPort": x.sshPort})
	})
}

// relearn looks for the host keys of a machine that was reinstalled, once its SSH answers.
func (s *Service) relearn(ctx context.Context, p provider.Provider, x row, m provider.Machine) error {
	keys, err := s.prove(ctx, p, m)
	if err != nil {
		return err
	}
	x.setMachine(m)
	x.learn(keys)
	x.hostKeyBy = nil
	x.finish()
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := guarded(setMachine(ctx, tx, x)); err != nil {
			return err
		}
		if err := setMachineFacts(ctx, tx, x); err != nil {
			return err
		}
		return s.tell(ctx, tx, x, "address_changed", map[string]any{"ipAddress": x.address, "sshPort": x.sshPort})
	})
}

// forgetKeys has the host keys learned again: the machine is being reinstalled.
func (r *row) forgetKeys(now time.Time) {
	if r.hostKeySource == HostKeysOfProvider {
		return
	}
	by := now.Add(relearnWithin)
	r.hostKeys, r.hostKeySource, r.hostKeyBy = []string{}, "", &by
	for i := range r.nodes {
		r.nodes[i].Keys = nil
	}
}

// forgottenKeys writes that the host keys are to be learned again.
func (s *Service) forgottenKeys(ctx context.Context, tx *db.Tx, x row) error {
	if _, err := setMachine(ctx, tx, x); err != nil {
		return err
	}
	return setMachineFacts(ctx, tx, x)
}

func hostKeyPurpose(deployment id.ID) string { return "host-key/" + string(deployment) }

// hostKey returns the host key that the machine is to be launched with, made and written down at the
// first call; none where it cannot reach the machine. A launch that is repeated gives the same.
func (s *Service) hostKey(ctx context.Context, p provider.Provider, x *row) (provider.HostKey, error) {
	taker, can := p.(provider.HostKeyTaker)
	if !can || !taker.TakesHostKey(x.offerKey) || !x.Capabilities.CloudInit || !cloudinit.TakesHostKey(x.cloudInit) {
		return provider.HostKey{}, nil
	}
	if x.hostKeyPublic != "" {
		private, err := s.c.Secrets.Open(hostKeyPurpose(x.ID), x.hostKeySealed)
		return provider.HostKey{Private: string(private), Public: x.hostKeyPublic}, err
	}
	key, err := provider.NewHostKey()
	if err != nil {
		return provider.HostKey{}, err
	}
	x.hostKeyPublic, x.hostKeySealed = key.Public, s.c.Secrets.Seal(hostKeyPurpose(x.ID), []byte(key.Private))
	return key, s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return guarded(setHostKey(ctx, tx, *x)) })
}

// SSHEndpoint returns where SSH of that node of the account's running deployment answers. It
// answers NOT_FOUND, INVALID_REQUEST where there is no such node, or CONFLICT where it does not run.
func (s *Service) SSHEndpoint(ctx context.Context, r db.Reader, account, deployment id.ID, node int) (provider.Endpoint, error) {
	d, err := s.Get(ctx, r, account, deployment)
	if err != nil {
		return provider.Endpoint{}, err
	}
	if d.Status != StatusRunning || len(d.Nodes) == 0 {
		return provider.Endpoint{}, apierr.New(apierr.Conflict, "This deployment is %s; its machine can be reached while it is running.", d.Status)
	}
	if node < 0 || node >= len(d.Nodes) {
		return provider.Endpoint{}, apierr.Invalid([]apierr.FieldError{{
			Field: "query.node", Message: fmt.Sprintf("must be from 0 to %d, the nodes of this deployment.", len(d.Nodes)-1),
		}})
	}
	p, known := s.c.Providers.Get(d.Provider)
	return provider.Endpoint{
		Address: net.JoinHostPort(d.Nodes[node].IPAddress, strconv.Itoa(d.Nodes[node].SSHPort)), Private: known && p.Info().PrivateAddresses,
	}, nil
}

// connecting says what a machine is waited for that does not answer.
func connecting(refused error) string {
	if errors.Is(refused, provider.ErrPrivateAddress) {
		return notPublic
	}
	return "waiting for SSH to answer"
}
