package client_test

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/test/servertest"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZwpBijBd19lrp1GO7KtPM2MVlY6axv+5hGmH8ABvX8 sdk@example"

// between is a proxy in front of the real server that loses a number of responses to each kind of
// request.
type between struct {
	server *servertest.Server
	mu     sync.Mutex
	lose   map[string]int // by method
	lost   map[string]int
}

func (b *between) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	q, err := http.NewRequestWithContext(r.Context(), r.Method, b.server.URL+r.URL.RequestURI(), r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	q.Header, q.ContentLength = r.Header.Clone(), r.ContentLength
	resp, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = resp.Body.Close() }()
	b.mu.Lock()
	lose := b.lose[r.Method] > 0
	if lose {
		b.lose[r.Method]--
		b.lost[r.Method]++
	}
	b.mu.Unlock()
	if lose { // the effect is there, the answer is not
		_, _ = io.Copy(io.Discard, resp.Body)
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Header {
		out.Header()[name] = values
	}
	out.WriteHeader(resp.StatusCode)
	to := http.NewResponseController(out)
	buffer := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buffer)
		if _, failed := out.Write(buffer[:n]); failed != nil {
			return
		}
		_ = to.Flush()
		if err == io.EOF {
			return
		} else if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func (b *between) loses(method string, answers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose[method] = answers
}

