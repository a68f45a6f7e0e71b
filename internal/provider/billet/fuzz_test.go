package billet

import (
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// FuzzOffer parses any offer of the other Billet: the catalog accepts what is sold of it.
func FuzzOffer(f *testing.F) {
	f.Add([]byte(`{"id":"off_1","provider":"p","gpuType":"NVIDIA B200","gpuCount":8,"gpuMemoryGb":192,"vcpus":208,` +
		`"memoryGb":2048,"storageGb":100,"interconnect":null,"instanceType":"BARE_METAL",` +
		`"region":"dallas-usa-5","regionName":"Dallas","country":"US","operatingSystems":["Ubuntu 22.04"],` +
		`"hourlyPrice":15.12,"available":true,"stock":3,"minimumRuntimeMinutes":25}`))
	f.Add([]byte(`{"id":"off_1","gpuType":"x","gpuCount":1,"instanceType":"VM","region":"a","country":"usa",` +
		`"operatingSystems":["a","a","","b\n"],"hourlyPrice":"1","available":false,"stock":-1,` +
		`"minimumRuntimeMinutes":-5}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var one offer
		if json.Unmarshal(b, &one) != nil {
			return
		}
		o, ok := one.translate(true)
		if !ok {
			return
		}
		if err := upstreamtest.Believable([]provider.Offer{o}); err != nil {
			t.Error(err)
		}
		if id.ID(o.Key).Valid(id.Offer) || o.MinimumRuntime < 0 || o.Stock != nil && (*o.Stock > 0) != o.Available {
			t.Errorf("the key, minimum runtime or stock is invalid: %+v", o)
		}
		if got, ok := offerID(o.Key); !ok || got != one.ID {
			t.Errorf("offerID(%q): got %q, want %q", o.Key, got, one.ID)
		}
	})
}

// FuzzDeployment parses any deployment of the other Billet: its machine has a known state, and a
// ready one can be reached.
func FuzzDeployment(f *testing.F) {
	f.Add([]byte(`{"id":"dep_1","name":"dep-01jd0000000000000000000000","status":"running","ipAddress":"192.0.2.1",` +
		`"sshUser":"root","sshPort":22,"sshHostKeys":["192.0.2.1 ssh-ed25519 AAAA","[h]:1 ecdsa-sha2-nistp256 B c"],` +
		`"tags":["billet:dep-01jd0000000000000000000000"],"pendingAction":null,"createdAt":"2026-01-02T03:04:05Z",` +
		`"steps":[{"status":"active","detail":null}]}`))
	f.Add([]byte(`{"id":"dep_1","tags":["billet:","x"],"status":"dreaming","sshPort":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var d deployment
		if json.Unmarshal(text, &d) != nil {
			return
		}
		b := &Adapter{account: upstream.Account{Log: slog.New(slog.DiscardHandler), Now: time.Now}}
		m := b.machine(t.Context(), d)
		switch m.State {
		case provider.MachineProvisioning, provider.MachineOff, provider.MachineTerminating, provider.MachineFailed,
			provider.MachineLost, provider.MachineGone:
		case provider.MachineReady:
			if net.ParseIP(m.Address) == nil || m.SSHUser == "" || m.SSHPort < 1 || m.SSHPort > 65535 {
				t.Errorf("%+v", m)
			}
		default:
			t.Errorf("%+v", m)
		}
		for _, l := range m.SSHHostKeys {
			if len(strings.Fields(l)) != 2 {
				t.Errorf("%q", l)
			}
		}
		if m.Reference != "" && !m.Reference.Valid(id.Deployment) {
			t.Errorf("%+v", m)
		}
	})
}

// A refusal without a code of ours is left to its status, and nothing but a refusal decides.
func FuzzExplain(f *testing.F) {
	f.Add(400, []byte(`{"success":false,"error":{"code":"OFFER_UNAVAILABLE","message":"m"}}`))
	f.Add(502, []byte(`{"error":"OFFER_UNAVAILABLE"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if e := explain(status, body); e != nil && (status < 400 || status > 499 || e.Kind == "") {
			t.Errorf("%d %q: %+v", status, body, e)
		}
	})
}
