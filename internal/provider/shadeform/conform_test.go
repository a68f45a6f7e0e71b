package shadeform_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/shadeform"
	"github.com/billetcloud/billet/internal/provider/shadeform/shadeformtest"
)

func open(t *testing.T, cloud *shadeformtest.Cloud) *shadeform.Adapter {
	t.Helper()
	a, err := shadeform.New(cloud.Account())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		cloud := shadeformtest.Serve(t)
		return cloud.Harness(func() provider.Provider { return open(t, cloud) })
	})
}
