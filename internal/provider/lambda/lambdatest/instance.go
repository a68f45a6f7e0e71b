package lambdatest

import (
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// life is how long the parts of a machine's life take.
var life = upstreamtest.Life{
	Stages: []upstreamtest.Stage{{Status: "booting", Until: 90 * time.Second}},
	Active: "active", Ending: "terminating", Ends: 20 * time.Second, Gone: "terminated", User: "ubuntu",
}

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// machine is what the cloud knows of an instance.
type machine struct {
	family, userData string
	key              sshKey
	tags             []tag
	kind             kind
	region           string
}

type instance = upstreamtest.Instance[machine]

func (c *Cloud) launch(w http.ResponseWriter, r *http.Request) {
	now := c.Clock.Now()
	early := now.Sub(c.lastLaunch) < launchEvery
	if c.lastLaunch = now; early {
		w.Header().Set("Content-Type", "text/html") // it comes from a proxy in front of the API
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "<html><head><title>Rate limited</title></head><body>Error 1015</body></html>")
		return
	}
	var body struct {
		Region   string   `json:"region_name"`
		Type     string   `json:"instance_type_name"`
		Keys     []string `json:"ssh_key_names"`
		Name     string   `json:"name"`
		UserData string   `json:"user_data"`
		Tags     []tag    `json:"tags"`
		Image    *struct {
			ID     string `json:"id"`
			Family string `json:"family"`
		} `json:"image"`
	}
	if !read(w, r, &body) {
		return
	}
	if c.Refused(w) {
		return
	}
	k, is, available := sold(body.Type, body.Region)
	key := -1
	if len(body.Keys) == 1 {
		key = slices.IndexFunc(c.keys, func(k sshKey) bool { return k.Name == body.Keys[0] })
	}
	family := ""
	if body.Image != nil {
		family = body.Image.Family
	}
	switch {
	case len(body.Keys) != 1, len(body.Name) > 64, len(body.UserData) > 1<<20:
		refuse(w, http.StatusBadRequest, "global/invalid-parameters")
	case !is, key < 0:
		refuse(w, http.StatusNotFound, "global/object-does-not-exist")
	case body.Image != nil && (body.Image.ID != "" || !runs(family, body.Region, body.Type)):
		refuse(w, http.StatusBadRequest, "global/invalid-parameters")
	case c.NoQuota:
		refuse(w, http.StatusBadRequest, "global/quota-exceeded")
	case !available || c.NoCapacity:
		refuse(w, http.StatusBadRequest, "instance-operations/launch/insufficient-capacity")
	default:
		i := c.Create(instance{
			ID: c.id(), Name: body.Name, Keys: []string{c.keys[key].PublicKey},
			HostKey: upstreamtest.HostKeyOf(body.UserData), Of: machine{
				family: family, userData: body.UserData, key: c.keys[key], tags: body.Tags, kind: k,
				region: body.Region,
			},
		})
		write(w, map[string]any{"instance_ids": []string{i.ID}})
	}
}

// shown returns the machine as the API shows it: what it does not have yet is left out.
func (c *Cloud) shown(i *instance) map[string]any {
	status := c.Status(i)
	action := map[string]any{"available": true}
	switch {
	case c.acting:
		action = map[string]any{
			"available": false, "reason_code": "vm-action-in-progress", "reason_description": "Wait.",
		}
	case status == "booting":
		action = map[string]any{"available": false, "reason_code": "vm-has-not-launched", "reason_description": "Wait."}
	case status == "terminating":
		action = map[string]any{
			"available": false, "reason_code": "vm-is-terminating", "reason_description": "Too late.",
		}
	}
	m := map[string]any{
		"id": i.ID, "name": i.Name, "status": c.Shown(i), "ssh_key_names": []string{i.Of.key.Name},
		"file_system_names": []string{}, "region": regions[i.Of.region], "instance_type": i.Of.kind, "tags": i.Of.tags,
		"jupyter_token": Token, "jupyter_url": "https://jupyter.example.com/?token=" + Token,
		"actions": map[string]any{
			"migrate": action, "rebuild": action, "restart": action, "cold_reboot": action,
			"terminate": map[string]any{"available": status != "terminating"},
		},
	}
	if i.SSH != nil {
		m["ip"], m["private_ip"], m["hostname"] = i.SSH.Address, "10.19.0.5", "10-19-0-5"
	}
	return m
}

// list returns the machines that are not gone.
func (c *Cloud) list(w http.ResponseWriter, _ *http.Request) {
	all := []map[string]any{}
	for _, i := range c.Present() {
		all = append(all, c.shown(i))
	}
	write(w, all)
}

// get also returns a machine that is gone.
func (c *Cloud) get(w http.ResponseWriter, r *http.Request) {
	if i := c.Find(r.PathValue("id")); i != nil {
		write(w, c.shown(i))
		return
	}
	refuse(w, http.StatusNotFound, "global/object-does-not-exist")
}

// named returns the one machine that an operation names, or answers why there is none.
func (c *Cloud) named(w http.ResponseWriter, r *http.Request) *instance {
	var body struct {
		IDs []string `json:"instance_ids"`
	}
	if !read(w, r, &body) {
		return nil
	}
	if len(body.IDs) != 1 {
		refuse(w, http.StatusBadRequest, "global/invalid-parameters")
		return nil
	}
	if i := c.Find(body.IDs[0]); i != nil && c.Status(i) != life.Gone {
		return i
	}
	refuse(w, http.StatusNotFound, "global/object-does-not-exist")
	return nil
}

func (c *Cloud) restart(w http.ResponseWriter, r *http.Request) {
	switch i := c.named(w, r); {
	case i == nil:
	case c.Status(i) != life.Active || c.acting:
		refuse(w, http.StatusConflict, "global/conflict")
	default:
		write(w, map[string]any{"restarted_instances": []any{c.shown(i)}})
	}
}

func (c *Cloud) terminate(w http.ResponseWriter, r *http.Request) {
	i := c.named(w, r)
	if i == nil {
		return
	}
	if !i.EndedAt.IsZero() || c.acting {
		refuse(w, http.StatusConflict, "global/conflict")
		return
	}
	c.End(i)
	write(w, map[string]any{"terminated_instances": []any{c.shown(i)}})
}