// onSimulator is a running server, and a client whose waits move the simulated clock.
func onSimulator(t *testing.T, flags ...string) (*client.Client, *servertest.Server, *between) {
	t.Helper()
	s := servertest.Start(t, append([]string{"--sim"}, flags...)...)
	_, key := s.Key("5000")
	b := &between{server: s, lose: map[string]int{}, lost: map[string]int{}}
	front := httptest.NewServer(b)
	t.Cleanup(front.Close)
	c, err := client.New(client.Config{
		BaseURL: front.URL, APIKey: key, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.Advance(d.Round(time.Second).String())
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, s, b
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestDeploymentLifecycle goes through the life of a machine and a volume on the real server.
func TestDeploymentLifecycle(t *testing.T) {
	c, s, _ := onSimulator(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	machine, disk := must[*client.Deployment](t), must[*client.Volume](t)
	testIndexAndOffers(ctx, t, c)
	k := must[*client.SSHKey](t)(c.SSHKeys.Create(ctx, client.CreateSSHKey{Name: "laptop", PublicKey: publicKey}))
	d := testDeploy(ctx, t, c, s, k)
	v := testVolume(ctx, t, c, d)
	if _, err := c.Deployments.Reboot(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	machine(c.Deployments.WaitForAction(ctx, d.ID))
	testEnd(ctx, t, c, s, d)
	disk(c.Volumes.Wait(ctx, v.ID, client.VolumeAvailable, nil))
	disk(c.Volumes.Delete(ctx, v.ID))
	disk(c.Volumes.Wait(ctx, v.ID, client.VolumeDeleted, nil))
	testStatement(ctx, t, c, d)
	if err := c.SSHKeys.Delete(ctx, k.ID); err != nil {
		t.Error(err)
	}
}

// testIndexAndOffers reads what there is before anything is rented.
func testIndexAndOffers(ctx context.Context, t *testing.T, c *client.Client) {
	t.Helper()
	if i := must[*client.Index](t)(c.Index(ctx)); i.OpenAPI == "" || len(i.Collections) == 0 {
		t.Errorf("%+v", i)
	}
	if k := must[*client.Key](t)(c.Key.Get(ctx)); k.Name != "test" || k.Account.Name != "test" || k.Spending != nil ||
		!slices.Contains(k.Scopes, client.ScopeWriteDeployments) {
		t.Errorf("%+v", k)
	}
	var offers []client.Offer
	query := client.OfferQuery{
		Search: "b200", Provider: "voltage-park", Available: new(true), MaxHourlyPrice: new(client.Dollars(1000)),
	}
	for o, err := range c.Offers.All(ctx, query) {
		if err != nil {
			t.Fatal(err)
		}
		offers = append(offers, o)
	}
	i := slices.IndexFunc(offers, func(o client.Offer) bool { return o.ID == "off_abc123" })
	if i < 0 || offers[i].GPUType != "NVIDIA B200" || offers[i].GPUCount != 8 ||
		offers[i].InstanceType != client.BareMetal ||
		!offers[i].Capabilities.Volumes {
		t.Fatalf("%+v", offers)
	}
	check := client.CheckOffers{GPUType: "NVIDIA B200", Count: 2}
	if got := must[*client.Capacity](t)(c.Offers.Check(ctx, check)); !got.Enough ||
		got.Found != 2 {
		t.Errorf("%+v", got)
	}
	if h := must[*client.PriceHistory](t)(c.Offers.PriceHistory(ctx, "off_abc123", client.PriceHistoryQuery{})); len(
		h.Points,
	) == 0 {
		t.Errorf("%+v", h)
	}
}

// testDeploy deploys by a quote, and returns the running deployment.
func testDeploy(
	ctx context.Context, t *testing.T, c *client.Client, s *servertest.Server, k *client.SSHKey,
) *client.Deployment {
	t.Helper()
	machine := must[*client.Deployment](t)
	quote := must[*client.Quote](t)(c.Quotes.Create(ctx, "off_abc123"))
	in := client.CreateDeployment{
		Name:     "training",
		QuoteID:  quote.QuoteID,
		SSHKeyID: k.ID,
		Tags:     []string{"sdk"},
		DryRun:   true,
	}
	if d := machine(c.Deployments.Create(ctx, in)); !d.DryRun || d.ID != "" || d.HourlyPrice != quote.HourlyPrice {
		t.Errorf("dry run: %+v", d)
	}
	in.DryRun = false
	d := machine(c.Deployments.Create(ctx, in))
	s.Advance("10s")
	progress := 0
	d = machine(c.Deployments.WaitForRunning(ctx, d.ID, func(*client.Deployment) { progress++ }))
	if d.SSHCommand == nil || d.IPAddress == nil || len(d.SSHHostKeys) == 0 || d.StartedAt == nil || progress == 0 ||
		*d.SSHKeys[0].ID != k.ID {
		t.Errorf("running: %+v", d)
	}
	return d
}

// testVolume creates a volume and attaches it to the deployment.
func testVolume(ctx context.Context, t *testing.T, c *client.Client, d *client.Deployment) *client.Volume {
	t.Helper()
	disk := must[*client.Volume](t)
	v := disk(
		c.Volumes.Create(ctx, client.CreateVolume{Name: "data", Provider: d.Provider, Region: d.Region, SizeGB: 100}),
	)
	disk(c.Volumes.Wait(ctx, v.ID, client.VolumeAvailable, nil))
	disk(c.Volumes.Attach(ctx, v.ID, d.ID))
	if v = disk(c.Volumes.Wait(ctx, v.ID, client.VolumeAttached, nil)); v.MountPath == nil || *v.AttachedTo != d.ID {
		t.Errorf("attached: %+v", v)
	}
	if _, err := c.Volumes.Delete(ctx, v.ID); !errors.Is(err, client.ErrConflict) {
		t.Errorf("deleted while attached: %v", err)
	}
	return v
}

// testEnd updates the deployment, and terminates it as soon as that is possible.
func testEnd(ctx context.Context, t *testing.T, c *client.Client, s *servertest.Server, d *client.Deployment) {
	t.Helper()
	machine := must[*client.Deployment](t)
	_, err := c.Deployments.Terminate(ctx, d.ID)
	if e, is := errors.AsType[*client.Error](err); !is || !errors.Is(err, client.ErrMinimumRuntimeNotMet) ||
		e.RetryAfter < time.Minute ||
		e.Details["terminableAt"] == nil {
		t.Fatalf("too early: %v", err)
	}
	d = machine(
		c.Deployments.Update(
			ctx,
			d.ID,
			client.UpdateDeployment{
				TerminationProtection: new(true),
				Tags:                  []string{},
				AutoTerminateAt:       client.SetTo(d.TerminableAt.Add(time.Hour)),
			},
		),
	)
	if !d.TerminationProtection || len(d.Tags) != 0 || d.AutoTerminateAt == nil {
		t.Errorf("updated: %+v", d)
	}
	d = machine(
		c.Deployments.Update(ctx, d.ID,
			client.UpdateDeployment{TerminationProtection: new(false), AutoTerminateAt: client.Clear[time.Time]()}),
	)
	if d.TerminationProtection || d.AutoTerminateAt != nil || d.Name != "training" {
		t.Errorf("updated again: %+v", d)
	}
	if d = machine(c.Deployments.TerminateEarliest(ctx, d.ID)); d.AutoTerminateAt == nil ||
		!d.AutoTerminateAt.Equal(d.TerminableAt) {
		t.Errorf("planned: %+v", d)
	}
	s.Advance("30m")
	d = machine(c.Deployments.Wait(ctx, d.ID, client.DeploymentTerminated, nil))
	if _, err := c.Deployments.WaitForRunning(ctx, d.ID, nil); !errors.As(err, new(*client.DeploymentEndedError)) {
		t.Errorf("waited for what has ended: %v", err)
	}
}

// testStatement checks that the statement, page by page and as a table, adds up to what the wallet
// has.
func testStatement(ctx context.Context, t *testing.T, c *client.Client, d *client.Deployment) {
	t.Helper()
	w := must[*client.Wallet](t)(c.Wallet.Get(ctx))
	sum, lines := client.Money(0), 0
	for line, err := range c.Wallet.AllTransactions(ctx, client.TransactionQuery{Paging: client.Paging{Limit: 3}}) {
		if err != nil {
			t.Fatal(err)
		}
		sum, lines = sum+line.Amount, lines+1
	}
	if sum != w.Available || w.Held != 0 || w.Available >= client.Dollars(5000) || lines < 5 {
		t.Errorf("%d lines add up to %s, and there is %s", lines, sum, w.Available)
	}
	table := must[io.ReadCloser](t)(c.Wallet.TransactionsCSV(ctx, client.TransactionQuery{}))
	rows, err := csv.NewReader(table).ReadAll()
	if err != nil || len(rows) != lines+1 || table.Close() != nil {
		t.Errorf("the table has %d rows for %d lines: %v", len(rows), lines, err)
	}
	usage := must[*client.Usage](
		t,
	)(c.Wallet.Usage(ctx, client.UsageQuery{From: d.CreatedAt.Add(-time.Hour), GroupBy: client.ByDeployment}))
	if usage.Total != client.Dollars(5000)-w.Available || len(usage.Groups) != 2 {
		t.Errorf("%+v", usage)
	}
}

// TestLostResponseHasOneEffect checks that everything happens once when responses are lost.
func TestLostResponseHasOneEffect(t *testing.T) {
	c, s, b := onSimulator(t)
	ctx := t.Context()
	var r client.Response
	b.loses("POST", 3)
	d, err := c.Deployments.Create(
		ctx,
		client.CreateDeployment{
			Name:            "once",
			OfferID:         "off_abc123",
			OperatingSystem: "Ubuntu 22.04",
			SSHPublicKey:    publicKey,
		},
		client.WithResponse(&r),
	)
	if err != nil || r.Attempts != 4 || !r.Replayed || r.StatusCode != http.StatusCreated || r.Rate.Limit != 5 ||
		r.Rate.Remaining != 1 ||
		!strings.HasPrefix(r.RequestID, "req_") {
		t.Fatalf("%v, %+v", err, r)
	}
	if p, err := c.Deployments.List(ctx, client.DeploymentQuery{}); err != nil || p.Total != 1 ||
		p.Items[0].ID != d.ID {
		t.Fatalf("%+v, %v", p, err)
	}
	if w, err := c.Wallet.Get(ctx); err != nil || w.Held != d.HourlyPrice {
		t.Errorf("%s held for %s: %v", w.Held, d.HourlyPrice, err)
	}
	// Another process that knows the key gets the same deployment.
	again, err := client.New(client.Config{BaseURL: s.URL, APIKey: s.KeyOf(account(t, s)), MaxRetries: -1})
	if err != nil {
		t.Fatal(err)
	}
	in := client.CreateDeployment{
		Name: "once", OfferID: "off_abc123", OperatingSystem: "Ubuntu 22.04", SSHPublicKey: publicKey,
	}
	o, err := again.Deployments.Create(ctx, in, client.WithIdempotencyKey(r.IdempotencyKey))
	if err != nil || o.ID != d.ID {
		t.Errorf("got %v, %v, want the deployment %s", o, err, d.ID)
	}
	in.Name = "other"
	_, err = again.Deployments.Create(ctx, in, client.WithIdempotencyKey(r.IdempotencyKey))
	if !errors.Is(err, client.ErrIdempotencyKeyReused) {
		t.Errorf("got error %v, want %v", err, client.ErrIdempotencyKeyReused)
	}
	if b.lost["POST"] != 3 {
		t.Errorf("answers were lost: %v", b.lost)
	}
}

// TestLostResponseOfChange is the same for what is changed and deleted.
func TestLostResponseOfChange(t *testing.T) {
	c, _, b := onSimulator(t)
	ctx := t.Context()
	var r client.Response
	b.loses("POST", 1)
	k, err := c.SSHKeys.Create(ctx, client.CreateSSHKey{Name: "once", PublicKey: publicKey})
	if err != nil {
		t.Fatal(err)
	}
	b.loses("PATCH", 1)
	if k, err = c.SSHKeys.Rename(ctx, k.ID, "twice"); err != nil || k.Name != "twice" {
		t.Error(k, err)
	}
	if k, err = c.SSHKeys.Get(ctx, k.ID, client.WithResponse(&r)); err != nil || r.ETag == "" {
		t.Errorf("got ETag %q, %v, want one", r.ETag, err)
	}
	read := r.ETag
	b.loses("PATCH", 1) // the retry replays the first response, although the ETag is a new one now
	if k, err = c.SSHKeys.Rename(ctx, k.ID, "thrice", client.WithIfMatch(read)); err != nil || k.Name != "thrice" {
		t.Error(k, err)
	}
	_, err = c.SSHKeys.Rename(ctx, k.ID, "late", client.WithIfMatch(read))
	if !errors.Is(err, client.ErrPreconditionFailed) {
		t.Errorf("got error %v, want %v", err, client.ErrPreconditionFailed)
	}
	b.loses("DELETE", 1)
	if err := c.SSHKeys.Delete(ctx, k.ID); err != nil {
		t.Error(err)
	}
	if err := c.SSHKeys.Delete(ctx, k.ID); !errors.Is(err, client.ErrNotFound) {
		t.Error(err)
	}
	if b.lost["POST"] != 1 || b.lost["PATCH"] != 2 || b.lost["DELETE"] != 1 {
		t.Errorf("answers were lost: %v", b.lost)
	}
}

// account returns the server's only account.
func account(t *testing.T, s *servertest.Server) string {
	t.Helper()
	separator := func(r rune) bool { return r == '"' || r == ' ' || r == '\n' }
	for _, word := range strings.FieldsFunc(s.Run("account", "list", "-o", "json"), separator) {
		if strings.HasPrefix(word, "acc_") {
			return word
		}
	}
	t.Fatal("there is no account")
	return ""
}

// TestStreamSurvivesServerRestart checks that no event is lost or repeated when the server is
// killed.
func TestStreamSurvivesServerRestart(t *testing.T) {
	c, s, _ := onSimulator(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := c.Deployments.Create(
		ctx,
		client.CreateDeployment{
			Name:            "a",
			OfferID:         "off_abc123",
			OperatingSystem: "Ubuntu 22.04",
			SSHPublicKey:    publicKey,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for e, err := range c.Events.Stream(ctx, client.BeginningOfEvents, client.EventFilter{Subject: d.ID}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, e.ID); len(seen) == 1 {
			s.Kill()
			s.Restart()
			s.Advance("10s")
		}
		if e.Type == "deployment.running" {
			break
		}
	}
	var history []string
	for e, err := range c.Deployments.AllEvents(ctx, d.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if history = append(history, e.ID); e.Type == "deployment.running" {
			break
		}
	}
	if len(seen) < 3 || !slices.Equal(seen, history) {
		t.Errorf("streamed %v of %v", seen, history)
	}
}

// TestWebhookLifecycle goes through the life of a webhook with a real endpoint.
func TestWebhookLifecycle(t *testing.T) {
	c, s, b := onSimulator(t, "--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8")
	ctx, hook := t.Context(), must[*client.Webhook](t)
	var status atomic.Int32
	status.Store(http.StatusNoContent)
	address := httptest.NewServer(
		http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(int(status.Load())) }),
	)
	t.Cleanup(address.Close)

	b.loses("POST", 1)
	made := must[*client.NewWebhook](
		t,
	)(
		c.Webhooks.Create(ctx,
			client.CreateWebhook{URL: address.URL, Description: "scheduler", Types: []string{"deployment.*"}}),
	)
	if !strings.HasPrefix(made.Secret, "whsec_") || !made.Enabled || made.Status != client.WebhookEnabled {
		t.Errorf("%+v", made.Webhook)
	}
	var all []client.Webhook
	for w, err := range c.Webhooks.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	if len(all) != 1 || all[0].ID != made.ID { // although the first answer got lost
		t.Errorf("%+v", all)
	}
	w := hook(c.Webhooks.Update(ctx, made.ID, client.UpdateWebhook{Types: []string{}, Description: new("")}))
	if len(w.Types) != 0 || w.Description != "" || w.URL != address.URL || !w.Enabled {
		t.Errorf("%+v", w)
	}
	if again := must[*client.NewWebhook](t)(c.Webhooks.RotateSecret(ctx, made.ID)); again.Secret == made.Secret ||
		again.OldSecretValidUntil == nil {
		t.Errorf("%+v", again.Webhook)
	}

	testDeliveries(t, c, s, made.ID, func() { status.Store(http.StatusGone) })
	b.loses("DELETE", 1)
	if err := c.Webhooks.Delete(ctx, made.ID); err != nil {
		t.Error(err)
	}
	if err := c.Webhooks.Delete(ctx, made.ID); !errors.Is(err, client.ErrNotFound) {
		t.Error(err)
	}
}

// delivered returns what a webhook delivered, by type.
func delivered(t *testing.T, c *client.Client, id string) map[string]client.WebhookDelivery {
	t.Helper()
	out := map[string]client.WebhookDelivery{}
	query := client.WebhookDeliveryQuery{Paging: client.Paging{Limit: 1}, Status: client.DeliveryDelivered}
	for d, err := range c.Webhooks.AllDeliveries(t.Context(), id, query) {
		if err != nil {
			t.Fatal(err)
		}
		out[d.Type] = d
	}
	return out
}

// testDeliveries has a webhook send a test and an event, and send both again; the endpoint is gone
// by then.
func testDeliveries(t *testing.T, c *client.Client, s *servertest.Server, id string, gone func()) {
	t.Helper()
	ctx := t.Context()
	test := must[*client.WebhookDelivery](t)(c.Webhooks.Test(ctx, id))
	in := client.CreateDeployment{
		Name: "reported", OfferID: "off_abc123", OperatingSystem: "Ubuntu 22.04", SSHPublicKey: publicKey,
	}
	if _, err := c.Deployments.Create(ctx, in); err != nil {
		t.Fatal(err)
	}
	s.Advance("10s")
	got := delivered(t, c, id)
	event := got["deployment.created"]
	if d := got["webhook.test"]; d.ID != test.ID || len(d.Attempts) != 1 || d.Attempts[0].Status == nil ||
		*d.Attempts[0].Status != http.StatusNoContent ||
		event.ID == "" {
		t.Errorf("%+v", got)
	}
	if d, err := c.Webhooks.Replay(ctx, id, test.ID); err != nil || d.Type != "webhook.test" ||
		d.Status != client.DeliveryPending {
		t.Errorf("a test that is listed: %+v, %v", d, err)
	}
	gone()
	if d, err := c.Webhooks.Replay(ctx, id, event.ID); err != nil || d.EventID != event.EventID ||
		d.Status != client.DeliveryPending {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.Webhooks.Replay(ctx, id, "../test"); !errors.Is(err, client.ErrInvalidRequest) {
		t.Errorf("another path: %v", err)
	}

	s.Advance("10s")
	if w := must[*client.Webhook](t)(c.Webhooks.Get(ctx, id)); w.Enabled || w.Status != client.WebhookDisabled ||
		w.StatusReason == nil {
		t.Errorf("gone: %+v", w)
	}
	if _, err := c.Webhooks.Replay(ctx, id, event.ID); !errors.Is(err, client.ErrConflict) {
		t.Errorf("sent to one that is disabled: %v", err)
	}
}
