package ironic_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider/ironic"
	"github.com/billetcloud/billet/internal/provider/ironic/ironictest"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const (
	class  = "h100-sxm-80gb.8x"
	images = "Debian 13 = https://images.example/debian.raw user:debian " +
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; " +
		"Ubuntu 24.04 = http://10.0.0.1/ubuntu.qcow2 user:ubuntu " +
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func terms(address string) map[string]any {
	return map[string]any{"billet": map[string]any{
		"gpuType": "NVIDIA H100 SXM", "gpuCount": 8, "gpuMemoryGb": 80, "vcpus": 192, "memoryGb": 2000,
		"storageGb": 30000, "region": "dallas-1", "regionName": "Dallas", "country": "US", "hourlyPrice": "15.92",
		"address": address,
	}}
}

// cloud is a real Ironic behind a proxy, into which faults are injected. It does what happens in
// real servers and not in Ironic's fake ones: after an installation they are on, and answer SSH.
type cloud struct {
	upstreamtest.Fake
	t      testing.TB
	ironic *ironictest.Ironic
	dirty  bool                         // something was changed, and Ironic may still be working on it
	drives map[string]drive             // by node
	fresh  map[string]bool              // nodes that were installed and not started since
	ssh    map[string]*upstreamtest.SSH // by node
	closed map[string]bool
}

type drive struct {
	Meta struct {
		Keys map[string]string `json:"public_keys"`
	} `json:"meta_data"`
	User string `json:"user_data"`
}

func serve(t testing.TB, i *ironictest.Ironic) *cloud {
	c := &cloud{
		t: t, ironic: i, drives: map[string]drive{}, fresh: map[string]bool{},
		ssh: map[string]*upstreamtest.SSH{}, closed: map[string]bool{},
	}
	to, err := url.Parse(i.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // of requests that are canceled
	c.Serve(t, upstreamtest.Config{
		Account: upstream.Account{
			Slug: "ironic", Name: "Ironic", Credential: ironictest.User + ":" + ironictest.Password,
			Settings: map[string]string{"images": images},
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.remember(r)
			proxy.ServeHTTP(w, r)
		}),
		Tick: c.tick, Machines: c.machines,
	})
	return c
}

// remember notes what a request changes.
func (c *cloud) remember(r *http.Request) {
	if r.Method == http.MethodGet {
		return
	}
	c.dirty = true
	text, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	node, is := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/states/provision"), "/v1/nodes/")
	if !is || !strings.HasSuffix(r.URL.Path, "/states/provision") {
		return
	}
	var body struct {
		Target string `json:"target"`
		Drive  *drive `json:"configdrive"`
	}
	if err := json.Unmarshal(text, &body); err != nil {
		c.t.Error(err)
	}
	c.fresh[node] = body.Target == "active" || body.Target == "rebuild"
	if body.Drive != nil {
		c.drives[node] = *body.Drive
	}
}

// tick waits until Ironic has done everything, and then does what servers do.
func (c *cloud) tick() {
	if !c.dirty {
		return
	}
	c.dirty = false
	for _, n := range c.stable() {
		off := n.Power != nil && *n.Power == "power off"
		switch {
		case n.State != "active":
			c.stop(n.UUID)
			delete(c.ssh, n.UUID)
		case c.fresh[n.UUID]:
			c.start(n)
		case off:
			c.stop(n.UUID)
		case c.closed[n.UUID]:
			c.restart(n.UUID)
		}
	}
}

// stable returns the nodes once Ironic works on none.
func (c *cloud) stable() (nodes []ironictest.Node) {
	rest := []string{"available", "active", "manageable", "enroll", "deploy failed", "error", "clean failed"}
	c.ironic.Until(c.t, "Ironic is idle", func() bool {
		nodes = c.ironic.Nodes(c.t)
		for _, n := range nodes {
			if !slices.Contains(rest, n.State) || n.Reservation != nil || n.TargetPower != nil {
				return false
			}
		}
		var list struct{ Allocations []struct{ State string } }
		c.ironic.Call(c.t, http.MethodGet, "/v1/allocations", nil, &list)
		for _, a := range list.Allocations {
			if a.State == "allocating" {
				return false
			}
		}
		return true
	})
	return nodes
}

func (c *cloud) stop(node string) {
	if s := c.ssh[node]; s != nil && !c.closed[node] {
		s.Close()
		c.closed[node] = true
	}
}

func (c *cloud) restart(node string) {
	s, err := c.BootAgain(c.ssh[node])
	if err != nil {
		c.t.Error(err)
		return
	}
	c.ssh[node], c.closed[node] = s, false
}

// start starts a node that was installed.
func (c *cloud) start(n ironictest.Node) {
	c.fresh[n.UUID] = false
	path := "/v1/nodes/" + n.UUID
	c.ironic.Call(c.t, http.MethodPut, path+"/states/power", map[string]string{"target": "power on"}, nil)
	c.stable()
	if c.ssh[n.UUID] != nil { // installed again
		c.stop(n.UUID)
		c.restart(n.UUID)
		return
	}
	var keys []string
	for _, line := range c.drives[n.UUID].Meta.Keys {
		keys = append(keys, line)
	}
	user, _ := n.Info["billet_user"].(string)
	s, err := c.Boot(user, keys, upstreamtest.HostKeyOf(c.drives[n.UUID].User))
	if err != nil {
		c.t.Error(err)
		return
	}
	c.ssh[n.UUID], c.closed[n.UUID] = s, false
	c.ironic.Patch(c.t, n.UUID, "/instance_info/billet_address", s.Address) // the server has another one
}

func (c *cloud) machines() (ids []string) {
	for _, n := range c.ironic.Nodes(c.t) {
		if n.Allocation != nil {
			ids = append(ids, *n.Allocation)
		}
	}
	return ids
}

// soldOut puts all nodes that are available into maintenance, or out of it.
func (c *cloud) soldOut(on bool) {
	for _, n := range c.ironic.Nodes(c.t) {
		path := "/v1/nodes/" + n.UUID + "/maintenance"
		switch {
		case on && n.State == "available":
			c.ironic.Call(c.t, http.MethodPut, path, map[string]string{"reason": "sold out"}, nil)
		case !on && n.Maintenance:
			c.ironic.Call(c.t, http.MethodDelete, path, nil, nil)
		}
	}
}

// TestConformance runs the suite against a real Ironic.
func TestConformance(t *testing.T) {
	i := ironictest.Start(t, ironictest.Config{})
	for name, address := range map[string]string{"n1": "192.0.2.1", "n2": "192.0.2.2", "n3": "192.0.2.3"} {
		i.Enroll(t, name, class, terms(address))
	}
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		c := serve(t, i)
		h := upstreamtest.Harness(t, &c.Fake, ironic.New)
		h.Port = c.Port
		h.Cloud.SoldOut, h.Cloud.OverQuota = c.soldOut, nil
		h.Cloud.Revoke = func(on bool) {
			password := ironictest.Password
			if on {
				password = "another"
			}
			i.SetPassword(t, password)
		}
		return h
	})
}
