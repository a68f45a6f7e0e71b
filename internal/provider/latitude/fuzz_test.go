package latitude

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// FuzzOffers parses any plan: the catalog accepts what is offered of it.
func FuzzOffers(f *testing.F) {
	const systems = `{"name":"Ubuntu","slug":"u","provisionable_on":["p"]}`
	f.Add([]byte(`{"slug":"p","features":["user_data"],"specs":{"cpu":{"cores":32,"count":2},`+
		`"memory":{"total":768.5},"drives":[{"count":2,"size":"3.8 TB"}],"gpu":{"count":1,"type":"H100",`+
		`"vram_per_gpu":"80"}},`+
		`"regions":[{"locations":{"available":["DAL"],"in_stock":["DAL"]},`+
		`"pricing":{"USD":{"hour":2.78}}}]}`), []byte(systems), []byte(`{"slug":"DAL","name":"Dallas",`+
		`"country":{"name":"United States"}}`))
	f.Add(
		[]byte(`{"slug":"p","specs":{"drives":[{"count":1e9,"size":"999999999 TB"}],"gpu":{"count":-1,"type":"\n"}},`+
			`"regions":[{"locations":{"available":["-"]},"pricing":{"USD":{"hour":"1e9"}}}]}`),
		[]byte(systems), []byte(`{"country":7}`),
	)
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		var p plan
		var s system
		var r region
		if json.Unmarshal(a, &p) != nil || json.Unmarshal(b, &s) != nil || json.Unmarshal(c, &r) != nil {
			return
		}
		other := s
		other.Slug += "2"
		sold := offers([]plan{p, p}, []system{s, other, s}, []region{r})
		if err := upstreamtest.Believable(sold); err != nil {
			t.Error(err)
		}
		for _, o := range sold {
			if o.Country != "" && !alpha2.MatchString(o.Country) {
				t.Errorf("got the country %q, want a code or none", o.Country)
			}
		}
	})
}

// FuzzServer parses any server: its machine has a known state, and a ready one can
// be reached.
func FuzzServer(f *testing.F) {
	f.Add([]byte(`{"hostname":"dep-01jd0000000000000000000000","status":"on","primary_ipv4":"192.0.2.1",` +
		`"created_at":"2026-01-02T03:04:05+00:00","operating_system":{"slug":"u"}}`))
	f.Add([]byte(`{"hostname":"x","status":"on","primary_ipv4":"nowhere","plan":null,"project":{"id":"p"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readServer(resource{ID: "sv_1", Attributes: b})
		if err != nil {
			if provider.KindOf(err) != provider.KindUnavailable {
				t.Error(err)
			}
			return
		}
		l := &Adapter{account: upstream.Account{Log: slog.New(slog.DiscardHandler), Now: time.Now}}
		l.systems = upstream.NewList(nil, func(context.Context) ([]system, error) { return nil, nil })
		m, err := l.machine(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		switch m.State {
		case provider.MachineProvisioning, provider.MachineOff, provider.MachineFailed:
		case provider.MachineReady:
			if net.ParseIP(m.Address) == nil || m.SSHUser == "" || m.SSHPort != sshPort {
				t.Errorf("%+v", m)
			}
		default:
			t.Errorf("%+v", m)
		}
		if m.Reference != "" && !m.Reference.Valid(id.Deployment) {
			t.Errorf("%+v", m)
		}
	})
}

// An error of any form is explained without a guess that it does not carry.
func FuzzExplain(f *testing.F) {
	f.Add(422, []byte(`{"errors":[{"code":"OUT_OF_STOCK","meta":{"retry_after":5}}]}`))
	f.Add(429, []byte(`{"meta":{"retry_after":"99999999999"}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if e := explain(status, body); e != nil && (e.RetryAfter < 0 || status/100 == 5 && e.Kind != "") {
			t.Errorf("%+v", e)
		}
	})
}
