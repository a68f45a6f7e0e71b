package spheron

import (
	"encoding/json"
	"net"
	"testing"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// FuzzOffers parses any page of offers: the catalog accepts each that is returned, and each is
// unique.
func FuzzOffers(f *testing.F) {
	f.Add([]byte(`{"data":[{"gpuType":"h100-sxm5-baremetal","offers":[{"provider":"p","offerId":"o","gpuCount":8,` +
		`"gpu_memory":80,"vcpus":8.5,"price":1.5,"available":true,"clusters":["c","C","d"],"os_options":["u","u"],` +
		`"instanceType":"DEDICATED","interconnectType":"SXM5","minimumRuntimeMinutes":99}]}],"total":1}`))
	f.Add([]byte(`{"data":[{"gpuType":"x","offers":[{"provider":"p\u0000","offerId":" ","gpuCount":"1",` +
		`"price":"1e2","region":"é","os_options":[""],"instanceType":"SPOT"}, 7]}]}`))
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
		var all []provider.Offer
		for _, o := range offers {
			if all = append(all, o.Offer); o.MinimumRuntime < minimumRuntime {
				t.Errorf(
					"got a minimum runtime of %s for %s, want at least %s", o.MinimumRuntime, o.Key, minimumRuntime,
				)
			}
		}
		if err := upstreamtest.Believable(all); err != nil {
			t.Error(err)
		}
	})
}

// FuzzDeployments parses any list of machines: a machine is ready exactly where it has an address.
func FuzzDeployments(f *testing.F) {
	f.Add([]byte(`[{"id":"1","name":"dep-01jd","status":"running","ipAddress":"10.0.0.1","sshPort":"22","user":null,` +
		`"createdAt":"2026-01-01T00:00:00Z"}]`))
	f.Add([]byte(`{"deployments":[{"id":"1","status":"RUNNING","ipAddress":"nowhere","sshPort":99999999,` +
		`"createdAt":7},{"id":"2","status":"odd"}]}`))
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
			m := a.machine(t.Context(), upstream.ParseMark(id.Deployment, d.Name), d)
			ready := m.State == provider.MachineReady
			if m.ID == "" || ready != (net.ParseIP(m.Address) != nil) || ready != (m.SSHUser != "") ||
				ready != (m.SSHPort > 0 && m.SSHPort < 1<<16) {
				t.Errorf("%+v of %+v", m, d)
			}
		}
	})
}
