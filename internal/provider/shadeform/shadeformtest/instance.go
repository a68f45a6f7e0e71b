package shadeformtest

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// booting is the age at which a machine is active.
const booting = 40 * time.Second

// life is how long each part of a machine's life takes.
var life = upstreamtest.Life{
	Stages: []upstreamtest.Stage{
		{Status: "creating", Until: 5 * time.Second}, {Status: "pending_provider", Until: 15 * time.Second},
		{Status: "pending", Until: booting},
	},
	Active: "active", Ending: "deleting", Ends: 15 * time.Second, Gone: "deleted", User: "shadeform",
}

// machine is what the cloud knows of an instance.
type machine struct {
	os, key string
	tags    []string
	kind    kind
	region  string
}

type instance = upstreamtest.Instance[machine]

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
		i := c.Create(instance{
			ID: c.id(), Name: *body.Name, Keys: []string{c.keys[key].PublicKey},
			Of: machine{os: body.OS, key: c.keys[key].ID, tags: body.Tags, kind: k, region: *body.Region},
		})
		write(w, map[string]string{"id": i.ID})
	}
}

// shown returns the machine as the API shows it.
func (c *Cloud) shown(i *instance) map[string]any {
	now, kind := c.Clock.Now(), i.Of.kind
	configuration := kind.Configuration
	configuration.OS = i.Of.os
	m := map[string]any{
		"id": i.ID, "cloud": kind.Cloud, "region": i.Of.region, "shade_instance_type": kind.Type,
		"cloud_instance_type": kind.CloudType, "cloud_assigned_id": "c-" + i.ID, "shade_cloud": true,
		"name": i.Name, "configuration": configuration, "status": c.Shown(i),
		"ip": "", "ssh_user": life.User, "ssh_port": 22, "ssh_key_id": i.Of.key, "tags": i.Of.tags,
		"hourly_price": kind.HourlyPrice, "created_at": i.CreatedAt.Format(time.RFC3339Nano),
		// a decimal string of dollars
		"cost_estimate": fmt.Sprintf("%.4f", float64(kind.HourlyPrice)/100*now.Sub(i.CreatedAt).Hours()),
	}
	if now.Sub(i.CreatedAt) >= booting {
		m["active_at"] = i.CreatedAt.Add(booting).Format(time.RFC3339Nano)
	}
	if i.SSH != nil {
		m["ip"], m["ssh_port"] = i.SSH.Address, i.SSH.Port
	}
	return m
}

func (c *Cloud) list(w http.ResponseWriter, _ *http.Request) {
	all := []map[string]any{}
	for _, i := range c.Present() {
		all = append(all, c.shown(i))
	}
	write(w, map[string]any{"instances": all})
}

// one returns the machine that the path names, or answers 404.
func (c *Cloud) one(w http.ResponseWriter, r *http.Request) *instance {
	if i := c.Find(r.PathValue("id")); i != nil && c.Status(i) != life.Gone {
		return i
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
	if i := c.one(w, r); i != nil && c.Status(i) != life.Active {
		refuse(w, "", "instance is not active")
	}
}

func (c *Cloud) delete(w http.ResponseWriter, r *http.Request) {
	i := c.one(w, r)
	if i == nil {
		return
	}
	if !i.EndedAt.IsZero() {
		refuse(w, "", "instance is already being deleted")
		return
	}
	c.End(i)
}
