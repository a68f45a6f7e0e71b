package crash_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/provider/spheron/spherontest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
)

// cloud is where the machines of a history are: the simulator, which lives in the server, or the real adapter of a cloud on that cloud's
// fake, which lives in this process and so outlives every kill.
type cloud struct {
	name string
	// provider and region are where the volumes are made.
	provider, region string
	// serve starts the fake; nil for the simulator.
	serve func(t *testing.T) *fake
	// short are the steps of the short form; nil for all. A fake is there for the steps at which somebody is asked.
	short []string
}

// fake is a cloud's fake. Its account has so high limits that work waits for the clock, not for real time.
type fake struct {
	*upstreamtest.Server
	account upstream.Account
	holding func() upstreamtest.Inventory
}

// lag is how long the fakes show nothing of a machine that they have made: less than the adapters' SettleTime, so that who does not wait for
// that makes a second one.
const lag = 40 * time.Second

var calls = []string{
	crashpoint.LaunchBeforeCall, crashpoint.LaunchAfterCall, crashpoint.RunningAfterCommit,
	crashpoint.TerminateBeforeCall, crashpoint.TerminateAfterCall, crashpoint.TerminateBeforeConfirming,
	crashpoint.AttachBeforeCall, crashpoint.AttachAfterCall, crashpoint.DetachBeforeCall, crashpoint.DetachAfterCall,
}

var clouds = []cloud{
	{name: "sim", provider: "voltage-park", region: "dallas-usa-5"},
	{name: "voltage-park", provider: "voltage-park", region: "dallas-usa-5", short: calls, serve: func(t *testing.T) *fake {
		c := voltageparktest.Serve(t)
		c.Lag(lag)
		f := &fake{c.Server, c.Account(), c.Inventory}
		f.account.Settings["requests-per-minute"] = "60000"
		return f
	}},
	{name: "spheron", provider: "spheron", region: "data-crunch-fin-01", short: calls, serve: func(t *testing.T) *fake {
		c := spherontest.Serve(t)
		c.Lag(lag)
		c.Allow(1_000_000, 1_000_000)
		f := &fake{c.Server, c.Account(), c.Inventory}
		f.account.Settings = map[string]string{"requests-per-15-minutes": "1000000", "creates-per-15-minutes": "1000000"}
		return f
	}},
}

// needsPort22 skips where this process may not have that port: bare metal of Voltage Park answers at no other.
func needsPort22(t *testing.T) {
	t.Helper()
	s, err := upstreamtest.ListenSSH("root", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s.Port != 22 {
		t.Skip("port 22 is not for this process")
	}
}

// write writes down the account at the fake, and returns with what arguments the server finds it.
func (f *fake) write(t *testing.T, dir string) []string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "providers:\n  - kind: %s\n    baseUrl: %s\n    apiKeyFile: cloud.key\n    settings:\n      private-addresses: \"true\"\n", f.account.Slug, f.account.BaseURL)
	for name, value := range f.account.Settings {
		fmt.Fprintf(&b, "      %s: %q\n", name, value)
	}
	path := filepath.Join(dir, "providers.yaml")
	for file, text := range map[string]string{path: b.String(), filepath.Join(dir, "cloud.key"): f.account.Credential} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--providers-file", path}
}

// configure writes down the account, and has the fake's clock follow that of the server in dir.
func (f *fake) configure(t *testing.T, dir string) []string {
	t.Helper()
	args := f.write(t, dir)
	f.Follow(func() (time.Time, bool) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s, err := app.AskSimStatus(ctx, dir)
		return s.Now, err == nil
	})
	return args
}

// disturb has troubles befall the requests to the fake for as long as the server lives.
func (h *history) disturb(round int, dead <-chan struct{}) {
	rng := rand.New(rand.NewPCG(h.seed, uint64(round)<<32|1<<30))
	most := []providertest.FaultKind{providertest.LostResponse, providertest.BadGatewayAfterEffect, providertest.LostRequest, providertest.BadGateway, providertest.HTMLPage}
	// A cloud that wants no requests for a while is left alone, which takes real time: seldom.
	rare := []providertest.FaultKind{providertest.Throttled, providertest.ThrottledWithoutDelay}
	defer h.fake.ClearFaults()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for next := 0; ; {
		select {
		case <-dead:
			return
		case <-look.C:
		}
		// By requests and not by time: on a busy machine it would be every request.
		asked := len(h.fake.Requests())
		if asked < next {
			continue
		}
		next = asked + 5 + rng.IntN(40)
		kinds := most
		if rng.IntN(20) == 0 {
			kinds = rare
		}
		// Mostly what makes or ends something: there an answer counts.
		h.fake.InjectFault(providertest.Fault{Kind: kinds[rng.IntN(len(kinds))], Writes: rng.IntN(4) > 0, After: rng.IntN(3), Times: 1 + rng.IntN(2)})
		h.troubles++
	}
}

// upstream returns which deployments have a machine at the fake.
func (h *history) upstream() map[string]bool {
	has := map[string]bool{}
	if h.fake != nil {
		for _, m := range h.fake.holding().Has() {
			has[string(upstream.ParseMark(id.Deployment, m.Name))] = true
		}
	}
	return has
}

// ask brings what the fake really has into the sight.
func (f *fake) ask(s *sight) {
	f.Clock.AdvanceTo(s.upstream.Now)
	all, slug := f.holding(), f.account.Slug
	owner := map[string]id.ID{} // of those machines that are there
	for _, m := range all.Machines {
		reference := upstream.ParseMark(id.Deployment, m.Name)
		s.machines = append(s.machines, machineFile{Provider: slug, Reference: string(reference), Phase: string(m.State)})
		if m.State != provider.MachineGone {
			owner[m.ID] = reference
			s.upstream.Machines = append(s.upstream.Machines, sim.MachineStatus{ID: m.ID, Provider: slug, Reference: reference, State: m.State})
		}
	}
	for _, v := range all.Volumes {
		seen := volumeFile{Provider: slug, Reference: string(upstream.ParseMark(id.Volume, v.Name)), SizeGB: v.SizeGB}
		holders := slices.DeleteFunc(slices.Clone(v.Machines), func(m string) bool { return owner[m] == "" })
		if len(holders) > 1 {
			s.h.fault("%s is attached to %d machines upstream", seen.Reference, len(holders))
		}
		for _, m := range holders {
			seen.AttachedTo = string(owner[m])
		}
		s.volumes = append(s.volumes, seen)
	}
}
