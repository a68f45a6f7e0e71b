package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// arrival is a request to a tenant's endpoint.
type arrival struct {
	id, kind, subject string
	lag               time.Duration // from the event to the arrival
}

// inbox is a tenant's endpoint. Every request must verify.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	status int
	got    []arrival
	came   chan arrival
	hold   chan struct{} // delays answers to deployment.created; nil for none
}

func newInbox(t *testing.T) *inbox {
	b := &inbox{status: 200, came: make(chan arrival, 10_000)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var e struct {
			Type, Subject, ID string
			Timestamp         time.Time
		}
		if err := json.Unmarshal(body, &e); err != nil || e.ID != r.Header.Get("webhook-id") {
			t.Errorf("%v %s", err, body)
		}
		b.mu.Lock()
		secret, status, hold := b.secret, b.status, b.hold
		b.mu.Unlock()
		v, err := standardwebhooks.NewWebhook(secret)
		if err == nil {
			err = v.Verify(body, r.Header)
		}
		if err != nil {
			t.Error(err)
		}
		a := arrival{e.ID, e.Type, e.Subject, now.Sub(e.Timestamp)}
		b.mu.Lock()
		b.got = append(b.got, a)
		b.mu.Unlock()
		b.came <- a
		if hold != nil && e.Type == "deployment.created" {
			select {
			case <-hold:
			case <-r.Context().Done(): // the sender disconnected
			}
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *inbox) set(status int, hold chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status, b.hold = status, hold
}

// await waits for an event of the type.
func (b *inbox) await(t *testing.T, kind string) arrival {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case a := <-b.came:
			if a.kind == kind {
				return a
			}
		case <-late:
			t.Fatalf("no %s came: %v", kind, b.got)
		}
	}
}

// hook creates a webhook to the inbox.
func (b *inbox) hook(t *testing.T, s *servertest.Server, key string) string {
	t.Helper()
	a := s.Call(key, "POST", "/webhooks", map[string]any{"url": b.URL})
	if a.Status != 201 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.secret = a.Data["secret"].(string)
	return a.Data["id"].(string)
}

// eventsOf returns the ids of all events of the account, oldest first.
func eventsOf(t *testing.T, s *servertest.Server, key string) (ids []string, kinds map[string]string) {
	t.Helper()
	kinds = map[string]string{}
	for page := 1; ; page++ {
		a := s.Call(key, "GET", fmt.Sprintf("/events?limit=100&page=%d", page), nil, "Accept", "application/json")
		if a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		for _, e := range a.List {
			m := e.(map[string]any)
			ids = append(ids, m["id"].(string))
			kinds[m["id"].(string)] = m["type"].(string)
		}
		if len(a.List) < 100 {
			slices.Reverse(ids)
			return ids, kinds
		}
	}
}

// firsts returns the arrived ids, each once, in the order of their first arrival.
func (b *inbox) firsts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, a := range b.got {
		if !slices.Contains(out, a.id) {
			out = append(out, a.id)
		}
	}
	return out
}

var toLoopback = []string{
	"--sim", "--sim-machines", "banner", "--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8",
}

