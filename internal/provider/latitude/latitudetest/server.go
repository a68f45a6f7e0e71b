package latitudetest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const (
	// beginTime is how long a server that will be installed keeps its status.
	beginTime  = 5 * time.Second
	deployTime = 25 * time.Second
	eraseTime  = 10 * time.Second
	actionTime = 4 * time.Second
	// endTakes is how long a deleted server is still listed.
	endTakes = 6 * time.Second
)

// server is a machine.
type server struct {
	id, hostname, plan, site, os, status, project string
	keys                                          []string // lines
	userData                                      string
	created                                       time.Time
	locked                                        bool
	address                                       string
	ssh                                           *upstreamtest.SSH
	up                                            bool

	next   string // its status from then on
	then   time.Time
	endsAt time.Time // zero unless it was deleted
}

func (s *server) shut() {
	if s.up {
		s.ssh.Close()
		s.up = false
	}
}

// start starts SSH; after a reinstallation, with another host key.
func (c *Cloud) start(s *server) {
	var err error
	switch {
	case s.up:
	case s.ssh == nil:
		s.ssh, err = c.Boot(loginOf(s.os), s.keys, upstreamtest.HostKeyOf(c.content(s.userData)))
	default:
		s.ssh, err = c.BootAgain(s.ssh)
	}
	if err != nil {
		panic(err)
	}
	s.address, s.up = s.ssh.Address, true
}

// tick does what is due.
func (c *Cloud) tick() {
	now := c.Clock.Now()
	c.servers = slices.DeleteFunc(
		c.servers, func(s *server) bool { return !s.endsAt.IsZero() && !now.Before(s.endsAt) },
	)
	for _, s := range c.servers {
		for s.next != "" && !now.Before(s.then) && s.endsAt.IsZero() {
			s.status, s.next = s.next, ""
			switch s.status {
			case "disk_erasing":
				s.next, s.then = "deploying", s.then.Add(eraseTime)
			case "deploying":
				s.next, s.then = "on", s.then.Add(deployTime)
			case "on":
				c.start(s)
			case "off":
				s.shut()
			}
		}
	}
}

func priceOf(plan string) float64 {
	for _, m := range models {
		if m.slug == plan {
			return m.hour
		}
	}
	return 0
}

func loginOf(os string) string {
	for _, s := range operatingSystems {
		if s.slug == os {
			return s.user
		}
	}
	return ""
}

func (s *server) resource() map[string]any {
	var address any
	if s.address != "" {
		address = s.address
	}
	return resource("servers", s.id, map[string]any{
		"hostname": s.hostname, "label": "", "price": priceOf(s.plan), "status": s.status, "ipmi_status": "Normal",
		"role": "Bare Metal", "site": s.site, "locked": s.locked,
		"rescue_allowed": true, "primary_ipv4": address, "primary_ipv6": nil,
		"created_at": s.created.Format("2006-01-02T15:04:05-07:00"), "scheduled_deletion_at": nil,
		"plan": map[string]any{"id": "plan_" + s.plan, "name": s.plan, "slug": s.plan, "billing": "hourly"},
		"operating_system": map[string]any{
			"name": s.os, "slug": s.os, "version": "1", "features": map[string]any{"raid": true},
		},
		"region": map[string]any{
			"city": "Dallas", "country": "United States", "site": map[string]any{"slug": s.site},
		},
		"specs":      map[string]any{"cpu": "2 x AMD", "disk": "2 x 480 GB", "ram": "768 GB", "gpu": "1 x H100"},
		"interfaces": []any{},
		"project": map[string]any{
			"id": s.project,
			"slug": map[string]string{
				ProjectID: ProjectSlug,
			}[s.project] + map[bool]string{true: "other"}[s.project != ProjectID],
		},
		"team": map[string]any{}, "tags": []any{},
	})
}

func (c *Cloud) listServers() (out []map[string]any) {
	for _, s := range c.servers {
		out = append(out, s.resource())
	}
	return out
}

