package voltagepark_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider"
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
	a, err := voltagepark.New(c.Account())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func conform(t *testing.T, key string) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		c := voltageparktest.Serve(t)
		h := c.Harness(func() provider.Provider { return adapter(t, c) })
		h.OfferKey, h.Region = key, "dallas-usa-5"
		return h
	})
}

func TestConformance(t *testing.T) {
	t.Run("vm", func(t *testing.T) { conform(t, smallVM) })
	for name, key := range map[string]string{"bare metal": "ethernet/8", "cluster": "infiniband/16"} {
		t.Run(name, func(t *testing.T) {
			needsPort22(t)
			conform(t, key)
		})
	}
}

// needsPort22 skips where this process may not have that port: bare metal has no field for another.
func needsPort22(t *testing.T) {
	t.Helper()
	s, err := upstreamtest.ListenSSH("root", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s.Port != 22 {
		t.Skip("port 22 is not for this process")
	}
}
