package latitude_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/latitude"
	"github.com/billetcloud/billet/internal/provider/latitude/latitudetest"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

func open(t *testing.T, c *latitudetest.Cloud) *latitude.Adapter {
	t.Helper()
	return upstreamtest.Open(t, c.Account(), latitude.New)
}

func TestConformance(t *testing.T) {
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
		h := upstreamtest.Harness(t, &c.Fake, latitude.New)
		h.Port = c.Port
		return h
	})
}
