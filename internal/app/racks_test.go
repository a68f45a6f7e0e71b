package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rack/racktest"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/coder/websocket"
	"golang.org/x/crypto/ssh"
)

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

// A server of the operator is entered while Billet runs, is for sale once it is inspected, is
// rented out, reinstalled and returned, and the tenant sees how it was erased.
func TestOwnServersAreRentedOut(t *testing.T) {
	listen := freeAddress(t)
	servers := racktest.New(t, 1, racktest.Provisioning("https://"+listen, rack.ISOPath))
	s := servers[0]
	c := Default()
	c.Listen, c.MetricsListen, c.DataDir, c.Version, c.Log = "127.0.0.1:0", "", t.TempDir(), "test",
		slog.New(slog.DiscardHandler)
	c.RacksListen, c.RacksURL = listen, "https://"+listen
	c.AgentImage = func(p rackagent.Parameters) (io.ReadSeeker, error) {
		line, err := p.CommandLine()
		return strings.NewReader(line), err
	}
	c.Probe = func(ctx context.Context, at provider.Endpoint) (string, error) {
		at.Address = net.JoinHostPort(s.Host, fmt.Sprint(s.Port()))
		return provider.ProbeSSH(ctx, at)
	}
	a, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	started, ended := make(chan Started, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(s Started) { started <- s }) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	var run Started
	select {
	case run = <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	machine := enroll(t, a, s)
	tenant, key := tenantOf(t, a, run.URL)

	var offer client.Offer
	eventually(t, "an offer", func() (string, bool) {
		list, err := tenant.Offers.List(ctx, client.OfferQuery{Provider: "racks"})
		if err != nil || len(list.Items) == 0 {
			m, _ := a.Machines.Get(ctx, a.DB, machine)
			return fmt.Sprint(err, m.State, m.Reason, m.Detail), false
		}
		offer = list.Items[0]
		return "", true
	})
	d, err := tenant.Deployments.Create(ctx, client.CreateDeployment{
		OfferID: offer.ID, OperatingSystem: "Ubuntu 24.04", Name: "train", SSHPublicKey: publicKeyLine(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	status := func(want client.DeploymentStatus) func() (string, bool) {
		return func() (string, bool) {
			now, err := tenant.Deployments.Get(ctx, d.ID)
			if err != nil {
				return err.Error(), false
			}
			text, _ := json.Marshal(now.Steps)
			return fmt.Sprintf("%s: %s", now.Status, text), now.Status == want
		}
	}
	eventually(t, "running", status("running"))
	console := consoleOf(t, run.URL, key, d.ID)
	s.WriteFile("/root/secret", "x")
	if _, err := a.TerminateDeployment(ctx, id.ID(d.ID), "the test is over"); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; { // there are signs of life before its end
		_, _, err = console.Read(ctx)
	}
	if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("the console of the former tenant: %v", err)
	}
	eventually(t, "terminated", status("terminated"))
	eventually(t, "ready again", func() (string, bool) {
		m, err := a.Machines.Get(ctx, a.DB, machine)
		return fmt.Sprint(m.State, m.Reason, m.Detail, err), m.State == rack.Ready
	})
	if s.Soiled() {
		t.Error("the tenant's data is still there")
	}
	e, err := tenant.Deployments.Erasure(ctx, d.ID)
	if err != nil || !e.Passed || len(e.Drives) != 2 {
		t.Errorf("%+v, %v", e, err)
	}
}

func eventually(t *testing.T, what string, f func() (string, bool)) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(45 * time.Second)
	for {
		seen, is := f()
		if is {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("waited for %s: %s", what, seen)
		}
	}
}

// enroll enters a server and an image, and has the server inspected.
func enroll(t *testing.T, a *App, s *racktest.Server) id.ID {
	t.Helper()
	if _, err := a.SetMachineImage(t.Context(), rack.Image{
		Name: "Ubuntu 24.04", URL: "https://images.example.com/x.raw", SHA256: strings.Repeat("ab", 32),
		Format: rackagent.Raw, Bytes: 1 << 30,
	}); err != nil {
		t.Fatal(err)
	}
	price, region, gpu, count, memory, address := money.Dollars(12), "oslo-1", "NVIDIA H100", int64(8), int64(80),
		s.Host+"/8"
	console, user, password := "openbmc", racktest.ConsoleUser, racktest.ConsolePassword
	port, hostKey := racktest.Console(t)
	m, err := a.AddMachine(t.Context(), rack.MachineFields{
		Console: &console, ConsolePort: &port, ConsoleUser: &user, ConsolePassword: &password, ConsoleHostKey: &hostKey,
		Name: &s.Name, BMCURL: &s.Address.URL, BMCUser: &s.Address.User, BMCPassword: &s.Address.Password,
		BMCCertificate: &s.Address.CertificateSHA256, MACs: &[]string{s.MAC}, Address: &address, Region: &region,
		HourlyPrice: &price, GPUType: &gpu, GPUCount: &count, GPUMemoryGB: &memory,
	})
	if err == nil {
		_, err = a.ActOnMachine(t.Context(), "inspectMachine", m.ID, "", a.Machines.Inspect)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// consoleOf opens the serial console of a deployment.
func consoleOf(t *testing.T, url, key, deployment string) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url+client.DefaultPath+"/deployments/"+deployment+"/console",
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	if err := ws.Write(t.Context(), websocket.MessageBinary, []byte("root")); err != nil {
		t.Fatal(err)
	}
	for seen := ""; seen != "login: root"; {
		_, b, err := ws.Read(t.Context())
		if err != nil {
			t.Fatalf("after %q: %v", seen, err)
		}
		seen += string(b)
	}
	return ws
}

// tenantOf returns the client of a new account with credit, and its key.
func tenantOf(t *testing.T, a *App, url string) (*client.Client, string) {
	t.Helper()
	acc, err := a.CreateAccount(t.Context(), "Tenant", money.Dollars(1000))
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := a.CreateKey(t.Context(), acc.ID, account.KeyRequest{Name: "test"}, spendlimit.SpendingLimits{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{APIKey: key, BaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

func publicKeyLine(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(key))
}
