package shadeform_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/shadeform"
	"github.com/billetcloud/billet/internal/provider/shadeform/shadeformtest"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

func open(t *testing.T, cloud *shadeformtest.Cloud) *shadeform.Adapter {
	t.Helper()
	return upstreamtest.Open(t, cloud.Account(), shadeform.New)
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		cloud := shadeformtest.Serve(t)
		return upstreamtest.Harness(t, &cloud.Fake, shadeform.New)
	})
}
