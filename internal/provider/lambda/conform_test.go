package lambda_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider/lambda"
	"github.com/billetcloud/billet/internal/provider/lambda/lambdatest"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

func open(t *testing.T, cloud *lambdatest.Cloud) *lambda.Adapter {
	t.Helper()
	return upstreamtest.Open(t, cloud.Account(), lambda.New)
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		cloud := lambdatest.Serve(t)
		h := upstreamtest.Harness(t, &cloud.Fake, lambda.New)
		h.Port = cloud.Port
		return h
	})
}
