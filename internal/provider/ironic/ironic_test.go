package ironic_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/ironic"
	"github.com/billetcloud/billet/internal/provider/ironic/ironictest"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

var ids = id.NewMaker(clock.System{}, rand.Reader)

func account(i *ironictest.Ironic) upstream.Account {
	return upstream.Account{
		Slug: "ironic", Name: "Ironic", BaseURL: i.URL, Credential: ironictest.User + ":" + ironictest.Password,
		Settings: map[string]string{"images": images},
	}
}

func request(t *testing.T) provider.LaunchRequest {
	_, key := providertest.NewKey(t)
	return provider.LaunchRequest{
		Reference: ids.New(id.Deployment), Name: "a tenant's", OfferKey: class, Region: "dallas-1",
		OperatingSystem: "Ubuntu 24.04", AuthorizedKeys: []string{key + " user@example.com"},
	}
}

// stock returns how many nodes of the only offer are available.
func stock(t *testing.T, a *ironic.Adapter) int {
	t.Helper()
	all, err := a.Offers(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("got the offers %+v, %v", all, err)
	}
	return *all[0].Stock
}

// end terminates a machine as Billet does, and waits until Ironic has no more of it.
func end(t *testing.T, i *ironictest.Ironic, a *ironic.Adapter, reference id.ID) {
	t.Helper()
	i.Until(t, "the machine is gone", func() bool {
		if err := a.Terminate(t.Context(), reference); err != nil && provider.Decided(err) {
			t.Fatal(err)
		}
		_, err := a.Machine(t.Context(), reference)
		return provider.IsKind(err, provider.KindNotFound)
	})
}