func TestWebhooksDeliverInOrder(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, toLoopback...)...)
		_, key := s.Key("100000", "--read-limit", "100000", "--write-limit", "100000", "--deploy-limit", "1000")
		b := newInbox(t)
		hook := b.hook(t, s, key)
		public := newIdentity(t).public
		for i := range 5 {
			s.Deploy(key, fmt.Sprintf("life-%d", i), public)
		}
		for range 5 { // live, on a clock that stands still
			b.await(t, "deployment.running")
		}
		var lags []time.Duration
		b.mu.Lock()
		for _, a := range b.got {
			lags = append(lags, a.lag)
		}
		b.mu.Unlock()
		slices.Sort(lags)
		t.Logf(
			"from an event to the first attempt, %d of them: median %s, p95 %s, most %s", len(lags),
			lags[len(lags)/2], lags[len(lags)*95/100], lags[len(lags)-1],
		)
		ids, kinds := eventsOf(t, s, key)
		if got := b.firsts(); strings.Join(got, " ") != strings.Join(ids[:len(got)], " ") || len(got) < 15 {
			t.Fatalf("%v came, %v happened", got, ids)
		}
		var life []string
		first := b.got[0].subject
		for _, a := range b.got {
			if a.subject == first && !strings.Contains("deployment.progress deployment.charged", a.kind) {
				life = append(life, strings.TrimPrefix(a.kind, "deployment."))
			}
		}
		if strings.Join(life, " ") != "created deploying running" {
			t.Errorf("a life: %v of %v", life, kinds)
		}

		// The endpoint is down for a while, and the clock advances.
		b.set(503, nil)
		d := s.Deploy(key, "while-down", public)
		b.await(t, "deployment.created")
		s.Advance("1h")
		s.Await(key, d, "running")
		list := s.Call(key, "GET", "/webhooks/"+hook+"/deliveries?status=pending&limit=100", nil).List
		if len(list) < 3 {
			t.Fatalf("pending: %v", list)
		}
		if hooked := s.Call(key, "GET", "/webhooks/"+hook, nil).Data; hooked["failingSince"] == nil ||
			hooked["enabled"] != true {
			t.Errorf("%v", hooked)
		}
		b.set(204, nil)
		s.Advance("3h")
		if a := s.Call(key, "GET", "/webhooks/"+hook+"/deliveries?status=pending", nil); len(a.List) != 0 {
			t.Errorf("still pending: %s", a.Body)
		}
		ids, _ = eventsOf(t, s, key)
		if got := b.firsts(); strings.Join(got, " ") != strings.Join(ids, " ") {
			t.Errorf("%v came, %v happened", got, ids)
		}

		// And for longer than deliveries are retried.
		b.set(500, nil)
		for _, left := range s.Call(
			key, "GET", "/deployments?limit=100", nil,
		).List { // otherwise each hour has its events
			s.Call(key, "DELETE", "/deployments/"+left.(map[string]any)["id"].(string), nil)
		}
		s.Advance("74h")
		if hooked := s.Call(key, "GET", "/webhooks/"+hook, nil).Data; hooked["status"] != "paused" {
			t.Errorf("%v", hooked)
		}
		ids, kinds = eventsOf(t, s, key)
		if !slices.ContainsFunc(ids, func(i string) bool { return kinds[i] == "webhook.paused" }) {
			t.Errorf("no other webhook was notified: %v", kinds)
		}
	})
}

// The server is killed while the endpoint is processing a request, and events are committed that
// are not sent yet.
func TestWebhooksSurviveKilledServer(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, toLoopback...)...)
		_, key := s.Key("100000", "--read-limit", "100000", "--write-limit", "100000", "--deploy-limit", "1000")
		b := newInbox(t)
		hook := b.hook(t, s, key)
		public := newIdentity(t).public
		for i := range 3 {
			hold := make(chan struct{})
			b.set(200, hold)
			s.Deploy(key, fmt.Sprintf("d-%d", i), public)
			held := b.await(t, "deployment.created")
			s.Call(
				key, "POST", "/volumes",
				map[string]any{
					"name": fmt.Sprintf("v-%d", i), "sizeGb": 100, "provider": "voltage-park",
					"region": "dallas-usa-5",
				},
			)
			s.Kill()
			close(hold)
			b.set(200, nil)
			s.Restart()
			for again := b.await(t, "deployment.created"); again.id != held.id; {
				again = b.await(t, "deployment.created")
			}
		}
		s.Advance("1h")
		ids, _ := eventsOf(t, s, key)
		if got := b.firsts(); strings.Join(got, " ") != strings.Join(ids, " ") {
			t.Errorf("%v came, %v happened", got, ids)
		}
		if a := s.Call(key, "GET", "/webhooks/"+hook+"/deliveries?status=delivered", nil); a.Status != 200 ||
			len(a.List) == 0 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// Without the operator's permission nothing is sent to the server's own network.
func TestWebhooksRefusePrivateNetworks(t *testing.T) {
	s := servertest.Start(t, "--sim", "--sim-machines", "banner", "--webhook-allow-http")
	_, key := s.Key("100")
	b := newInbox(t)
	if a := s.Call(key, "POST", "/webhooks", map[string]any{"url": b.URL}); a.Status != 400 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	a := s.Call(key, "POST", "/webhooks", map[string]any{"url": strings.Replace(b.URL, "127.0.0.1", "localhost", 1)})
	if a.Status != 201 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	at := "/webhooks/" + a.Data["id"].(string)
	s.Call(key, "POST", at+"/test", nil)
	s.Advance("1s") // runs everything that is due
	list := s.Call(key, "GET", at+"/deliveries?status=failed", nil)
	if len(list.List) != 1 || !strings.Contains(string(list.Body), "not on a public address") || len(b.got) != 0 {
		t.Errorf("%s", list.Body)
	}
}
