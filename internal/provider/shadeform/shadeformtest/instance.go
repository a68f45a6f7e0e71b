package shadeformtest

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// How long each part of a machine's life takes.
const (
	creating = 5 * time.Second
	waiting  = 15 * time.Second // since creation
	booting  = 40 * time.Second // since creation
	deleting = 15 * time.Second
	// user is the login user.
	user = "shadeform"
)

type instance struct {
	id, name, os, key string
	tags              []string
	kind              kind
	region            string
	public            string // the key's material
	createdAt         time.Time
	deletedAt         time.Time // zero for never
	shownStatus       string    // in place of its own
	ssh               *upstreamtest.SSH
}

func (i *instance) close() {
	if i.ssh != nil {
		i.ssh.Close()
		i.ssh = nil
	}
}

// status returns the machine's own status.
func (i *instance) status(now time.Time) string {
	switch age := now.Sub(i.createdAt); {
	case !i.deletedAt.IsZero() && now.Sub(i.deletedAt) >= deleting:
		return "deleted"
	case !i.deletedAt.IsZero():
		return "deleting"
	case age < creating:
		return "creating"
	case age < waiting:
		return "pending_provider"
	case age < booting:
		return "pending"
	}
	return "active"
}

// tick does what is due: active machines answer SSH, and those that end do not.
func (c *Cloud) tick() {
	for _, i := range c.instances {
		switch i.status(c.Clock.Now()) {
		case "active":
			if i.ssh == nil {
				i.ssh, _ = c.Boot(user, []string{i.public}, "")
			}
		case "deleting", "deleted":
			i.close()
		}
	}
}

func (c *Cloud) create(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Cloud      *string  `json:"cloud"`
		Region     *string  `json:"region"`
		Type       *string  `json:"shade_instance_type"`
		ShadeCloud *bool    `json:"shade_cloud"`
		Name       *string  `json:"name"`
		OS         string   `json:"os"`
		SSHKeyID   string   `json:"ssh_key_id"`
		Volumes    []string `json:"volume_ids"`
		Tags       []string `json:"tags"`
	}
	if !read(w, r, &body) {
		return
	}
	if body.Cloud == nil || body.Region == nil || body.Type == nil || body.ShadeCloud == nil || body.Name == nil ||
		*body.Name == "" {
		refuse(w, "INVALID_REQUEST", "cloud, region, shade_instance_type, shade_cloud and name are required")
		return
	}
	if !*body.ShadeCloud {
		refuse(w, "INVALID_REQUEST", "no cloud account is linked")
		return
	}
	if c.Refused(w) {
		return
	}
	k, is, available := sold(*body.Cloud, *body.Type, *body.Region)
	key := slices.IndexFunc(
		c.keys, func(k sshKey) bool { return (body.SSHKeyID == "" && k.IsDefault) || k.ID == body.SSHKeyID },
	)
	switch {
	case !is:
		refuse(w, "INVALID_REQUEST", "instance type not found")
	case key < 0:
		refuse(w, "INVALID_REQUEST", "ssh key not found")
	case body.OS != "" && !slices.Contains(k.Configuration.Systems, body.OS):
		refuse(w, "INVALID_REQUEST", "os not supported")
	case c.NoQuota:
		refuse(w, "", "You have reached the instance quota of your account")
	case !available || c.NoCapacity:
		refuse(w, "OUT_OF_STOCK", "The requested instance type is out of stock")
	default:
		i := &instance{
			id: c.id(), name: *body.Name, os: body.OS, key: c.keys[key].ID, public: c.keys[key].PublicKey,
			tags: body.Tags,
			kind: k, region: *body.Region, createdAt: c.Clock.Now(),
		}
		c.instances = append(c.instances, i)
		write(w, map[string]string{"id": i.id})
	}
}

// shown returns the machine as the API shows it.
func (c *Cloud) shown(i *instance) map[string]any {
	now := c.Clock.Now()
	status := i.status(now)
	configuration := i.kind.Configuration
	configuration.OS = i.os
	m := map[string]any{
		"id": i.id, "cloud": i.kind.Cloud, "region": i.region, "shade_instance_type": i.kind.Type,
		"cloud_instance_type": i.kind.CloudType, "cloud_assigned_id": "c-" + i.id, "shade_cloud": true,
		"name": i.name, "configuration": configuration, "status": status,
		"ip": "", "ssh_user": user, "ssh_port": 22, "ssh_key_id": i.key, "tags": i.tags,
		"hourly_price": i.kind.HourlyPrice, "created_at": i.createdAt.Format(time.RFC3339Nano),
		// a decimal string of dollars
		"cost_estimate": fmt.Sprintf("%.4f", float64(i.kind.HourlyPrice)/100*now.Sub(i.createdAt).Hours()),
	}
	if now.Sub(i.createdAt) >= booting {
		m["active_at"] = i.createdAt.Add(booting).Format(time.RFC3339Nano)
	}
	if i.ssh != nil {
		m["ip"], m["ssh_port"] = i.ssh.Address, i.ssh.Port
	}
	if i.shownStatus != "" {
		m["status"] = i.shownStatus
	}
	return m
}

func (c *Cloud) list(w http.ResponseWriter, _ *http.Request) {
	all := []map[string]any{}
	for _, i := range c.instances {
		if i.status(c.Clock.Now()) != "deleted" {
			all = append(all, c.shown(i))
		}
	}
	write(w, map[string]any{"instances": all})
}

// one returns the machine that the path names, or answers 404.
func (c *Cloud) one(w http.ResponseWriter, r *http.Request) *instance {
	for _, i := range c.instances {
		if i.id == r.PathValue("id") && i.status(c.Clock.Now()) != "deleted" {
			return i
		}
	}
	http.Error(w, "instance not found", http.StatusNotFound)
	return nil
}

func (c *Cloud) info(w http.ResponseWriter, r *http.Request) {
	if i := c.one(w, r); i != nil {
		write(w, c.shown(i))
	}
}

// restart leaves the status active.
func (c *Cloud) restart(w http.ResponseWriter, r *http.Request) {
	if i := c.one(w, r); i != nil && i.status(c.Clock.Now()) != "active" {
		refuse(w, "", "instance is not active")
	}
}

func (c *Cloud) delete(w http.ResponseWriter, r *http.Request) {
	i := c.one(w, r)
	if i == nil {
		return
	}
	if !i.deletedAt.IsZero() {
		refuse(w, "", "instance is already being deleted")
		return
	}
	i.deletedAt = c.Clock.Now()
	i.close()
}
