package spheron_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/spheron"
	"github.com/billetcloud/billet/internal/provider/spheron/spherontest"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		c := spherontest.Serve(t)
		return upstreamtest.Harness(t, &c.Fake, spheron.New)
	})
}
