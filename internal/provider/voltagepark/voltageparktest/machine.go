package voltageparktest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// How long things take, in the cloud's time.
const (
	pending    = time.Minute      // until a rental shows its fields
	addressed  = 90 * time.Second // until it has its addresses
	vmAfter    = 20 * time.Second
	powerTakes = 8 * time.Second
	endTakes   = 5 * time.Second
)

// machine is a rental or a VM.
type machine struct {
	id, name, network, rate string
	vm                      bool
	spot                    *spot
	preset                  *preset
	gpus                    int
	tags, keys              []string
	made                    time.Time
	off                     bool // as last requested
	switched                time.Time
	ended                   time.Time // when its end was requested; zero for never
	nodes                   []*upstreamtest.SSH
	init                    *cloudInit
}

func (m *machine) user() string {
	if m.vm {
		return "user"
	}
	return "ubuntu"
}

func (m *machine) close() {
	for _, n := range m.nodes {
		n.Close()
	}
	m.nodes = nil
}

func (m *machine) entry(state provider.MachineState) upstreamtest.Machine {
	return upstreamtest.Machine{ID: m.id, Name: m.name, State: state, Made: m.made}
}

func (m *machine) state(now time.Time) provider.MachineState {
	switch {
	case !m.ended.IsZero():
		return provider.MachineTerminating
	case m.isOff(now):
		return provider.MachineOff
	case m.nodes == nil:
		return provider.MachineProvisioning
	}
	return provider.MachineReady
}

// pass does what is due. The mutex is held.
func (c *Cloud) pass() {
	now := c.Clock.Now()
	c.machines = slices.DeleteFunc(c.machines, func(m *machine) bool {
		if m.ended.IsZero() {
			c.power(m, now)
			return false
		}
		m.close()
		if now.Sub(m.ended) < endTakes {
			return false
		}
		if m.vm {
			m.preset.stock[m.spot.id]++
		} else {
			*m.spot.free(m.network) += m.gpus
		}
		c.gone = append(c.gone, m.entry(provider.MachineGone))
		return true
	})
}

// power starts or stops the machine's SSH servers.
func (c *Cloud) power(m *machine, now time.Time) {
	ready := addressed
	if m.vm {
		ready = vmAfter
	}
	switch {
	case m.isOff(now):
		m.close()
	case m.nodes == nil && now.Sub(m.made) >= ready:
		for range max(1, m.gpus/8) {
			s, err := c.Boot(m.user(), m.keys, m.init.hostKey())
			if err != nil {
				c.t.Errorf("start a machine's SSH: %v", err)
				return
			}
			m.nodes = append(m.nodes, s)
		}
	}
}

func (m *machine) isOff(now time.Time) bool {
	return m.off == (now.Sub(m.switched) >= powerTakes)
}

func (c *Cloud) launch(m *machine) {
	m.id, m.made = newID(), c.Clock.Now()
	c.machines = append(c.machines, m)
}

// cloudInit is the object that the cloud accepts.
type cloudInit struct {
	Packages []string `json:"packages"`
	Files    []struct {
		Path        string `json:"path"`
		Content     string `json:"content"`
		Encoding    string `json:"encoding"`
		Owner       string `json:"owner"`
		Permissions string `json:"permissions"`
	} `json:"write_files"`
	Commands []string `json:"runcmd"`
}

// hostKey returns the private host key that sshd is configured with, or "".
func (i *cloudInit) hostKey() string {
	if i == nil {
		return ""
	}
	content := map[string]string{}
	for _, f := range i.Files {
		content[f.Path] = f.Content
	}
	return upstreamtest.HostKeyFile(content)
}

// common are the fields of both kinds of requests for machines.
type common struct {
	Name string   `json:"name"`
	Keys []string `json:"ssh_keys"`
	Tags []string `json:"tags"`
	Org  struct {
		Mode string   `json:"mode"`
		Keys []string `json:"ssh_key_ids"`
	} `json:"organization_ssh_keys"`
}

