package main

import (
	"context"
	"fmt"
	"os"

	"billet.test/clients/ogen/api"
	"github.com/ogen-go/ogen/ogenerrors"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// key authenticates with an API key.
type key string

// Bearer sends it.
func (k key) Bearer(context.Context, api.OperationName) (api.Bearer, error) {
	return api.Bearer{Token: string(k)}, nil
}

// ApiKeyHeader is skipped: it is an alternative to Bearer.
func (key) ApiKeyHeader(context.Context, api.OperationName) (api.ApiKeyHeader, error) {
	return api.ApiKeyHeader{}, ogenerrors.ErrSkipClientSecurity
}

// SessionCookie is skipped: it is for browsers.
func (key) SessionCookie(context.Context, api.OperationName) (api.SessionCookie, error) {
	return api.SessionCookie{}, ogenerrors.ErrSkipClientSecurity
}

func run(ctx context.Context) error {
	c, err := api.NewClient(os.Getenv("BILLET_URL"), key(os.Getenv("BILLET_API_KEY")))
	if err != nil {
		return err
	}
	offers, err := c.ListOffers(
		ctx,
		api.ListOffersParams{GpuType: api.NewOptString("NVIDIA B200"), Available: api.NewOptBool(true)},
	)
	if page, is := offers.(*api.OfferPageHeaders); err != nil || !is || len(page.Response.Data) == 0 {
		return fmt.Errorf("offers: %T %v", offers, err)
	}
	quoted, err := c.CreateQuote(ctx, &api.CreateQuote{OfferId: "off_abc123"}, api.CreateQuoteParams{})
	quote, is := quoted.(*api.TermsEnvelopeHeaders)
	if err != nil || !is {
		return fmt.Errorf("quote: %T %v", quoted, err)
	}
	created, err := c.CreateDeployment(ctx, &api.CreateDeployment{
		Name: "ogen", QuoteId: api.NewOptString(quote.Response.Data.QuoteId),
		OperatingSystem: api.NewOptString("Ubuntu 22.04"),
		SSHPublicKey:    api.NewOptString(os.Getenv("SSH_PUBLIC_KEY")),
	}, api.CreateDeploymentParams{IdempotencyKey: api.NewOptString("ogen")})
	made, is := created.(*api.CreateDeploymentCreatedHeaders)
	if err != nil || !is {
		return fmt.Errorf("deploy: %+v %v", created, err)
	}
	return use(ctx, c, made.Response.Data.ID)
}

// use waits for the deployment, lists it, and terminates it.
func use(ctx context.Context, c *api.Client, id string) error {
	wait := func(status api.GetDeploymentWaitFor) error {
		for range 20 {
			answer, err := c.GetDeployment(ctx, api.GetDeploymentParams{
				ID: id, WaitFor: api.NewOptGetDeploymentWaitFor(status), TimeoutSeconds: api.NewOptInt64(20),
			})
			d, is := answer.(*api.GetDeploymentOKHeaders)
			if err != nil || !is {
				return fmt.Errorf("waiting for %s: %+v %v", status, answer, err)
			}
			if string(d.Response.Data.Status) == string(status) {
				return nil
			}
		}
		return fmt.Errorf("the deployment did not become %s", status)
	}
	if err := wait("running"); err != nil {
		return err
	}
	list, err := c.ListDeployments(
		ctx,
		api.ListDeploymentsParams{Status: []api.ListDeploymentsStatusItem{"running", "failed"}},
	)
	if page, is := list.(*api.DeploymentPageHeaders); err != nil || !is || len(page.Response.Data) != 1 {
		return fmt.Errorf("list: %+v %v", list, err)
	}
	none, err := c.GetDeployment(ctx, api.GetDeploymentParams{ID: "dep_none"})
	if r, is := none.(*api.RefusalStatusCodeWithHeaders); err != nil || !is || r.Response.Error.Code != "NOT_FOUND" {
		return fmt.Errorf("none: %+v %v", none, err)
	}
	end, err := c.TerminateDeployment(
		ctx,
		api.TerminateDeploymentParams{ID: id, When: api.NewOptTerminateDeploymentWhen("earliest")},
	)
	if _, is := end.(*api.TerminateDeploymentAccepted); err != nil || !is {
		return fmt.Errorf("terminate: %+v %v", end, err)
	}
	fmt.Println("queued", id)
	return wait("terminated")
}
