package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"billet.test/clients/oapi/api"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	key := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Getenv("BILLET_API_KEY"))
		return nil
	}
	c, err := api.NewClientWithResponses(os.Getenv("BILLET_URL"), api.WithRequestEditorFn(key))
	if err != nil {
		return err
	}
	offers, err := c.ListOffersWithResponse(
		ctx,
		&api.ListOffersParams{GpuType: new("NVIDIA B200"), Available: new(true)},
	)
	if err != nil || offers.JSON200 == nil || len(offers.JSON200.Data) == 0 {
		return fmt.Errorf("offers: %v %s", err, offers.Body)
	}
	quote, err := c.CreateQuoteWithResponse(ctx, nil, api.CreateQuote{OfferId: "off_abc123"})
	if err != nil || quote.JSON201 == nil {
		return fmt.Errorf("quote: %v %s", err, quote.Body)
	}
	made, err := c.CreateDeploymentWithResponse(
		ctx,
		&api.CreateDeploymentParams{IdempotencyKey: new("oapi")},
		api.CreateDeployment{
			Name: "oapi", QuoteId: &quote.JSON201.Data.QuoteId, OperatingSystem: new("Ubuntu 22.04"),
			SshPublicKey: new(os.Getenv("SSH_PUBLIC_KEY")),
		},
	)
	if err != nil || made.JSON201 == nil {
		return fmt.Errorf("deploy: %v %s", err, made.Body)
	}
	return use(ctx, c, made.JSON201.Data.Id)
}

// use waits for the deployment, lists it, and terminates it.
func use(ctx context.Context, c *api.ClientWithResponses, id string) error {
	wait := func(status api.GetDeploymentParamsWaitFor) error {
		for range 20 {
			d, err := c.GetDeploymentWithResponse(
				ctx,
				id,
				&api.GetDeploymentParams{WaitFor: &status, TimeoutSeconds: new(int64(20))},
			)
			if err != nil || d.JSON200 == nil {
				return fmt.Errorf("waiting for %s: %v %s", status, err, d.Body)
			}
			if string(d.JSON200.Data.Status) == string(status) {
				return nil
			}
		}
		return fmt.Errorf("the deployment did not become %s", status)
	}
	if err := wait("running"); err != nil {
		return err
	}
	list, err := c.ListDeploymentsWithResponse(
		ctx,
		&api.ListDeploymentsParams{Status: &[]api.ListDeploymentsParamsStatus{"running", "failed"}},
	)
	if err != nil || list.JSON200 == nil || len(list.JSON200.Data) != 1 {
		return fmt.Errorf("list: %v %s", err, list.Body)
	}
	none, err := c.GetDeploymentWithResponse(ctx, "dep_none", nil)
	if err != nil || none.JSON4XX == nil || none.JSON4XX.Error.Code != "NOT_FOUND" {
		return fmt.Errorf("none: %v %s", err, none.Body)
	}
	end, err := c.TerminateDeploymentWithResponse(
		ctx,
		id,
		&api.TerminateDeploymentParams{When: new(api.TerminateDeploymentParamsWhen("earliest"))},
	)
	if err != nil || end.JSON202 == nil || end.JSON202.Data.AutoTerminateAt == nil {
		return fmt.Errorf("terminate: %v %s", err, end.Body)
	}
	fmt.Println("queued", id)
	return wait("terminated")
}