func (b common) wrong(w http.ResponseWriter) bool {
	switch {
	case b.Name == "":
		invalid(w, "name", "String should have at least 1 character")
	case b.Org.Mode != "none" && b.Org.Mode != "all" && b.Org.Mode != "selective":
		invalid(w, "organization_ssh_keys", "Input should be 'none', 'all' or 'selective'")
	case slices.ContainsFunc(b.Keys, func(k string) bool { return len(strings.Fields(k)) < 2 }):
		invalid(w, "ssh_keys", "not an OpenSSH public key")
	default:
		return false
	}
	return true
}

func (c *Cloud) postRental(w http.ResponseWriter, r *http.Request) {
	var b struct {
		common
		Location string     `json:"location_id"`
		GPUs     int        `json:"gpu_count"`
		Network  string     `json:"network_type"`
		Storage  *string    `json:"storage_id"`
		Init     *cloudInit `json:"cloudinit_script"`
	}
	if !read(w, r, &b, "location_id", "gpu_count", "name", "network_type") || b.wrong(w) {
		return
	}
	s, there := find(c.spots, func(s *spot) bool { return s.id == b.Location })
	switch {
	case !there:
		refuse(w, http.StatusNotFound, "Location not found")
	case b.GPUs < 8 || b.GPUs%8 != 0:
		invalid(w, "gpu_count", "must be a multiple of 8")
	case b.Network != "ethernet" && b.Network != "infiniband":
		invalid(w, "network_type", "Input should be 'ethernet' or 'infiniband'")
	case c.NoQuota:
		refuse(w, http.StatusBadRequest, "Your balance is too low to deploy this rental")
	case c.NoCapacity || *s.free(b.Network) < b.GPUs:
		refuse(w, http.StatusBadRequest, "Not enough GPUs available at this location")
	default:
		*s.free(b.Network) -= b.GPUs
		m := &machine{
			name: b.Name, network: b.Network, rate: s.rate(b.Network, b.GPUs), spot: s, gpus: b.GPUs,
			tags: b.Tags, keys: b.Keys, init: b.Init,
		}
		c.launch(m)
		reply(w, http.StatusAccepted, map[string]any{"rental_id": m.id, "warning": nil})
	}
}

func (c *Cloud) postVM(w http.ResponseWriter, r *http.Request) {
	var b struct {
		common
		Preset   string     `json:"config_id"`
		Location string     `json:"location_id"`
		Password *string    `json:"password"`
		Init     *cloudInit `json:"cloud_init"`
	}
	if !read(w, r, &b, "config_id", "name") || b.wrong(w) {
		return
	}
	i := slices.IndexFunc(c.presets, func(p preset) bool { return p.id == b.Preset })
	s, there := find(c.spots, func(s *spot) bool { return s.id == b.Location })
	switch {
	case i < 0 || !there:
		refuse(w, http.StatusNotFound, "Preset not found")
	case c.NoQuota:
		refuse(w, http.StatusPaymentRequired, "Payment required")
	case c.NoCapacity || c.presets[i].stock[s.id] < 1:
		refuse(w, http.StatusConflict, "This configuration is sold out")
	default:
		p := &c.presets[i]
		p.stock[s.id]--
		m := &machine{vm: true, name: b.Name, spot: s, preset: p, tags: b.Tags, keys: b.Keys, init: b.Init}
		c.launch(m)
		reply(w, http.StatusOK, map[string]any{"vm_id": m.id})
	}
}

// body is the machine as the cloud shows it. Its end does not change that.
func (m *machine) body(now time.Time) map[string]any {
	if m.vm {
		return m.vmBody(now)
	}
	out := map[string]any{
		"id": m.id, "name": m.name, "creation_timestamp": m.made.UTC().Format(time.RFC3339),
		"rate_hourly": m.rate, "status": "Pending",
	}
	if now.Sub(m.made) < pending {
		return out
	}
	var nodes []any
	for _, n := range m.nodes {
		private := fmt.Sprintf("10.0.0.%d", 10+len(nodes))
		nodes = append(nodes, map[string]any{"public_ip": n.Address, "private_ip": private})
	}
	power := "Running"
	if m.isOff(now) {
		power = "Stopped"
	}
	maps.Copy(out, map[string]any{
		"status": "Running", "power_status": power, "node_count": m.gpus / 8, "network_type": m.network,
		"username": m.user(), "specs_per_node": specs(m.spot.model), "node_networking": nodes, "tags": m.tags,
		"storage_id": nil, "storage_pv": nil, "storage_pvc": nil, "k8s_cluster_id": nil, "kubeconfig": nil,
		"sub_order": nil,
	})
	return out
}

