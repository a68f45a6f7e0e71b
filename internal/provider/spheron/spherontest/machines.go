package spherontest

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
	"golang.org/x/crypto/ssh"
)

type machine struct {
	id, name, status, user, key string
	offer                       Offer
	region                      string
	created                     time.Time
	ends                        time.Time // when it ends, where its end was accepted and takes a while
	ssh                         *upstreamtest.SSH
	init                        *cloudInit
}

func (m *machine) close() {
	if m.ssh != nil {
		m.ssh.Close()
	}
}

func (m *machine) active() bool {
	return m.status == "deploying" || m.status == "running" || m.status == "stopped"
}

func (m *machine) ended() bool {
	return m.status == "terminated" || m.status == "failed" || m.status == "terminated-provider"
}

// tick does what is due.
func (c *Cloud) tick() {
	for _, m := range c.machines {
		if !m.ends.IsZero() && !m.ended() && !c.Clock.Now().Before(m.ends) {
			c.end(m, "terminated")
		}
		if m.status != "deploying" || c.Clock.Now().Sub(m.created) < boot {
			continue
		}
		var err error
		if m.ssh, err = c.Boot(cmp.Or(m.user, "ubuntu"), []string{m.key}, m.init.hostKey()); err != nil {
			m.status = "failed"
			continue
		}
		m.status = "running"
	}
}

// show returns the machine as the API shows it. There is no sshCommand.
func (c *Cloud) show(m *machine) map[string]any {
	out := map[string]any{
		"id": m.id, "name": m.name, "providerId": m.offer.Provider + "-x", "offerId": m.offer.OfferID,
		"gpuCount": m.offer.GPUCount, "region": m.region, "instanceType": m.offer.InstanceType, "status": m.status,
		"totalCost": 0.01, "hourlyRate": m.offer.Price, "sshKeyId": nil,
		"createdAt": m.created.UTC().Format(time.RFC3339Nano),
	}
	if m.user != "" {
		out["user"] = m.user
	}
	switch {
	case m.ssh != nil:
		out["ipAddress"] = m.ssh.Address
		if m.ssh.Port != 22 {
			out["sshPort"] = m.ssh.Port
		}
	case c.Clock.Now().Sub(m.created) >= time.Second:
		out["ipAddress"] = "127.88.0.0" // which does not answer yet
	default:
		out["ipAddress"] = nil
	}
	return out
}

func (c *Cloud) listMachines(r *http.Request) (int, any) {
	want, out := r.URL.Query().Get("status"), []any{}
	for _, id := range c.ids() {
		m := c.machines[id]
		if c.Hidden(m.created) {
			continue
		}
		if want == "" || want == m.status || want == "active" && m.active() || want == "inactive" && m.ended() {
			out = append(out, c.show(m))
		}
	}
	if c.envelope != "" {
		return http.StatusOK, map[string]any{c.envelope: out}
	}
	return http.StatusOK, out
}

