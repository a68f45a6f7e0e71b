package voltagepark_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
	"github.com/billetcloud/billet/internal/provider/voltagepark"
	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
)

const smallVM = "vm/33333333-3333-3333-3333-333333333333"

// open returns the adapter of a fresh cloud.
func open(t *testing.T) (*voltagepark.Adapter, *voltageparktest.Cloud) {
	t.Helper()
	c := voltageparktest.Serve(t)
	return adapter(t, c), c
}

func adapter(t *testing.T, c *voltageparktest.Cloud) *voltagepark.Adapter {
	t.Helper()
	return upstreamtest.Open(t, c.Account(), voltagepark.New)
}

func TestConformance(t *testing.T) {
	for name, key := range map[string]string{"vm": smallVM, "bare metal": "ethernet/8", "cluster": "infiniband/16"} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Harness {
				c := voltageparktest.Serve(t)
				h := upstreamtest.Harness(t, &c.Fake, voltagepark.New)
				if h.OfferKey, h.Region = key, "dallas-usa-5"; key != smallVM { // of which alone the API has a port
					h.Port = c.Port
				}
				return h
			})
		})
	}
}