func (c *Cloud) find(w http.ResponseWriter, r *http.Request) *server {
	i := slices.IndexFunc(c.servers, func(s *server) bool { return s.id == r.PathValue("id") })
	if i < 0 {
		refuse(w, http.StatusNotFound, "not_found", "Not found", "Specified Record Not Found")
		return nil
	}
	return c.servers[i]
}

func (c *Cloud) getServer(w http.ResponseWriter, r *http.Request) {
	if s := c.find(w, r); s != nil {
		answer(w, http.StatusOK, map[string]any{"data": s.resource()})
	}
}

func (c *Cloud) createServer(w http.ResponseWriter, r *http.Request) {
	var a struct {
		Project         string   `json:"project"`
		Plan            string   `json:"plan"`
		Site            string   `json:"site"`
		OperatingSystem string   `json:"operating_system"`
		Hostname        string   `json:"hostname"`
		SSHKeys         []string `json:"ssh_keys"`
		UserData        string   `json:"user_data"`
		RAID            string   `json:"raid"`
		IPXE            string   `json:"ipxe"`
		Billing         string   `json:"billing"`
	}
	if !read(w, r, "servers", &a) {
		return
	}
	wrong := func(detail string) {
		refuse(w, http.StatusUnprocessableEntity, "unprocessable_entity", "Unprocessable entity", detail)
	}
	at := slices.IndexFunc(models, func(m model) bool { return m.slug == a.Plan })
	keys, known := c.lines(a.SSHKeys)
	switch {
	case a.Project != ProjectID && a.Project != ProjectSlug:
		wrong("project is not known")
	case at < 0:
		wrong("plan is not known")
	case !slices.Contains(models[at].sites, a.Site):
		wrong("site is not known for this plan")
	case !known:
		wrong("ssh_keys are not known")
	case loginOf(a.OperatingSystem) == "":
		wrong("operating_system is not known")
	case a.Hostname == "" || a.Billing != "" && a.Billing != "hourly":
		wrong("hostname and billing must be right")
	case a.UserData != "" && !c.hasData(a.UserData):
		wrong("user_data is not known")
	case c.NoQuota:
		refuse(w, http.StatusPaymentRequired, "payment_required", "Payment required", "Add a payment method.")
	case c.NoCapacity || !slices.Contains(models[at].have, a.Site):
		refuse(
			w, http.StatusUnprocessableEntity, "server_out_of_stock", "Out of stock",
			"The plan is out of stock in this site.",
		)
	default:
		now := c.Clock.Now()
		s := &server{
			id: c.id("sv"), hostname: a.Hostname, plan: a.Plan, site: a.Site, os: a.OperatingSystem, project: ProjectID,
			status: "starting_deploy", next: "deploying", then: now.Add(beginTime),
			keys: keys, userData: a.UserData, created: now,
		}
		if c.eager {
			s.status, s.address = "on", "192.0.2.9"
		}
		c.servers = append(c.servers, s)
		answer(w, http.StatusCreated, map[string]any{"data": s.resource()})
	}
}

func (c *Cloud) lines(ids []string) (lines []string, known bool) {
	for _, id := range ids {
		i := slices.IndexFunc(c.keys, func(k map[string]any) bool { return k["id"] == id })
		if i < 0 {
			return nil, false
		}
		lines = append(lines, c.keys[i]["attributes"].(map[string]any)["public_key"].(string))
	}
	return lines, true
}

// content returns the text of an object of user data, or "".
func (c *Cloud) content(id string) string {
	for _, d := range c.data {
		if d["id"] == id {
			text, _ := base64.StdEncoding.DecodeString(fmt.Sprint(d["attributes"].(map[string]any)["content"]))
			return string(text)
		}
	}
	return ""
}

func (c *Cloud) hasData(id string) bool {
	return slices.ContainsFunc(c.data, func(d map[string]any) bool { return d["id"] == id })
}

// unlocked returns the server that the path names, or answers where it is locked or ending.
func (c *Cloud) unlocked(w http.ResponseWriter, r *http.Request) *server {
	s := c.find(w, r)
	if s != nil && s.locked {
		refuse(w, http.StatusForbidden, "forbidden", "Forbidden", "The server is locked.")
		return nil
	}
	if s != nil && !s.endsAt.IsZero() {
		refuse(w, http.StatusNotFound, "not_found", "Not found", "Specified Record Not Found")
		return nil
	}
	return s
}

