package spheron_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/spheron"
	"github.com/billetcloud/billet/internal/provider/spheron/spherontest"
)

func open(t *testing.T, c *spherontest.Cloud) *spheron.Adapter {
	t.Helper()
	a, err := spheron.New(c.Account())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		c := spherontest.Serve(t)
		return c.Harness(func() provider.Provider { return open(t, c) })
	})
}
