package latitude_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/latitude"
	"github.com/billetcloud/billet/internal/provider/latitude/latitudetest"
	"github.com/billetcloud/billet/internal/provider/providertest"
)

func open(t *testing.T, c *latitudetest.Cloud) *latitude.Adapter {
	t.Helper()
	l, err := latitude.New(c.Account())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ported has SSH where the fake could put it: this process may not have been allowed to take port 22.
type ported struct {
	*latitude.Adapter
	cloud *latitudetest.Cloud
}

func (p ported) at(m provider.Machine, err error) (provider.Machine, error) {
	if port := p.cloud.Port(m.Address); port != 0 {
		m.SSHPort = port
	}
	return m, err
}

func (p ported) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	return p.at(p.Adapter.Launch(ctx, r))
}

func (p ported) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	return p.at(p.Adapter.Machine(ctx, reference))
}

func TestConforms(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		c := latitudetest.Serve(t)
		t.Cleanup(func() {
			c.Advance(time.Minute)
			if left := c.MachineIDs(); len(left) != 0 {
				t.Errorf("left at the cloud: %v", left)
			}
			if n := c.Throttled(); n > 0 {
				t.Errorf("%d requests were more than the limits allow", n)
			}
		})
		return c.Harness(func() provider.Provider { return ported{open(t, c), c} })
	})
}
