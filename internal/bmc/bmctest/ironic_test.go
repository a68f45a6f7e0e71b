package bmctest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/billetcloud/billet/internal/provider/ironic/ironictest"
)

// TestIronic has a real Ironic, with its driver redfish, enroll a server, deploy it by virtual CD
// and take it down.
func TestIronic(t *testing.T) {
	t.Parallel()
	i := ironictest.Start(t, ironictest.Config{})
	booted := make(chan string, 10)
	sim := bmctest.New(bmctest.Config{
		Serial: "X1", Quirks: bmctest.Quirks{InsertWhileInsertedRefused: true, PowerLag: 1},
		OnBoot: func(_ context.Context, cd string) { booted <- cd },
	})
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		server.Close()
		sim.Close()
	})
	iso := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("an image")) // Ironic may read the header only
	}))
	t.Cleanup(iso.Close)

	i.Call(t, http.MethodPost, "/v1/nodes", map[string]any{
		"name": "own-1", "driver": "redfish", "resource_class": "test", "automated_clean": false,
		"boot_interface": "redfish-virtual-media", "deploy_interface": "ramdisk",
		"management_interface": "redfish", "power_interface": "redfish", "bios_interface": "no-bios",
		"console_interface": "no-console", "inspect_interface": "no-inspect", "raid_interface": "no-raid",
		"rescue_interface": "no-rescue", "vendor_interface": "no-vendor", "network_interface": "noop",
		"properties": map[string]string{"capabilities": "boot_mode:uefi", "cpu_arch": "x86_64"},
		"driver_info": map[string]any{
			"redfish_address": server.URL, "redfish_system_id": "/redfish/v1/Systems/1",
			"redfish_username": "admin", "redfish_password": "secret",
		},
	}, nil)
	i.Call(t, http.MethodPost, "/v1/ports", map[string]string{
		"node_uuid": i.Node(t, "own-1").UUID, "address": "52:54:00:aa:00:01",
	}, nil)
	i.Provision(t, "own-1", "manage", "manageable")
	i.Provision(t, "own-1", "provide", "available")
	if n := i.Node(t, "own-1"); n.Power == nil || *n.Power != "power off" {
		t.Errorf("got the power %v", n.Power)
	}
	i.Patch(t, "own-1", "/instance_info/boot_iso", iso.URL+"/agent.iso")
	i.Provision(t, "own-1", "active", "active")
	cd := <-booted
	if s := sim.State(); !s.On || s.CD != cd || !strings.HasPrefix(cd, "http://127.0.0.1:9/") {
		t.Errorf("started from %q: %+v", cd, s)
	}
	i.Provision(t, "own-1", "deleted", "available")
	if s := sim.State(); s.On || s.CD != "" {
		t.Errorf("taken down: %+v", s)
	}
}
