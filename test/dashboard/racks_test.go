package dashboard_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rack/racktest"
	"github.com/billetcloud/billet/internal/rackagent"
)

// TestRacks runs the script in which an operator's own server is entered, sold and installed with a
// tenant's image, and its serial console used, against an emulated server with its BMC.
func TestRacks(t *testing.T) {
	root, node, chromium := tools(t, true)
	listen := freeAddress(t)
	s := racktest.New(t, 1, racktest.Provisioning("https://"+listen, rack.ISOPath))[0]
	started := serve(t, listen, s)
	port, hostKey := racktest.Console(t)
	machine, err := json.Marshal(map[string]any{
		"name": s.Name, "bmcUrl": s.Address.URL, "bmcUser": s.Address.User, "bmcPassword": s.Address.Password,
		"bmcCertificateSha256": s.Address.CertificateSHA256, "macs": []string{s.MAC}, "address": s.Host + "/8",
		"console": "openbmc", "consolePort": port, "consoleUser": racktest.ConsoleUser,
		"consolePassword": racktest.ConsolePassword, "consoleHostKey": strings.TrimSpace(hostKey),
		"region": "oslo-1", "rack": "A1", "position": 1, "height": 8, "hourlyPrice": 12,
		"gpuType": "NVIDIA H100", "gpuCount": 8, "gpuMemoryGb": 80,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, root, node, []string{"test/racks.mjs"}, "BILLET_URL="+started.URL, "CHROMIUM="+chromium,
		"BILLET_EMAIL="+started.Demo.Email, "BILLET_PASSWORD="+started.Demo.Password, "MACHINE="+string(machine))
}

// serve runs Billet in this process, because the emulated server has its SSH at another port than
// machines have, and its agent reads its parameters from something smaller than a CD.
func serve(t *testing.T, listen string, s *racktest.Server) app.Started {
	t.Helper()
	c := app.Default()
	c.Listen, c.MetricsListen, c.DataDir, c.Version, c.Log = "127.0.0.1:0", "", t.TempDir(), "test",
		slog.New(slog.DiscardHandler)
	c.Demo = true
	c.RacksListen, c.RacksURL = listen, "https://"+listen
	c.AgentImage = func(p rackagent.Parameters) (io.ReadSeeker, error) {
		line, err := p.CommandLine()
		return strings.NewReader(line), err
	}
	c.Probe = func(ctx context.Context, at provider.Endpoint) (string, error) {
		at.Address = net.JoinHostPort(s.Host, strconv.Itoa(s.Port()))
		return provider.ProbeSSH(ctx, at)
	}
	a, err := app.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	started, ended := make(chan app.Started, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(s app.Started) { started <- s }) }()
	select {
	case run := <-started:
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			_ = a.Close()
		})
		return run
	case err := <-ended:
		stop()
		t.Fatal(err)
	}
	return app.Started{}
}

// freeAddress returns an address that nothing listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
