package voltagepark

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
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

// sshPort is the port of machines that state no other.
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

// node is one server of a machine.
type node struct{ public, private string }

// addresses returns the public address of each node.
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

// rental is a bare-metal rental. While it is Pending, most fields are missing.
type rental struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Created string   `json:"creation_timestamp"`
	Status  *string  `json:"status"`
	Power   string   `json:"power_status"`
	User    string   `json:"username"`
	Tags    []string `json:"tags"`
	// Rate is the price of the whole rental.
	Rate  upstream.StatedDollars `json:"rate_hourly"`
	Count int                    `json:"node_count"`
	Nodes []struct {
		Address string `json:"public_ip"`
		Private string `json:"private_ip"`
	} `json:"node_networking"`
}

// complete reports whether every node of the rental has its public address.
func (r rental) complete(nodes []node) bool {
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

// referenceOf reads our mark from the tags, which users rarely edit, else from the name.
func referenceOf(name string, tags []string) id.ID {
	return upstream.ParseMark(id.Deployment, append(slices.Clone(tags), name)...)
}

// address returns the text where it is an IP address, else "".
func address(text string) string {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return ""
	}
	return ip.String()
}

// machine translates the rental. Its state is "" where the status is unknown.
func (r rental) machine() (machine, error) {
	if !uuidForm.MatchString(r.ID) || r.Status == nil {
		return machine{}, upstream.Malformed("a rental's id and status", nil)
	}
	m := machine{
		id: r.ID, reference: referenceOf(r.Name, r.Tags), user: "ubuntu", port: sshPort,
		created: upstream.ParseTime(r.Created), cost: money.Micros(r.Rate),
	}
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
		case r.Power != "Running" && r.Power != "": // unknown
		case !r.complete(m.nodes):
			m.state = provider.MachineProvisioning
		default:
			m.state = provider.MachineReady
		}
	}
	return m, nil
}

func (v instance) machine(user string) (machine, error) {
	if !uuidForm.MatchString(v.ID) || v.Status == nil {
		return machine{}, upstream.Malformed("a VM's id and status", nil)
	}
	m := machine{
		id: v.ID, vm: true, reference: referenceOf(v.Name, v.Tags), user: user, port: sshPort,
		created: upstream.ParseTime(v.Created), cost: money.Micros(v.Pricing.Running),
	}
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
	rentals, err := rows[rental](ctx, a, "rental", rentalsPath)
	if err != nil {
		return nil, err
	}
	vms, err := rows[instance](ctx, a, "VM", vmsPath)
	if err != nil {
		return nil, err
	}
	all := make([]machine, 0, len(rentals)+len(vms))
	for _, r := range rentals {
		m, err := r.machine()
		if err != nil {
			return nil, err
		}
		if all = append(all, m); m.state == "" {
			a.unknownStatus(ctx, "machine", *r.Status+" "+r.Power)
		}
	}
	for _, v := range vms {
		m, err := v.machine(a.vmUser)
		if err != nil {
			return nil, err
		}
		if all = append(all, m); m.state == "" {
			a.unknownStatus(ctx, "machine", *v.Status)
		}
	}
	return a.remember(all), nil
}

// remember gives machines of unknown status their last state, drops those that are gone, and
// forgets what was remembered of machines that no longer exist.
func (a *Adapter) remember(all []machine) []machine {
	now := a.account.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	last := make(map[string]provider.MachineState, len(all))
	all = slices.DeleteFunc(all, func(m machine) bool { return m.state == provider.MachineGone })
	for i := range all {
		m := &all[i]
		if m.state == "" {
			m.state = cmp.Or(a.last[m.id], provider.MachineProvisioning)
			if m.state == provider.MachineReady && len(m.nodes) == 0 {
				m.state = provider.MachineProvisioning
			}
		}
		last[m.id] = m.state
		if c, recent := a.created[m.reference]; recent && c.id == m.id {
			delete(a.created, m.reference)
		}
	}
	a.last = last
	maps.DeleteFunc(a.ending, func(machine string, at time.Time) bool {
		_, exists := last[machine]
		return !exists && now.Sub(at) > believed
	})
	maps.DeleteFunc(a.power, func(_ string, r powerRequest) bool { return now.Sub(r.at) > believed })
	maps.DeleteFunc(a.created, func(_ id.ID, c creation) bool { return now.Sub(c.at) > 2*believed })
	return all
}

// translate returns the machine as a provider.Machine.
func (a *Adapter) translate(m machine) provider.Machine {
	out := provider.Machine{
		ID: m.id, Reference: m.reference, State: m.state, CreatedAt: m.created, HourlyCost: m.cost,
	}
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
				node := provider.Node{Address: n.public, PrivateAddress: n.private, SSHPort: m.port}
				out.Nodes = append(out.Nodes, node)
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

// Machines implements provider.Provider.
func (a *Adapter) Machines(ctx context.Context) ([]provider.Machine, error) {
	all, err := a.machines.Recent(ctx, listAge)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Machine, len(all))
	for i, m := range all {
		out[i] = a.translate(m)
	}
	return out, nil
}

// Machine implements provider.Provider.
func (a *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	m, err := a.find(ctx, reference, listAge)
	if err != nil {
		return provider.Machine{}, err
	}
	return a.translate(m), nil
}

// find returns the machine of a reference from a list that is at most that old, or one that was
// created too recently to be listed.
func (a *Adapter) find(ctx context.Context, reference id.ID, age time.Duration) (machine, error) {
	all, err := a.machines.Recent(ctx, age)
	if err != nil {
		return machine{}, err
	}
	found := having(all, reference)
	switch len(found) {
	case 0:
		return a.justCreated(ctx, reference)
	case 1:
		return found[0], nil
	}
	return machine{}, upstream.Unavailable("%d machines have the reference %s", len(found), reference)
}

func having(all []machine, reference id.ID) (found []machine) {
	for _, m := range all {
		if m.reference == reference {
			found = append(found, m)
		}
	}
	return found
}

// justCreated reads a machine by the id that the cloud gave it a moment ago. For a while, that the
// cloud does not know it means nothing.
func (a *Adapter) justCreated(ctx context.Context, reference id.ID) (machine, error) {
	a.mu.Lock()
	c, recent := a.created[reference]
	a.mu.Unlock()
	if !recent {
		return machine{}, upstream.NotFound("no machine has the reference %s", reference)
	}
	m := c.machine(reference)
	var raw json.RawMessage
	err := a.client.Get(ctx, m.path(), nil, &raw)
	if provider.IsKind(err, provider.KindNotFound) && a.account.Now().Sub(c.at) < settleTime {
		return m, nil
	}
	if err != nil {
		return machine{}, err
	}
	var shown machine
	if c.vm {
		shown, err = decoded(raw, func(v instance) (machine, error) { return v.machine(a.vmUser) })
	} else {
		shown, err = decoded(raw, rental.machine)
	}
	switch {
	case err != nil:
		return machine{}, err
	case shown.id != c.id:
		return machine{}, upstream.Unavailable("the cloud returned machine %s instead of %s", shown.id, c.id)
	case shown.state == provider.MachineGone:
		return machine{}, upstream.NotFound("machine %s has ended", c.id)
	case shown.state != "":
		m = shown
	}
	m.reference = reference
	return m, nil
}

func decoded[T any](raw json.RawMessage, translate func(T) (machine, error)) (machine, error) {
	var row T
	if err := json.Unmarshal(raw, &row); err != nil {
		return machine{}, upstream.Malformed("a machine", err)
	}
	return translate(row)
}