func (c *Cloud) ids() (out []string) {
	for id := range c.machines {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (c *Cloud) oneMachine(r *http.Request) (int, any) {
	m, found := c.machines[r.PathValue("id")]
	if !found || c.Hidden(m.created) {
		return refuse(http.StatusNotFound, "Deployment not found")
	}
	return http.StatusOK, c.show(m)
}

func (c *Cloud) rename(r *http.Request) (int, any) {
	var body struct{ Name string }
	m, found := c.machines[r.PathValue("id")]
	if err := upstreamtest.ReadJSON(r, &body); err != nil || !found {
		return refuse(http.StatusBadRequest, "no such deployment, or more than a name: %v", err)
	}
	m.name = body.Name
	return http.StatusOK, c.show(m)
}

type deployment struct {
	Provider        string         `json:"provider"`
	OfferID         string         `json:"offerId"`
	GPUType         string         `json:"gpuType"`
	GPUCount        int            `json:"gpuCount"`
	Region          string         `json:"region"`
	OperatingSystem string         `json:"operatingSystem"`
	InstanceType    string         `json:"instanceType"`
	SSHKeyID        string         `json:"sshKeyId"`
	PublicKey       string         `json:"ssh_public_key"`
	TeamID          string         `json:"teamId"`
	Name            string         `json:"name"`
	CloudInit       *cloudInit     `json:"cloudInit"`
	VolumeIDs       []string       `json:"volumeIds"`
	Addon           map[string]any `json:"kubernetesAddon"`
}

type cloudInit struct {
	Packages   []string `json:"packages"`
	RunCmd     []string `json:"runcmd"`
	WriteFiles []struct {
		Path        string `json:"path"`
		Content     string `json:"content"`
		Owner       string `json:"owner"`
		Permissions string `json:"permissions"`
		Encoding    string `json:"encoding"`
	} `json:"writeFiles"`
}

// hostKey returns the private host key that sshd is configured with, or "".
func (i *cloudInit) hostKey() string {
	if i == nil {
		return ""
	}
	content := map[string]string{}
	for _, f := range i.WriteFiles {
		content[f.Path] = f.Content
	}
	return upstreamtest.HostKeyFile(content)
}

func (c *Cloud) deploy(r *http.Request) (int, any) {
	if wait := c.limit(&c.creates, c.most.creates); wait > 0 {
		return tooMany(wait)
	}
	var d deployment
	if err := upstreamtest.ReadJSON(r, &d); err != nil {
		return refuse(http.StatusBadRequest, "Invalid request body: %v", err)
	}
	if status, body := c.validate(d); status != 0 {
		return status, body
	}
	offer, why := c.chosen(d)
	if why != "" {
		return refuse(http.StatusBadRequest, "%s", why)
	}
	if d.CloudInit != nil && !offer.CloudInit {
		return refuse(http.StatusBadRequest, "This offer does not support cloud-init")
	}
	if c.NoQuota {
		return http.StatusBadRequest, map[string]any{
			"message": "Insufficient balance. A minimum of $3 is needed to deploy.",
		}
	}
	if c.NoCapacity || !offer.Available {
		return http.StatusBadRequest, map[string]any{"error_message": "The selected offer is no longer available"}
	}
	c.created++
	m := &machine{
		id: fmt.Sprintf("6711f0%06d", c.created), name: d.Name, status: "deploying", key: d.PublicKey,
		init: d.CloudInit, offer: offer, region: d.Region, created: c.Clock.Now(),
	}
	if c.created%2 == 0 {
		m.user = "spheron" // the user of others is ubuntu, which is not stated
	}
	c.machines[m.id] = m
	c.bodies = append(c.bodies, map[string]any{
		"teamId": d.TeamID, "name": d.Name, "gpuType": d.GPUType, "instanceType": d.InstanceType,
		"cloudInit": d.CloudInit, "region": d.Region, "ssh_public_key": d.PublicKey,
	})
	return http.StatusCreated, c.show(m)
}

// validate checks the fields of a deploy that do not depend on offers.
func (c *Cloud) validate(d deployment) (int, any) {
	for name, value := range map[string]string{
		"provider": d.Provider, "offerId": d.OfferID, "gpuType": d.GPUType, "region": d.Region,
		"operatingSystem": d.OperatingSystem, "instanceType": d.InstanceType,
	} {
		if value == "" {
			details := map[string]any{name: "is required"}
			return http.StatusBadRequest, map[string]any{"error": "Validation failed", "details": details}
		}
	}
	_, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(d.PublicKey))
	switch {
	case (d.SSHKeyID == "") == (d.PublicKey == ""):
		return refuse(http.StatusBadRequest, "Provide exactly one of sshKeyId and ssh_public_key")
	case err != nil || len(rest) > 0:
		return refuse(http.StatusBadRequest, "Invalid SSH public key")
	case d.TeamID == "":
		return refuse(http.StatusBadRequest, "Team ID is required for authenticated deployments")
	case d.TeamID != c.team:
		return refuse(http.StatusBadRequest, "Team not found or access denied")
	}
	return 0, nil
}

// chosen returns the one row that has all of the coupled fields.
func (c *Cloud) chosen(d deployment) (Offer, string) {
	for _, g := range c.offers {
		for _, o := range g.Offers {
			if o.Provider != d.Provider || o.OfferID != d.OfferID || g.GPUType != d.GPUType ||
				o.GPUCount != d.GPUCount || o.InstanceType != d.InstanceType {
				continue
			}
			if !slices.Contains(o.Clusters, d.Region) {
				return Offer{}, "Invalid region for this offer"
			}
			if !slices.Contains(o.Systems, d.OperatingSystem) {
				return Offer{}, "Invalid operating system for this offer"
			}
			return o, ""
		}
	}
	return Offer{}, "Offer not found: its fields must come from one entry"
}

func (c *Cloud) terminate(r *http.Request) (int, any) {
	m, found := c.machines[r.PathValue("id")]
	if !found {
		return refuse(http.StatusNotFound, "Deployment not found")
	}
	if m.ended() {
		return http.StatusBadRequest, map[string]any{
			"error": "Cannot terminate instance", "message": "Instance is already " + m.status,
			"currentStatus": m.status, "canTerminate": false,
		}
	}
	least := max(minimum, time.Duration(m.offer.MinMinutes)*time.Minute)
	if ran := c.Clock.Now().Sub(m.created); ran < least {
		left := math.Ceil((least - ran).Minutes())
		return http.StatusBadRequest, map[string]any{
			"error": "Minimum runtime not met",
			"message": fmt.Sprintf(
				"Instance must run for at least %v minutes. Time remaining: %v minutes.", least.Minutes(), left,
			),
			"canTerminate": false, "timeRemaining": left, "minimumRuntime": least.Minutes(),
		}
	}
	if m.ends = c.Clock.Now().Add(c.endTakes); c.endTakes == 0 {
		c.end(m, "terminated")
	}
	return http.StatusOK, map[string]any{
		"message": "Instance destruction initiated",
		"deployment": map[string]any{
			"id": m.id, "status": "terminated", "stoppedAt": c.Clock.Now().UTC().Format(time.RFC3339),
		},
	}
}

// end ends the machine with that word, and takes its volumes from it.
func (c *Cloud) end(m *machine, word string) {
	m.status = word
	m.close()
	for _, v := range c.volumes {
		v.attached = slices.DeleteFunc(v.attached, func(id string) bool { return id == m.id })
	}
}

// SetStatus sets a machine's status, as when the provider reclaims it or a user stops it in the
// dashboard.
func (c *Cloud) SetStatus(id, word string) {
	c.Do(func() {
		if m := c.machines[id]; word == "running" || word == "deploying" || !strings.HasPrefix(word, "terminated") &&
			word != "failed" {
			m.status = word
		} else {
			c.end(m, word)
		}
	})
}

// Rename renames a machine, as users can in the dashboard.
func (c *Cloud) Rename(id, name string) { c.Do(func() { c.machines[id].name = name }) }

// Forget removes a machine from all lists, and by its id.
func (c *Cloud) Forget(id string) {
	c.Do(func() { c.machines[id].close(); delete(c.machines, id) })
}

// machineIDs returns the ids of the machines that have not ended.
func (c *Cloud) machineIDs() (out []string) {
	for _, id := range c.ids() {
		if !c.machines[id].ended() {
			out = append(out, id)
		}
	}
	return out
}

// Inventory returns what exists, and every machine that existed.
func (c *Cloud) Inventory() (h upstreamtest.Inventory) {
	c.Do(func() {
		c.tick()
		for _, id := range c.ids() {
			m := c.machines[id]
			state := map[string]provider.MachineState{
				"deploying": provider.MachineProvisioning, "running": provider.MachineReady,
				"stopped": provider.MachineOff,
			}[m.status]
			if m.ended() {
				state = provider.MachineGone
			}
			h.Machines = append(h.Machines, upstreamtest.Machine{ID: m.id, Name: m.name, State: state, Made: m.created})
		}
		for i := range len(c.volumes) {
			if v := c.volumes[volumeID(i)]; !v.deleted {
				entry := upstreamtest.Volume{ID: v.id, Name: v.name, SizeGB: v.size, Machines: slices.Clone(v.attached)}
				h.Volumes = append(h.Volumes, entry)
			}
		}
	})
	return h
}