// TestRace: of 12 launches for 5 nodes, 5 get one each.
func TestRace(t *testing.T) {
	t.Parallel()
	i := ironictest.Start(t, ironictest.Config{})
	for n := range 5 {
		i.Enroll(t, fmt.Sprint("n", n), class, terms(fmt.Sprint("192.0.2.", n+1)))
	}
	a := upstreamtest.Open(t, account(i), ironic.New)
	if got := stock(t, a); got != 5 {
		t.Fatalf("got a stock of %d", got)
	}
	var mu sync.Mutex
	var machines []string
	var refused int
	var all sync.WaitGroup
	for range 12 {
		r := request(t)
		all.Go(func() {
			var m provider.Machine
			var err error
			for range 100 { // as Billet does where the outcome is unknown
				if m, err = a.Launch(t.Context(), r); err == nil || provider.Decided(err) {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				machines = append(machines, m.ID)
			case provider.IsKind(err, provider.KindNoCapacity):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	nodes := map[string]bool{}
	for _, n := range i.Nodes(t) {
		if n.Allocation != nil && slices.Contains(machines, *n.Allocation) {
			nodes[n.UUID] = true
		}
	}
	if len(machines) != 5 || refused != 7 || len(nodes) != 5 {
		t.Errorf("got %d machines on %d nodes and %d refusals", len(machines), len(nodes), refused)
	}
	if got := stock(t, a); got != 0 {
		t.Errorf("got a stock of %d", got)
	}
}

// TestConductorKilled: a deployment that ends with Ironic's process has failed, and is released.
func TestConductorKilled(t *testing.T) {
	t.Parallel()
	i := ironictest.Start(t, ironictest.Config{DeployDelay: 2 * time.Second})
	i.Enroll(t, "n1", class, terms("192.0.2.1"))
	a := upstreamtest.Open(t, account(i), ironic.New)
	r := request(t)
	m := providertest.Launch(t, a, r)
	if m.State != provider.MachineProvisioning {
		t.Fatalf("got %+v", m)
	}
	i.Crash(t)
	i.Until(t, "the deployment has failed", func() bool {
		m, err := a.Machine(t.Context(), r.Reference)
		return err == nil && m.State == provider.MachineFailed
	})
	if again, err := a.Launch(t.Context(), r); err != nil || again.ID != m.ID || again.State != provider.MachineFailed {
		t.Errorf("launched again: %+v, %v", again, err)
	}
	end(t, i, a, r.Reference)
	i.Until(t, "the node is available", func() bool { return stock(t, a) == 1 })
}

// TestEndWhileInstalling: Ironic refuses it until the installation waits or has ended.
func TestEndWhileInstalling(t *testing.T) {
	t.Parallel()
	i := ironictest.Start(t, ironictest.Config{DeployDelay: time.Second})
	i.Enroll(t, "n1", class, terms("192.0.2.1"))
	a := upstreamtest.Open(t, account(i), ironic.New)
	r := request(t)
	providertest.Launch(t, a, r)
	end(t, i, a, r.Reference)
	if all, err := a.Machines(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("got %+v, %v", all, err)
	}
	i.Until(t, "the node is available", func() bool { return stock(t, a) == 1 })
}

func TestAdapter(t *testing.T) {
	t.Parallel()
	i := ironictest.Start(t, ironictest.Config{})
	for name, test := range map[string]func(*testing.T, *ironictest.Ironic, *ironic.Adapter){
		"nodes out of service":    testOutOfService,
		"an interrupted launch":   testInterrupted,
		"a config drive":          testConfigDrive,
		"nodes that are not sold": testNotSold,
		"a refused deployment":    testRefused,
	} {
		passed := t.Run(name, func(t *testing.T) {
			test(t, i, upstreamtest.Open(t, account(i), ironic.New))
			for _, n := range i.Nodes(t) {
				i.Until(t, n.Name+" is at rest", func() bool {
					n := i.Node(t, n.UUID)
					return n.Allocation == nil && n.Reservation == nil
				})
				i.Call(t, http.MethodDelete, "/v1/nodes/"+n.UUID, nil, nil)
			}
		})
		if !passed {
			return // its nodes are left
		}
	}
}

// testOutOfService: a node in maintenance is not sold, and its tenant stays; one that is retired is
// not sold again.
func testOutOfService(t *testing.T, i *ironictest.Ironic, a *ironic.Adapter) {
	i.Enroll(t, "n1", class, terms("192.0.2.1"))
	i.Call(t, http.MethodPut, "/v1/nodes/n1/maintenance", map[string]string{"reason": "a fan"}, nil)
	if got := stock(t, a); got != 0 {
		t.Errorf("in maintenance: got a stock of %d", got)
	}
	r := request(t)
	_, err := a.Launch(t.Context(), r)
	providertest.WantKind(t, "Launch", err, provider.KindNoCapacity)
	i.Call(t, http.MethodDelete, "/v1/nodes/n1/maintenance", nil, nil)
	providertest.Launch(t, a, r)
	i.Until(t, "installed", func() bool { return i.Node(t, "n1").State == "active" })
	i.Call(t, http.MethodPut, "/v1/nodes/n1/states/power", map[string]string{"target": "power on"}, nil)
	i.Until(t, "on", func() bool { n := i.Node(t, "n1"); return n.TargetPower == nil && *n.Power == "power on" })

	i.Call(t, http.MethodPut, "/v1/nodes/n1/maintenance", map[string]string{"reason": "a fan"}, nil)
	m := providertest.WantMachine(t, a, r.Reference, provider.MachineReady)
	if m.Address != "192.0.2.1" || m.SSHUser != "ubuntu" || m.SSHPort != 22 || m.HourlyCost != 15_920_000 {
		t.Errorf("got %+v", m)
	}
	i.Patch(t, "n1", "/extra/billet/address", "192.0.2.9")
	if m := providertest.WantMachine(t, a, r.Reference, provider.MachineReady); m.Address != "192.0.2.1" {
		t.Errorf("the machine moved to %s", m.Address)
	}
	i.Call(t, http.MethodDelete, "/v1/nodes/n1/maintenance", nil, nil)
	i.Patch(t, "n1", "/retired", true)
	end(t, i, a, r.Reference)
	i.Until(t, "the node is with the operator", func() bool { return i.Node(t, "n1").State == "manageable" })
	if got := stock(t, a); got != 0 {
		t.Errorf("retired: got a stock of %d", got)
	}
}

// testInterrupted: a process that ended after the allocation has launched nothing yet, and the next
// Launch continues.
func testInterrupted(t *testing.T, i *ironictest.Ironic, a *ironic.Adapter) {
	i.Enroll(t, "n1", class, terms("192.0.2.1"))
	for _, continues := range []bool{true, false} {
		r := request(t)
		body := map[string]any{"name": string(r.Reference), "resource_class": class}
		i.Call(t, http.MethodPost, "/v1/allocations", body, nil)
		i.Until(t, "allocated", func() bool { return i.Node(t, "n1").Allocation != nil })
		_, err := a.Machine(t.Context(), r.Reference)
		providertest.WantKind(t, "Machine", err, provider.KindNotFound)
		all, err := a.Machines(t.Context())
		if err != nil || len(all) != 1 || all[0].Reference != r.Reference ||
			all[0].State != provider.MachineProvisioning {
			t.Fatalf("got %+v, %v", all, err)
		}
		if continues {
			if m := providertest.Launch(t, a, r); m.ID != all[0].ID {
				t.Errorf("got %+v, want %+v", m, all[0])
			}
		}
		end(t, i, a, r.Reference)
		i.Until(t, "the node is available", func() bool { return stock(t, a) == 1 })
	}
	// An allocation that got no node takes the name, and Launch removes it.
	r := request(t)
	body := map[string]any{"name": string(r.Reference), "resource_class": "none"}
	i.Call(t, http.MethodPost, "/v1/allocations", body, nil)
	var made struct{ State string }
	i.Until(t, "the allocation has failed", func() bool {
		i.Call(t, http.MethodGet, "/v1/allocations/"+string(r.Reference), nil, &made)
		return made.State == "error"
	})
	if all, err := a.Machines(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("got %+v, %v", all, err)
	}
	providertest.Launch(t, a, r)
	end(t, i, a, r.Reference)
}

// testNotSold: terms are the operator's, and none is guessed.
func testNotSold(t *testing.T, i *ironictest.Ironic, a *ironic.Adapter) {
	problems, err := a.Examine(t.Context())
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0], "None of the 0 nodes") {
		t.Errorf("got %q, %v", problems, err)
	}
	change := func(address, key string, value any) map[string]any {
		all := terms(address)
		all["billet"].(map[string]any)[key] = value
		return all
	}
	nodes := []struct {
		name  string
		extra map[string]any
		says  string
	}{
		{"sold", terms("192.0.2.1"), ""},
		{"others", map[string]any{"note": "not for rent"}, ""},
		{"typo", change("192.0.2.2", "hourlyprice2", 1), "unknown field"},
		{"free", change("192.0.2.3", "hourlyPrice", 0), "hourlyPrice must be positive"},
		{"nowhere", change("192.0.2.4", "region", "Dallas 1"), "region must be a slug"},
		{"text", change("192.0.2.5", "gpuCount", "8"), "malformed"},
		{"bad", change("192.0.2.6", "address", "10.0.0.0/33"), "address must be"},
		{"dirty", terms("192.0.2.8"), "automated_clean is off"},
	}
	for _, n := range nodes {
		i.Enroll(t, n.name, class, n.extra)
	}
	i.Patch(t, "dirty", "/automated_clean", false)
	if got := stock(t, a); got != 1 {
		t.Errorf("got a stock of %d", got)
	}
	problems, err = a.Examine(t.Context())
	if err != nil || len(problems) != 6 {
		t.Errorf("got %q, %v", problems, err)
	}
	for _, n := range nodes {
		found := slices.ContainsFunc(problems, func(p string) bool {
			return strings.Contains(p, "The node "+n.name+" ") && strings.Contains(p, n.says)
		})
		if found != (n.says != "") {
			t.Errorf("%s: got %q, want %q", n.name, problems, n.says)
		}
	}
	// Of two nodes with one address, or with other terms, the first is sold.
	i.Enroll(t, "same", class, terms("192.0.2.1"))
	i.Enroll(t, "dearer", class, change("192.0.2.7", "hourlyPrice", "16"))
	if problems, err = a.Examine(t.Context()); err != nil || len(problems) < 8 {
		t.Errorf("got %q, %v", problems, err)
	}
}

// testRefused: where Ironic refuses to deploy, the node is released.
func testRefused(t *testing.T, i *ironictest.Ironic, a *ironic.Adapter) {
	i.Enroll(t, "n1", class, terms("192.0.2.1"))
	r := request(t)
	body := map[string]any{"name": string(r.Reference), "resource_class": class}
	i.Call(t, http.MethodPost, "/v1/allocations", body, nil)
	i.Until(t, "allocated", func() bool { return i.Node(t, "n1").Allocation != nil })
	i.Call(t, http.MethodPut, "/v1/nodes/n1/maintenance", map[string]string{"reason": "a fan"}, nil)
	_, err := a.Launch(t.Context(), r)
	providertest.WantKind(t, "Launch", err, provider.KindNoCapacity)
	if n := i.Node(t, "n1"); n.Allocation != nil {
		t.Errorf("the node is still allocated: %+v", n)
	}
}
