package voltagepark_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
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
	a, err := voltagepark.New(c.Account())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestConformance(t *testing.T) {
	for name, key := range map[string]string{"vm": smallVM, "bare metal": "ethernet/8", "cluster": "infiniband/16"} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Harness {
				c := voltageparktest.Serve(t)
				h := c.Harness(func() provider.Provider { return adapter(t, c) })
				if h.OfferKey, h.Region = key, "dallas-usa-5"; key != smallVM { // of which alone the API has a port
					h.Port = c.Port
				}
				return h
			})
		})
	}
}
