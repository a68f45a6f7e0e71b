package webhook_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/billetcloud/billet/internal/webhook/outbound"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// replica has the services of one server: events, queue and runner.
type replica struct {
	*webhook.Service
	events *event.Service
	jobs   *job.Queue
	runner *job.Runner
}

type world struct {
	t     testing.TB
	d     *db.DB
	clock *clock.Simulated
	ids   *id.Maker
	replica
}

// post is outbound's, or a test's own.
type post func(ctx context.Context, url string, header map[string]string, body []byte) outbound.Response

// newWorld has a client that may reach the test's own servers.
func newWorld(t testing.TB, d *db.DB, c *clock.Simulated) *world {
	w := &world{t: t, d: d, clock: c, ids: id.NewMaker(c, rand.Reader)}
	w.replica = w.newReplica(local(outbound.Config{}).Post)
	return w
}

// local is a client that may reach the test's own servers.
func local(c outbound.Config) *outbound.Client {
	c.Allow, c.AllowHTTP = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, true
	return outbound.New(c)
}

func (w *world) newReplica(p post) replica {
	w.t.Helper()
	box, err := secret.New(make([]byte, 32))
	if err != nil {
		w.t.Fatal(err)
	}
	r := replica{events: event.New(w.ids), jobs: job.NewQueue(w.ids)}
	r.Service = webhook.New(webhook.Config{
		DB: w.d, IDs: w.ids, Clock: w.clock, Real: time.Now, Log: slog.New(slog.DiscardHandler), Events: r.events,
		Jobs: r.jobs, Secrets: box,
		Check: local(outbound.Config{}).Check, Post: p, Chance: func() float64 { return 0.5 },
	})
	r.runner = job.NewRunner(job.Config{DB: w.d, Queue: r.jobs, Clock: w.clock, Real: db.Time,
		Log: slog.New(slog.DiscardHandler), Workers: 8})
	r.runner.Handle(webhook.KindSend, r.Send)
	r.runner.HandlePeriodic(webhook.KindPurge, r.Purge)
	return r
}

func (w *world) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return w.d.InTx(context.WithoutCancel(w.t.Context()), f)
}

// create makes an endpoint and returns it with its secret.
func (w *world) create(account id.ID, req webhook.Request) (out webhook.Endpoint, shown string) {
	w.t.Helper()
	err := w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		out, shown, err = w.Create(ctx, tx, account, req)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out, shown
}

func (w *world) update(account, hook id.ID, u webhook.Update) (out webhook.Endpoint) {
	w.t.Helper()
	err := w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		out, err = w.Update(ctx, tx, account, hook, u)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// happen appends events of these types, in one transaction.
func (w *world) happen(account id.ID, kinds ...string) {
	w.t.Helper()
	if err := w.tx(func(ctx context.Context, tx *db.Tx) error {
		return appendTo(ctx, tx, w.events, account,
			kinds...)
	}); err != nil {
		w.t.Fatal(err)
	}
}

func appendTo(ctx context.Context, tx *db.Tx, l *event.Service, account id.ID, kinds ...string) error {
	var all []event.Event
	for _, k := range kinds {
		all = append(all, event.Event{Account: account, Subject: "dep_1", Type: k,
			Data: map[string]any{"n": "<" + k + ">"}})
	}
	return l.Append(ctx, tx, all...)
}

// drain runs what is due now.
func (w *world) drain() {
	w.t.Helper()
	if err := w.runner.Drain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// pass lets that much time go by and runs all that becomes due.
func (w *world) pass(by time.Duration) {
	w.t.Helper()
	if err := w.runner.Travel(w.t.Context(), w.clock, w.clock.Now().Add(by)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(account, hook id.ID) webhook.Endpoint {
	w.t.Helper()
	out, err := w.Get(w.t.Context(), w.d, account, hook)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// deliveries are the newest hundred of the endpoint, newest first.
func (w *world) deliveries(account, hook id.ID, of webhook.DeliveryStatus) []webhook.Delivery {
	w.t.Helper()
	out, _, err := w.Deliveries(w.t.Context(), w.d, account, hook, of, db.Page{Number: 1, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// history is the account's log as GET /events has it, oldest first.
func (w *world) history(account id.ID) []event.Event {
	w.t.Helper()
	at, _, err := w.events.Behind(w.t.Context(), w.d, account, event.Beginning)
	if err != nil {
		w.t.Fatal(err)
	}
	out, _, err := w.events.Next(w.t.Context(), w.d, at, 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// request is what a receiver got.
type request struct {
	header http.Header
	body   []byte
	id     string
	kind   string
}

// receiver is an address of a tenant's. It answers as it is told and remembers what came.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []request
	answer func(w http.ResponseWriter, r request)
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, h *http.Request) {
		body, err := io.ReadAll(h.Body)
		if err != nil {
			t.Error(err)
		}
		var event struct{ Type string }
		if err := json.Unmarshal(body, &event); err != nil {
			t.Error(err)
		}
		q := request{header: h.Header, body: body, id: h.Header.Get("webhook-id"), kind: event.Type}
		r.mu.Lock()
		r.got = append(r.got, q)
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, q)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// answers has the receiver answer with that status and text from now on.
func (r *receiver) answers(status int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func(w http.ResponseWriter, _ request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// take returns what came since it was last called.
func (r *receiver) take() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.got
	r.got = nil
	return out
}

// only returns what came since take was last called, which must be one request.
func (r *receiver) only(t testing.TB) request {
	t.Helper()
	got := r.take()
	if len(got) != 1 {
		t.Fatalf("%d requests came, want 1", len(got))
	}
	return got[0]
}

// kinds are the types of what came since, in order.
func (r *receiver) kinds() []string {
	out := []string{}
	for _, q := range r.take() {
		out = append(out, q.kind)
	}
	return out
}

// verify checks the request as a receiver with the secret does.
func (q request) verify(secret string) error {
	v, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return v.Verify(q.body, q.header)
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

// engines runs the test on both.
func engines(t *testing.T, f func(t *testing.T, w *world)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newWorld(t, d, c)) })
}
