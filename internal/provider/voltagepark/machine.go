package voltagepark

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// The paths under which machines are.
const (
	rentalsPath = "/bare-metal/"
	vmsPath     = "/virtual-machines/"
)

// sshPort is where machines answer that name no other.
const sshPort = 22

// machine is a rental or a VM.
type machine struct {
	id        string
	vm        bool
	reference id.ID // "" for one that is not ours
	state     provider.MachineState
	nodes     []node // those that have a public address
	cost      money.Micros
	user      string
	port      int
	created   time.Time
}

// node is one server of a machine, by its addresses.
type node struct{ public, private string }

// addresses are the public ones of each node.
func (m machine) addresses() []string {
	out := make([]string, len(m.nodes))
	for i, n := range m.nodes {
		out[i] = n.public
	}
	return out
}

func (m machine) path() string {
	if m.vm {
		return vmsPath + m.id
	}
	return rentalsPath + m.id
}

// rental is a bare-metal rental. While it is Pending, most of it is missing.
type rental struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Created string   `json:"creation_timestamp"`
	Status  *string  `json:"status"`
	Power   string   `json:"power_status"`
	User    string   `json:"username"`
	Tags    []string `json:"tags"`
	// Rate is of the whole rental.
	Rate  upstream.StatedDollars `json:"rate_hourly"`
	Count int                    `json:"node_count"`
	Nodes []struct {
		Address string `json:"public_ip"`
		Private string `json:"private_ip"`
	} `json:"node_networking"`
}

// whole reports whether every node of the rental has its public address.
func (r rental) whole(nodes []node) bool {
	return len(nodes) == len(r.Nodes) && len(nodes) >= max(1, r.Count)
}

// instance is an instant VM.
type instance struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Created string   `json:"timestamp_creation"`
	Status  *string  `json:"status"`
	Address string   `json:"public_ip"`
	Tags    []string `json:"tags"`
	Pricing struct {
		Running upstream.StatedDollars `json:"total_associated_per_hr"`
	} `json:"pricing"`
	Forwards []struct {
		Internal int `json:"internal_port"`
		External int `json:"external_port"`
	} `json:"port_forwards"`
}

// referenceOf reads our mark: from the tags, which nobody edits by chance, else from the name.
func referenceOf(name string, tags []string) id.ID {
	for _, t := range append(slices.Clone(tags), name) {
		if reference := upstream.Marked(t, id.Deployment); reference != "" {
			return reference
		}
	}
	return ""
}

// address is the text where it is an IP address, else "".
func address(text string) string {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return ""
	}
	return ip.String()
}

// machineOf translates a rental. Its state is "" where the word is not known, and gone where it has ended.
func (r rental) machine() (machine, error) {
	if !uuidForm.MatchString(r.ID) || r.Status == nil {
		return machine{}, unclear("a rental without an id or a status")
	}
	m := machine{id: r.ID, reference: referenceOf(r.Name, r.Tags), user: "ubuntu", port: sshPort, created: instant(r.Created), cost: money.Micros(r.Rate)}
	if userForm.MatchString(r.User) {
		m.user = r.User
	}
	for _, n := range r.Nodes {
		if ip := address(n.Address); ip != "" {
			m.nodes = append(m.nodes, node{ip, address(n.Private)})
		}
	}
	switch *r.Status {
	case "Pending":
		m.state = provider.MachineProvisioning
	case "Failed":
		m.state = provider.MachineFailed
	case "Terminated":
		m.state = provider.MachineGone
	case "Running":
		switch {
		case r.Power == "Stopped":
			m.state = provider.MachineOff
		case r.Power != "Running" && r.Power != "": // a word that is not known
		case !r.whole(m.nodes):
			m.state = provider.MachineProvisioning
		default:
			m.state = provider.MachineReady
		}
	}
	return m, nil
}

func (v instance) machine(user string) (machine, error) {
	if !uuidForm.MatchString(v.ID) || v.Status == nil {
		return machine{}, unclear("a VM without an id or a status")
	}
	m := machine{id: v.ID, vm: true, reference: referenceOf(v.Name, v.Tags), user: user, port: sshPort, created: instant(v.Created), cost: money.Micros(v.Pricing.Running)}
	if ip := address(v.Address); ip != "" {
		m.nodes = []node{{public: ip}}
	}
	for _, f := range v.Forwards {
		if f.Internal == sshPort && f.External >= 1 && f.External <= 65535 {
			m.port = f.External
		}
	}
	switch *v.Status {
	case "Running":
		m.state = provider.MachineReady
		if len(m.nodes) == 0 {
			m.state = provider.MachineProvisioning
		}
	case "Relocating":
		m.state = provider.MachineProvisioning
	case "Stopped", "StoppedDisassociated", "Outbid":
		m.state = provider.MachineOff
	case "Terminated":
		m.state = provider.MachineGone
	}
	return m, nil
}

// fetchMachines returns every rental and VM of the account that has not ended.
func (a *Adapter) fetchMachines(ctx context.Context) ([]machine, error) {
	var all []machine
	unknown := map[string]string{} // words by machine
	rentals, err := rows[rental](ctx, a, "rental", rentalsPath)
	if err != nil {
		return nil, err
	}
	for _, r := range rentals {
		m, err := r.machine()
		if err != nil {
			return nil, err
		}
		if all = append(all, m); m.state == "" {
			unknown[m.id] = *r.Status + " " + r.Power
		}
	}
	vms, err := rows[instance](ctx, a, "VM", vmsPath)
	if err != nil {
		return nil, err
	}
	for _, v := range vms {
		m, err := v.machine(a.vmUser)
		if err != nil {
			return nil, err
		}
		if all = append(all, m); m.state == "" {
			unknown[m.id] = *v.Status
		}
	}
	for _, word := range unknown {
		a.unknown(ctx, "machine", word)
	}
	return a.remember(all), nil
}

