package billet_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/billet"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
	"github.com/billetcloud/billet/test/servertest"
)

// other is an account at a real server, behind a proxy that can inject faults.
type other struct {
	*upstreamtest.Server
	t       *testing.T
	server  *servertest.Server
	key     string
	revoked atomic.Bool
}

// connect creates an account at the server.
func connect(t *testing.T, server *servertest.Server, credit string) *other {
	t.Helper()
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	o := &other{t: t, server: server}
	_, o.key = server.Key(credit, "--read-limit", "100000", "--write-limit", "100000", "--deploy-limit", "100000")
	o.Server = upstreamtest.Serve(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		if o.revoked.Load() {
			r.Out.Header.Set("Authorization", "Bearer "+o.key+"0")
		}
	}})
	return o
}

// pass advances the clocks of both sides.
func (o *other) pass(d time.Duration) {
	o.Advance(d)
	o.server.Advance(d.String())
}

func (o *other) account() upstream.Account {
	a := o.Account("other")
	a.Credential, a.Name, a.Version, a.PrivateAddresses = o.key, "The other Billet", "test", true
	a.Settings = map[string]string{"reads-per-minute": "100000", "writes-per-minute": "100000"}
	return a
}

func (o *other) open() *billet.Adapter {
	o.t.Helper()
	b, err := billet.New(o.account())
	if err != nil {
		o.t.Fatal(err)
	}
	return b
}

// offer returns an offer with those capabilities and several in stock.
func (o *other) offer(can provider.Capabilities) provider.Offer {
	o.t.Helper()
	all, err := o.open().Offers(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	for _, one := range all {
		if one.Capabilities == can && one.Available && (one.Stock == nil || *one.Stock > 2) {
			return one
		}
	}
	o.t.Fatalf("none of %d offers has %+v", len(all), can)
	return provider.Offer{}
}

// machineCount counts the account's deployments that have not ended.
func (o *other) machineCount() int {
	o.t.Helper()
	a := o.server.Call(
		o.key, http.MethodGet, "/deployments?limit=100&status=pending,deploying,running,stopped,terminating", nil,
	)
	if a.Status != http.StatusOK {
		o.t.Fatalf("%d %s", a.Status, a.Body)
	}
	return len(a.List)
}

// patient ends machines as Billet does: before the minimum runtime it waits for as long as stated.
type patient struct {
	*billet.Adapter
	pass func(d time.Duration)
}

func (p patient) Terminate(ctx context.Context, reference id.ID) error {
	for {
		err := p.Adapter.Terminate(ctx, reference)
		e, is := errors.AsType[*provider.Error](err)
		if !is || e.Kind != provider.KindRejected || e.RetryAfter <= 0 {
			return err
		}
		p.pass(e.RetryAfter) // it begins again when the machine is ready
	}
}

func TestConformance(t *testing.T) {
	server := servertest.Start(t, "--sim", "--sim-machines", "banner")
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		o := connect(t, server, "100000")
		t.Cleanup(func() {
			if n := o.machineCount(); n != 0 {
				t.Errorf("got %d deployments after the test, want none", n)
			}
		})
		everything := o.offer(
			provider.Capabilities{Reboot: true, Power: true, Reinstall: true, Volumes: true, CloudInit: true},
		)
		open := func() provider.Provider { return patient{o.open(), o.pass} }
		return providertest.Harness{
			Provider: open(), Advance: o.pass, Reopen: open, Settle: o.Settle, OfferKey: everything.Key,
			Region: everything.Region,
			Cloud: &providertest.Cloud{
				InjectFault: o.InjectFault, ClearFaults: o.ClearFaults, MachineCount: o.machineCount,
				Revoke: o.revoked.Store,
			},
		}
	})
}
