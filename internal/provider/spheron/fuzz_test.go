package spheron

import (
	"encoding/json"
	"net"
	"slices"
	"testing"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// FuzzOffers reads any page of offers: the catalogue would take each that comes of it, and each can be told from the others.
func FuzzOffers(f *testing.F) {
	f.Add([]byte(`{"data":[{"gpuType":"h100-sxm5-baremetal","offers":[{"provider":"p","offerId":"o","gpuCount":8,"gpu_memory":80,"vcpus":8.5,"price":1.5,"available":true,"clusters":["c","C","d"],"os_options":["u","u"],"instanceType":"DEDICATED","interconnectType":"SXM5","minimumRuntimeMinutes":99}]}],"total":1}`))
	f.Add([]byte(`{"data":[{"gpuType":"x","offers":[{"provider":"p\u0000","offerId":" ","gpuCount":"1","price":"1e2","region":"é","os_options":[""],"instanceType":"SPOT"}, 7]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p page
		if json.Unmarshal(b, &p) != nil || p.Data == nil {
			return
		}
		a, err := New(upstream.Account{Slug: "spheron", Credential: "k"})
		if err != nil {
			t.Fatal(err)
		}
		offers, err := a.readGroups(t.Context(), *p.Data)
		if err != nil {
			return
		}
		seen := map[[2]string]bool{}
		for _, o := range offers {
			at := [2]string{o.Region, o.Key}
			for _, text := range []string{o.Key, o.GPUType, o.RegionName} {
				if text == "" || text != clean(text) {
					t.Errorf("%q of %+v", text, o)
				}
			}
			if seen[at] || !provider.ValidSlug(o.Region) || o.Interconnect != clean(o.Interconnect) || o.HourlyPrice <= 0 || o.HourlyPrice > 1_000_000*money.USD ||
				o.GPUCount < 1 || o.GPUCount > maxCount || min(o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB) < 0 || max(o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB) > 1_000_000_000 || o.MinimumRuntime < minimumRuntime {
				t.Errorf("%+v", o)
			}
			if n := len(o.OperatingSystems); n == 0 || n > maxSystems {
				t.Errorf("%d operating systems", n)
			}
			for i, s := range o.OperatingSystems {
				if s == "" || s != clean(s) || slices.Contains(o.OperatingSystems[:i], s) {
					t.Errorf("operating systems %q", o.OperatingSystems)
				}
			}
			seen[at] = true
		}
	})
}

// FuzzDeployments reads any list of machines: one that is ready has an address, and no other is said to be.
func FuzzDeployments(f *testing.F) {
	f.Add([]byte(`[{"id":"1","name":"dep-01jd","status":"running","ipAddress":"10.0.0.1","sshPort":"22","user":null,"createdAt":"2026-01-01T00:00:00Z"}]`))
	f.Add([]byte(`{"deployments":[{"id":"1","status":"RUNNING","ipAddress":"nowhere","sshPort":99999999,"createdAt":7},{"id":"2","status":"odd"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l deployments
		if json.Unmarshal(b, &l) != nil {
			return
		}
		a, err := New(upstream.Account{Slug: "spheron", Credential: "k"})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range l.all {
			m := a.machine(t.Context(), upstream.Marked(d.Name, id.Deployment), d)
			ready := m.State == provider.MachineReady
			if m.ID == "" || ready != (net.ParseIP(m.Address) != nil) || ready != (m.SSHUser != "") || ready != (m.SSHPort > 0 && m.SSHPort < 1<<16) {
				t.Errorf("%+v of %+v", m, d)
			}
		}
	})
}