// remember gives machines whose status is not known their last state, leaves out those that are gone, and forgets what was
// remembered of machines that are not there any more.
func (a *Adapter) remember(all []machine) []machine {
	now := a.account.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	last := make(map[string]provider.MachineState, len(all))
	all = slices.DeleteFunc(all, func(m machine) bool { return m.state == provider.MachineGone })
	for i := range all {
		m := &all[i]
		if m.state == "" {
			if m.state = a.last[m.id]; m.state == "" {
				m.state = provider.MachineProvisioning
			}
			if m.state == provider.MachineReady && len(m.nodes) == 0 {
				m.state = provider.MachineProvisioning
			}
		}
		last[m.id] = m.state
		if b, young := a.made[m.reference]; young && b.id == m.id {
			delete(a.made, m.reference)
		}
	}
	a.last = last
	for machine, at := range a.ending {
		if _, there := last[machine]; !there && now.Sub(at) > believed {
			delete(a.ending, machine)
		}
	}
	for machine, w := range a.wishes {
		if now.Sub(w.at) > believed {
			delete(a.wishes, machine)
		}
	}
	for reference, b := range a.made {
		if now.Sub(b.at) > 2*believed {
			delete(a.made, reference)
		}
	}
	return all
}

// answer is the machine as the rooms know one.
func (a *Adapter) answer(m machine) provider.Machine {
	out := provider.Machine{ID: m.id, Reference: m.reference, State: m.state, CreatedAt: m.created, HourlyCost: m.cost}
	a.mu.Lock()
	if _, ending := a.ending[m.id]; ending {
		out.State = provider.MachineTerminating
	}
	a.mu.Unlock()
	switch out.State {
	case provider.MachineReady:
		out.Address, out.SSHUser, out.SSHPort = m.nodes[0].public, m.user, m.port
		if len(m.nodes) > 1 {
			for _, n := range m.nodes {
				out.Nodes = append(out.Nodes, provider.Node{Address: n.public, PrivateAddress: n.private, SSHPort: m.port})
			}
		}
	case provider.MachineProvisioning:
		out.Detail = "waiting for the machine to be prepared"
		if m.vm {
			out.Detail = "waiting for the VM's address"
		}
	}
	return out
}

// Machines returns every rental and VM of the account.
func (a *Adapter) Machines(ctx context.Context) ([]provider.Machine, error) {
	all, err := a.machines.Recent(ctx, pollEvery/2)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Machine, len(all))
	for i, m := range all {
		out[i] = a.answer(m)
	}
	return out, nil
}

// Machine returns the machine of a reference.
func (a *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	all, err := a.machines.Recent(ctx, pollEvery/2)
	if err != nil {
		return provider.Machine{}, err
	}
	m, err := a.one(ctx, all, reference)
	if err != nil {
		return provider.Machine{}, err
	}
	return a.answer(m), nil
}

// one finds the machine of a reference on the list, or among those that were made too short a while ago to be on it.
func (a *Adapter) one(ctx context.Context, all []machine, reference id.ID) (machine, error) {
	found := of(all, reference)
	switch len(found) {
	case 0:
		return a.newborn(ctx, reference)
	case 1:
		return found[0], nil
	}
	return machine{}, unclear("%d machines have the reference %s", len(found), reference)
}

func of(all []machine, reference id.ID) (found []machine) {
	for _, m := range all {
		if m.reference == reference {
			found = append(found, m)
		}
	}
	return found
}

// newborn asks for a machine by the id that the cloud gave it a moment ago. That the cloud does not know it yet tells nothing, for a while.
func (a *Adapter) newborn(ctx context.Context, reference id.ID) (machine, error) {
	a.mu.Lock()
	b, young := a.made[reference]
	a.mu.Unlock()
	if !young {
		return machine{}, notFound("no machine has the reference %s", reference)
	}
	m := machine{id: b.id, vm: b.vm, reference: reference, state: provider.MachineProvisioning, created: b.at}
	var raw json.RawMessage
	err := a.client.Get(ctx, m.path(), nil, &raw)
	switch {
	case is(err, provider.KindNotFound) && a.account.Now().Sub(b.at) < settleTime:
		return m, nil
	case err != nil:
		return machine{}, err
	}
	var seen machine
	if b.vm {
		seen, err = decoded(raw, func(v instance) (machine, error) { return v.machine(a.vmUser) })
	} else {
		seen, err = decoded(raw, rental.machine)
	}
	switch {
	case err != nil:
		return machine{}, err
	case seen.id != b.id:
		return machine{}, unclear("asked for machine %s, the answer is of %s", b.id, seen.id)
	case seen.state == provider.MachineGone:
		return machine{}, notFound("machine %s has ended", b.id)
	case seen.state != "":
		m = seen
	}
	m.reference = reference
	return m, nil
}

func decoded[T any](raw json.RawMessage, translate func(T) (machine, error)) (machine, error) {
	var row T
	if err := json.Unmarshal(raw, &row); err != nil {
		return machine{}, unclear("an answer that is no machine: %v", err)
	}
	return translate(row)
}
