package billet

import (
	"encoding/json"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// line tells whether the catalogue takes the text.
func line(s string) bool {
	return s != "" && s == strings.TrimSpace(s) && len(s) <= 128 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, unicode.IsControl)
}

// Whatever the other Billet says of an offer, what we sell of it is believed.
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
		if !line(o.Key) || id.ID(o.Key).Valid(id.Offer) || !line(o.GPUType) || o.Interconnect != "" &&
			!line(o.Interconnect) || !provider.ValidSlug(o.Region) {
			t.Errorf("%+v", o)
		}
		if o.GPUCount < 1 || o.GPUCount > 1_000_000 || o.HourlyPrice <= 0 || o.HourlyPrice > 1_000_000*money.USD ||
			o.MinimumRuntime < 0 {
			t.Errorf("%+v", o)
		}
		for _, n := range []int{o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB} {
			if n < 0 || n > 1_000_000_000 {
				t.Errorf("%+v", o)
			}
		}
		if o.Stock != nil && (*o.Stock < 0 || *o.Stock > 1_000_000 || (*o.Stock > 0) != o.Available) ||
			len(o.OperatingSystems) == 0 || len(o.OperatingSystems) > 64 {
			t.Errorf("%+v", o)
		}
		for i, name := range o.OperatingSystems {
			if !line(name) || slices.Contains(o.OperatingSystems[:i], name) {
				t.Errorf("%q", o.OperatingSystems)
			}
		}
		if back, is := offerID(o.Key); !is || back != one.ID {
			t.Errorf("%q is read back as %q", o.Key, back)
		}
	})
}

// Whatever the other Billet says of a deployment, it is a machine in a state that we know, and a
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