func (c *Cloud) deleteServer(w http.ResponseWriter, r *http.Request) {
	s := c.unlocked(w, r)
	if s == nil {
		return
	}
	s.shut()
	s.endsAt = c.Clock.Now().Add(endTakes)
	w.WriteHeader(http.StatusNoContent)
}

func (c *Cloud) act(w http.ResponseWriter, r *http.Request) {
	var a struct {
		Action string `json:"action"`
	}
	s := c.unlocked(w, r)
	if s == nil || !read(w, r, "actions", &a) {
		return
	}
	next := map[string]string{"power_on": "on", "power_off": "off", "reboot": "on"}[a.Action]
	switch {
	case next == "":
		refuse(w, http.StatusUnprocessableEntity, "unprocessable_entity", "Unprocessable entity", "action is not known")
		return
	case s.status != "on" && s.status != "off", a.Action == "reboot" && s.status == "off", a.Action != "reboot" &&
		s.status == next && s.next == "", s.next == next && a.Action != "reboot":
		refuse(
			w, http.StatusUnprocessableEntity, "unprocessable_entity", "Unprocessable entity",
			"The server is "+s.status,
		)
		return
	case a.Action == "reboot":
		s.shut()
	}
	s.next, s.then = next, c.Clock.Now().Add(actionTime)
	answer(
		w, http.StatusCreated, map[string]any{"data": resource("actions", c.id("act"), map[string]any{"status": "OK"})},
	)
}

func (c *Cloud) reinstall(w http.ResponseWriter, r *http.Request) {
	var a struct {
		OperatingSystem string   `json:"operating_system"`
		Hostname        string   `json:"hostname"`
		SSHKeys         []string `json:"ssh_keys"`
		UserData        string   `json:"user_data"`
	}
	s := c.unlocked(w, r)
	if s == nil || !read(w, r, "reinstalls", &a) {
		return
	}
	keys, known := c.lines(a.SSHKeys)
	if !known || loginOf(a.OperatingSystem) == "" || a.UserData != "" && !c.hasData(a.UserData) || s.status != "on" &&
		s.status != "off" || s.next == "disk_erasing" {
		refuse(
			w, http.StatusUnprocessableEntity, "unprocessable_entity", "Unprocessable entity",
			"ssh_keys, operating_system or user_data is not known",
		)
		return
	}
	s.shut()
	s.ssh = nil
	s.hostname, s.os, s.keys, s.userData = a.Hostname, a.OperatingSystem, keys, a.UserData
	s.next, s.then = "disk_erasing", c.Clock.Now().Add(beginTime)
	w.WriteHeader(http.StatusCreated) // with an empty body
}

// machineIDs returns the ids of the machines that are not ending.
func (c *Cloud) machineIDs() (ids []string) {
	for _, s := range c.servers {
		if s.endsAt.IsZero() {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// Plant adds a machine with that host name and status to that project, as if it were created an
// hour ago.
func (c *Cloud) Plant(hostname, status, project string) string {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	s := &server{
		id: c.id("sv"), hostname: hostname, plan: models[0].slug, site: "DAL", os: operatingSystems[0].slug,
		status: status, project: project,
		created: c.Clock.Now().Add(-time.Hour), address: "192.0.2.1",
	}
	c.servers = append(c.servers, s)
	return s.id
}

// SetStatus sets the machine's status.
func (c *Cloud) SetStatus(id, status string) {
	c.set(id, func(s *server) { s.status, s.next = status, "" })
}

// SetLocked locks or unlocks the machine.
func (c *Cloud) SetLocked(id string, locked bool) { c.set(id, func(s *server) { s.locked = locked }) }

// Vanish removes the machine at once.
func (c *Cloud) Vanish(id string) {
	c.set(id, func(s *server) { s.shut(); s.endsAt = c.Clock.Now() })
}

func (c *Cloud) set(id string, f func(s *server)) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for _, s := range c.servers {
		if s.id == id {
			f(s)
		}
	}
}
