package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/billetcloud/billet/client"
)

// Deploy the cheapest offer with eight B200s, wait for SSH, and terminate it as early as possible.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	c, err := client.New(client.ConfigFromEnv())
	if err != nil {
		log.Fatal(err)
	}
	offers, err := c.Offers.List(
		ctx,
		client.OfferQuery{
			GPUType:   "NVIDIA B200",
			GPUCount:  8,
			Available: new(true),
			Sort:      "price",
			Paging:    client.Paging{Limit: 1},
		},
	)
	if err != nil || len(offers.Items) == 0 {
		log.Fatal("nothing is available: ", err)
	}
	offer := offers.Items[0]
	public, err := os.ReadFile("id_ed25519.pub")
	if err != nil {
		log.Fatal(err)
	}
	d, err := c.Deployments.Create(ctx, client.CreateDeployment{
		Name: "training", OfferID: offer.ID, OperatingSystem: offer.OperatingSystems[0], SSHPublicKey: string(public),
		MaxHourlyPrice: &offer.HourlyPrice, AutoTerminateAt: time.Now().Add(12 * time.Hour),
	})
	if err != nil {
		log.Fatal(err)
	}
	d, err = c.Deployments.WaitForRunning(ctx, d.ID, func(d *client.Deployment) { fmt.Println(d.Status) })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*d.SSHCommand)
	if _, err := c.Deployments.TerminateEarliest(ctx, d.ID); err != nil {
		log.Fatal(err)
	}
}

// answering returns a client of a server that always sends the same response.
func answering(status int, body string) (*client.Client, func()) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "60")
		w.Header().Set("X-RateLimit-Remaining", "59")
		w.Header().Set("X-Request-Id", "req_1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	c, err := client.New(client.Config{BaseURL: s.URL, APIKey: "pk_live_example"})
	if err != nil {
		panic(err)
	}
	return c, s.Close
}

func ExampleError() {
	c, end := answering(
		http.StatusPaymentRequired,
		`{"success":false,"error":{"code":"INSUFFICIENT_BALANCE","message":"You need at least $50.00 to deploy."}}`,
	)
	defer end()
	_, err := c.Deployments.Create(context.Background(),
		client.CreateDeployment{Name: "training", OfferID: "off_abc123", SSHKeyID: "ssh_1"})
	if e, is := errors.AsType[*client.Error](err); is && e.Code == client.ErrInsufficientBalance {
		fmt.Println("Top up first:", e.Message)
	} else if err != nil {
		log.Fatal(err)
	}
	// Output: Top up first: You need at least $50.00 to deploy.
}

func ExampleWithResponse() {
	c, end := answering(http.StatusOK, `{"success":true,"data":{"balance":120.5,"available":68.26}}`)
	defer end()
	var r client.Response
	w, err := c.Wallet.Get(context.Background(), client.WithResponse(&r))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s to spend; %d of %d reads left (%s)\n", w.Available, r.Rate.Remaining, r.Rate.Limit, r.RequestID)
	// Output: $68.26 to spend; 59 of 60 reads left (req_1)
}

func ExampleDeploymentService_All() {
	c, end := answering(
		http.StatusOK,
		`{"success":true,"data":[{"id":"dep_2","name":"b"},{"id":"dep_1","name":"a"}],
			"pagination":{"page":1,"limit":100,"total":2,"totalPages":1}}`,
	)
	defer end()
	running := client.DeploymentQuery{Statuses: []client.DeploymentStatus{client.DeploymentRunning}}
	for d, err := range c.Deployments.All(context.Background(), running) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(d.ID, d.Name)
	}
	// Output:
	// dep_2 b
	// dep_1 a
}

func ExampleParseMoney() {
	budget, err := client.ParseMoney("19.92")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(budget, budget*24, int64(budget))
	// Output: $19.92 $478.08 19920000
}

// Follow the account. The id of the last processed event is saved, so that no event is missed
// across restarts.
func ExampleEventService_Stream() {
	c, err := client.New(client.ConfigFromEnv())
	if err != nil {
		log.Fatal(err)
	}
	last, _ := os.ReadFile("last-event")
	filter := client.EventFilter{Types: []string{"deployment.running", "deployment.failed"}}
	for e, err := range c.Events.Stream(context.Background(), string(last), filter) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.CreatedAt, e.Type, e.Subject)
		if err := os.WriteFile("last-event", []byte(e.ID), 0o600); err != nil {
			log.Fatal(err)
		}
	}
}

// A program that can be restarted derives the key of a deploy from its own job, so that the same
// job never deploys twice within 24 hours.
func ExampleWithIdempotencyKey() {
	c, end := answering(http.StatusCreated, `{"success":true,"data":{"id":"dep_1","status":"pending"}}`)
	defer end()
	d, err := c.Deployments.Create(context.Background(),
		client.CreateDeployment{Name: "nightly", OfferID: "off_abc123", SSHKeyID: "ssh_1"},
		client.WithIdempotencyKey("nightly-2028-02-29"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.ID, d.Status)
	// Output: dep_1 pending
}
