package lambda_test

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/id"
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

// ported takes the fake's machines from where they really listen: the API has no port, and not every process may listen at 22.
type ported struct {
	*lambda.Adapter
	cloud *lambdatest.Cloud
}

func (p ported) at(m provider.Machine, err error) (provider.Machine, error) {
	if port := p.cloud.Port(m.Address); port != 0 {
		m.SSHPort = port
	}
	return m, err
}

func (p ported) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	return p.at(p.Adapter.Launch(ctx, r))
}

func (p ported) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	return p.at(p.Adapter.Machine(ctx, reference))
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		cloud := lambdatest.Serve(t)
		return cloud.Harness(func() provider.Provider { return ported{open(t, cloud), cloud} })
	})
}