func (m *machine) vmBody(now time.Time) map[string]any {
	out := map[string]any{
		"id": m.id, "hostnode_id": m.spot.id, "type": "ondem", "status": "Running", "name": m.name,
		"resources": m.preset.resources(), "operating_system": m.preset.system, "tags": m.tags,
		"public_ip": nil, "internal_ip": "10.0.0.11", "port_forwards": []any{},
		"timestamp_creation": m.made.UTC().Format("2006-01-02T15:04:05.999999"),
		"pricing": map[string]string{
			"total_associated_per_hr": m.preset.total(), "total_disassociated_per_hr": m.preset.storage,
		},
	}
	if m.isOff(now) {
		out["status"] = "Stopped"
	}
	if len(m.nodes) > 0 {
		out["public_ip"] = m.nodes[0].Address
		out["port_forwards"] = []any{
			map[string]int{"internal_port": 80, "external_port": 8080},
			map[string]int{"internal_port": 22, "external_port": m.nodes[0].Port},
		}
	}
	return out
}

func (c *Cloud) getMachines(vm bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c.churn != nil {
			c.churn()
		}
		now := c.Clock.Now()
		var all []*machine
		for _, m := range c.machines {
			if m.vm == vm && !c.Hidden(m.made) {
				all = append(all, m)
			}
		}
		pageOf(w, r, len(all), func(i int) any {
			body := all[i].body(now)
			if c.novelty != "" {
				body[c.novelty] = "new"
			}
			return body
		})
	}
}

// of returns the machine that the path names, or answers 404.
func (c *Cloud) of(w http.ResponseWriter, r *http.Request, vm bool) *machine {
	m, there := find(c.machines, func(m *machine) bool {
		return m.vm == vm && m.id == r.PathValue("id") && !c.Hidden(m.made)
	})
	if !there {
		refuse(w, http.StatusNotFound, "Not found")
	}
	return m
}

func (c *Cloud) getMachine(vm bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if m := c.of(w, r, vm); m != nil {
			reply(w, http.StatusOK, m.body(c.Clock.Now()))
		}
	}
}

func (c *Cloud) deleteMachine(vm bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch m := c.of(w, r, vm); {
		case m == nil:
		case !m.ended.IsZero():
			refuse(w, http.StatusBadRequest, "The rental is being terminated already")
		default:
			m.ended = c.Clock.Now()
			m.close()
			if vm {
				w.WriteHeader(http.StatusNoContent)
			} else {
				reply(w, http.StatusOK, nil)
			}
		}
	}
}

func (c *Cloud) putPower(vm bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m := c.of(w, r, vm)
		if m == nil {
			return
		}
		var b struct {
			Status string `json:"status"`
		}
		if !read(w, r, &b, "status") {
			return
		}
		now := c.Clock.Now()
		switch off := b.Status == "stopped"; {
		case !off && b.Status != "started":
			invalid(w, "status", "Input should be 'started' or 'stopped'")
		case m.off == off:
			refuse(w, http.StatusBadRequest, "The machine is already "+b.Status)
		case !vm && now.Sub(m.made) < pending:
			refuse(w, http.StatusBadRequest, "The rental is still pending")
		default:
			m.off, m.switched = off, now
			if vm {
				reply(w, http.StatusOK, b)
			}
		}
	}
}

func (c *Cloud) postReboot(w http.ResponseWriter, r *http.Request) {
	m := c.of(w, r, false)
	if m == nil {
		return
	}
	var b struct {
		IPs []string `json:"public_ips"`
	}
	if !read(w, r, &b, "public_ips") {
		return
	}
	for _, ip := range b.IPs {
		if !slices.ContainsFunc(m.nodes, func(n *upstreamtest.SSH) bool { return n.Address == ip }) {
			refuse(w, http.StatusBadRequest, "No node of this rental has the address "+ip)
			return
		}
	}
	if len(b.IPs) != len(m.nodes) {
		refuse(w, http.StatusBadRequest, "The test requires that every node is rebooted")
		return
	}
	reply(w, http.StatusOK, nil)
}
