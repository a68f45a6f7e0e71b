package lambda_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/lambda"
	"github.com/billetcloud/billet/internal/provider/lambda/lambdatest"
	"github.com/billetcloud/billet/internal/provider/providertest"
)

func open(t *testing.T, cloud *lambdatest.Cloud) *lambda.Adapter {
	t.Helper()
	a, err := lambda.New(cloud.Account())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		cloud := lambdatest.Serve(t)
		h := cloud.Harness(func() provider.Provider { return open(t, cloud) })
		h.Port = cloud.Port
		return h
	})
}
