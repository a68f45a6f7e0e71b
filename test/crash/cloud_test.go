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

// cloud is where the machines of a history are: in the simulator, which is part of the server, or
// in the fake of a cloud, which is part of this process, survives every kill, and is used through
// the real adapter.
type cloud struct {
	name string
	// provider and region are where the volumes are created.
	provider, region string
	// serve starts the fake; nil for the simulator.
	serve func(t *testing.T) *fake
	// short are the steps of the short form; nil for all. With a fake, they are those that call
	// the cloud.
	short []string
}

// fake is a cloud's fake. Its account's limits are so high that work waits for the simulated
// clock, not for real time.
type fake struct {
	*upstreamtest.Server
	account upstream.Account
	holding func() upstreamtest.Inventory
}

// lag is how long the fakes hide a new machine: less than the adapters' SettleTime, so that an
// adapter which does not wait for that creates a second one.
const lag = 40 * time.Second

var calls = []string{
	crashpoint.LaunchBeforeCall, crashpoint.LaunchAfterCall, crashpoint.RunningAfterCommit,
	crashpoint.TerminateBeforeCall, crashpoint.TerminateAfterCall, crashpoint.TerminateBeforeConfirming,
	crashpoint.AttachBeforeCall, crashpoint.AttachAfterCall, crashpoint.DetachBeforeCall, crashpoint.DetachAfterCall,
}

var clouds = []cloud{
	{name: "sim", provider: "voltage-park", region: "dallas-usa-5"},
	{
		name:     "voltage-park",
		provider: "voltage-park",
		region:   "dallas-usa-5",
		short:    calls,
		serve: func(t *testing.T) *fake {
			c := voltageparktest.Serve(t)
			c.Lag(lag)
			f := &fake{c.Server, c.Account(), c.Inventory}
			f.account.Settings["requests-per-minute"] = "60000"
			return f
		},
	},
	{name: "spheron", provider: "spheron", region: "data-crunch-fin-01", short: calls, serve: func(t *testing.T) *fake {
		c := spherontest.Serve(t)
		c.Lag(lag)
		c.Allow(1_000_000, 1_000_000)
		f := &fake{c.Server, c.Account(), c.Inventory}
		f.account.Settings = map[string]string{
			"requests-per-15-minutes": "1000000", "creates-per-15-minutes": "1000000",
		}
		return f
	}},
}

// needsPort22 skips the test if this process cannot use port 22: bare metal of Voltage Park has no
// other.
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

// write writes the fake's account to a file, and returns the server's arguments for it.
func (f *fake) write(t *testing.T, dir string) []string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"providers:\n  - kind: %s\n    baseUrl: %s\n    apiKeyFile: cloud.key\n    settings:\n      "+
			"private-addresses: \"true\"\n",
		f.account.Slug,
		f.account.BaseURL,
	)
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

// configure writes the fake's account, and makes the fake follow the clock of the server in dir.
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

// disturb injects troubles into the requests to the fake while the server runs.
func (h *history) disturb(round int, dead <-chan struct{}) {
	rng := rand.New(rand.NewPCG(h.seed, uint64(round)<<32|1<<30))
	most := []providertest.FaultKind{
		providertest.LostResponse, providertest.BadGatewayAfterEffect, providertest.LostRequest,
		providertest.BadGateway, providertest.HTMLPage,
	}
	// A cloud that asks to wait is not called, which takes real time: rarely.
	rare := []providertest.FaultKind{providertest.Throttled, providertest.ThrottledWithoutDelay}
	defer h.fake.ClearFaults()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for next := 0; ; {
		select {
		case <-dead:
			return
		case <-tick.C:
		}
		// By number of requests, not by time: on a busy machine it would affect every request.
		asked := len(h.fake.Requests())
		if asked < next {
			continue
		}
		next = asked + 5 + rng.IntN(40)
		kinds := most
		if rng.IntN(20) == 0 {
			kinds = rare
		}
		// Mostly calls that create or end something: there an answer matters.
		h.fake.InjectFault(providertest.Fault{
			Kind: kinds[rng.IntN(len(kinds))], Writes: rng.IntN(4) > 0, After: rng.IntN(3),
			Times: 1 + rng.IntN(2),
		})
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

// ask copies what the fake really has into the snapshot.
func (f *fake) ask(s *snapshot) {
	f.Clock.AdvanceTo(s.upstream.Now)
	all, slug := f.holding(), f.account.Slug
	owner := map[string]id.ID{} // of the existing machines
	for _, m := range all.Machines {
		reference := upstream.ParseMark(id.Deployment, m.Name)
		s.machines = append(
			s.machines, machineFile{Provider: slug, Reference: string(reference), Phase: string(m.State)},
		)
		if m.State != provider.MachineGone {
			owner[m.ID] = reference
			s.upstream.Machines = append(
				s.upstream.Machines,
				sim.MachineStatus{ID: m.ID, Provider: slug, Reference: reference, State: m.State},
			)
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
