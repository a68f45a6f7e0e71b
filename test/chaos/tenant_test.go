package chaos_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// tenant is an account that works with two workers, has a webhook and follows its events.
type tenant struct {
	number       int
	account, key string
	seed         [2]uint64
	volumes      []string

	mu      sync.Mutex
	deps    map[string]string // acknowledged deployments: names by id
	ended   map[string]bool   // those known to end
	metal   string            // the newest that can have volumes
	sshKeys map[string]string // acknowledged keys: ids by name
	credits map[string]bool   // references; true if acknowledged
	doubts  []*intent         // without a definite answer
	inbox   map[string]bool   // events that the webhook received
	before  map[string]bool   // events that are older than the webhook
	watched []string          // events that the stream showed, in its order
	broken  int               // streams that ended
}

// intent is a request that creates something, and is repeated with its key.
type intent struct {
	path string
	body map[string]any
	name string // and Idempotency-Key
	// metal is true for a deployment that can have volumes.
	metal bool
}

// worker is a part of a tenant.
type worker struct {
	f     *fleet
	tn    *tenant
	who   string
	rng   *rand.Rand
	count int
}

// subscribe creates the tenant's webhook and begins to follow the stream of its events.
func (f *fleet) subscribe(tn *tenant) {
	f.t.Helper()
	tn.inbox, tn.before = map[string]bool{}, map[string]bool{}
	box := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct{ ID string }
		if b, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(b, &e) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		tn.mu.Lock()
		defer tn.mu.Unlock()
		tn.inbox[e.ID] = true
	}))
	f.t.Cleanup(box.Close)
	a := f.servers[0].Call(tn.key, http.MethodPost, "/webhooks", map[string]any{"url": box.URL})
	if a.Status != http.StatusCreated {
		f.t.Fatalf("webhook: %d %s", a.Status, a.Body)
	}
	f.pair.read(`SELECT id FROM event WHERE account_id = '`+tn.account+`'`, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		tn.before[id] = true
		return err
	})
}

// follow reads the stream of events from the beginning until the context ends, however often it
// breaks.
func (f *fleet) follow(ctx context.Context, tn *tenant) {
	last := "evt_0"
	for ctx.Err() == nil {
		err := f.followOnce(ctx, tn, &last)
		if err != nil && ctx.Err() == nil {
			f.t.Errorf("the stream of %s after %s: %v", tn.account, last, err)
			return
		}
		pause(ctx, 200*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// followOnce reads one stream to its end. A stream without a sign of life for as long as several
// of the server's beats is given up.
func (f *fleet) followOnce(ctx context.Context, tn *tenant, last *string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const silence = 40 * time.Second
	watch := time.AfterFunc(silence, cancel)
	defer watch.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.balancer.URL+"/api/v1/inventory/events", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+tn.key)
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Last-Event-ID", *last)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusOK {
		if a.StatusCode < 500 && a.StatusCode != http.StatusTooManyRequests {
			b, _ := io.ReadAll(a.Body)
			return fmt.Errorf("%d %s", a.StatusCode, b)
		}
		return nil
	}
	lines := bufio.NewScanner(a.Body)
	lines.Buffer(nil, 1<<20)
	id, full := "", false
	for lines.Scan() {
		watch.Reset(silence)
		switch text := lines.Text(); {
		case strings.HasPrefix(text, "id: "):
			id = text[4:]
		case strings.HasPrefix(text, "data: "):
			full = true
		case text == "" && id != "":
			tn.mu.Lock()
			if *last = id; full {
				tn.watched = append(tn.watched, id)
			}
			tn.mu.Unlock()
			id, full = "", false
		}
	}
	tn.mu.Lock()
	tn.broken++
	tn.mu.Unlock()
	return nil
}

func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		w.act(ctx)
		// A busy machine gets less work.
		pause(ctx, time.Since(began)+time.Duration(20+w.rng.IntN(120))*time.Millisecond)
	}
}

func (w *worker) act(ctx context.Context) {
	switch k := w.rng.IntN(100); {
	case k < 14:
		w.deploy(ctx)
	case k < 40:
		w.get()
	case k < 52:
		w.list()
	case k < 64:
		w.tag()
	case k < 76:
		w.end()
	case k < 92:
		w.volume()
	default:
		w.create(ctx, w.sshKey())
	}
}

func (w *worker) name() string {
	w.count++
	return fmt.Sprintf("%s-%d", w.who, w.count)
}

// ask sends a request through the balancer. It reports whether a server may have got it.
func (w *worker) ask(method, path string, body any, headers ...string) (a servertest.Answer, sent bool) {
	a, err := w.f.balancer.TryCall(w.tn.key, method, path, body, headers...)
	if err != nil {
		a = servertest.Answer{}
	}
	sent = a.Header.Get(unsent) == "" && a.Status != http.StatusTooManyRequests
	w.f.note(method, path, a)
	return a, sent
}

// understood makes a reply of an answer about a deployment.
func understood(a servertest.Answer) (r reply) {
	r.unknown = a.Status == 0 || a.Status >= 500
	r.refused = a.Status >= 400 && a.Status < 500
	if r.unknown || r.refused {
		return r
	}
	return shown(a.Data)
}

// shown makes a reply of a deployment.
func shown(d map[string]any) (r reply) {
	r.id, _ = d["id"].(string)
	r.status, _ = d["status"].(string)
	if tags, _ := d["tags"].([]any); len(tags) > 0 {
		r.tag, _ = tags[0].(string)
	}
	return r
}

// about asks about a deployment and records the attempt.
func (w *worker) about(q question, method, path string, body any, headers ...string) (servertest.Answer, reply) {
	called := w.f.record.now()
	a, sent := w.ask(method, path, body, headers...)
	r := understood(a)
	if sent {
		w.f.record.add(q, called, r)
	}
	if ranks[r.status] >= ranks["terminating"] {
		w.tn.mu.Lock()
		w.tn.ended[r.id] = true
		w.tn.mu.Unlock()
	}
	return a, r
}

func (w *worker) deploy(ctx context.Context) {
	w.tn.mu.Lock()
	alive := len(w.tn.deps) - len(w.tn.ended)
	metal := w.tn.metal == "" || w.tn.ended[w.tn.metal]
	w.tn.mu.Unlock()
	if alive >= 12 {
		w.get()
		return
	}
	o := w.f.offers[w.rng.IntN(len(w.f.offers))]
	for range 100 { // of bare metal there is little
		if o.Capabilities.Volumes == metal {
			break
		}
		o = w.f.offers[w.rng.IntN(len(w.f.offers))]
	}
	i := &intent{path: "/deployments", name: "d-" + w.name(), metal: o.Capabilities.Volumes}
	i.body = map[string]any{
		"offerId": o.ID, "operatingSystem": o.OperatingSystems[0], "name": i.name, "ssh_public_key": w.publicKey(),
	}
	w.create(ctx, i)
}

func (w *worker) sshKey() *intent {
	i := &intent{path: "/ssh-keys", name: "s-" + w.name()}
	i.body = map[string]any{"name": i.name, "publicKey": w.publicKey()}
	return i
}

func (w *worker) publicKey() string {
	var from [ed25519.SeedSize]byte
	for i := range from {
		from[i] = byte(w.rng.Uint32())
	}
	point := ed25519.NewKeyFromSeed(from[:]).Public().(ed25519.PublicKey)
	blob := []byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20")
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(append(blob, point...))
}

// create sends a request that creates something, some times if it has no definite answer.
func (w *worker) create(ctx context.Context, i *intent) {
	for try := range 4 {
		if w.attempt(i) {
			return
		}
		pause(ctx, 250*time.Millisecond<<try)
	}
	w.tn.mu.Lock()
	defer w.tn.mu.Unlock()
	w.tn.doubts = append(w.tn.doubts, i)
}

// attempt reports whether the answer was definite.
func (w *worker) attempt(i *intent) bool {
	called := w.f.record.now()
	a, sent := w.ask(http.MethodPost, i.path, i.body, "Idempotency-Key", i.name)
	if !sent {
		return false
	}
	r := understood(a)
	r.tag, r.status = "", "" // of the first answer, as it was then
	deploys := i.path == "/deployments"
	if deploys {
		w.f.record.add(question{key: w.key(i.name), op: "create"}, called, r)
	}
	if r.unknown {
		return false
	}
	if r.refused {
		if a.Code() == "OFFER_UNAVAILABLE" { // of bare metal there is little
			return true
		}
		w.f.t.Errorf("%s %s: %d %s", i.path, i.name, a.Status, a.Body)
		return true
	}
	w.tn.mu.Lock()
	defer w.tn.mu.Unlock()
	if deploys {
		w.tn.deps[r.id] = i.name
		if i.metal {
			w.tn.metal = r.id
		}
	} else {
		w.tn.sshKeys[i.name] = r.id
	}
	return true
}

// key is the name of a deployment among all tenants'.
func (w *worker) key(name string) string { return fmt.Sprint(w.tn.number, " ", name) }

// some returns one of the acknowledged deployments, mostly a new one.
func (w *worker) some() (id, key string) {
	w.tn.mu.Lock()
	defer w.tn.mu.Unlock()
	ids := slices.Sorted(maps.Keys(w.tn.deps))
	if len(ids) == 0 {
		return "", ""
	}
	id = ids[len(ids)-1-w.rng.IntN(min(len(ids), 6))]
	return id, w.key(w.tn.deps[id])
}

func (w *worker) get() {
	if id, key := w.some(); id != "" {
		w.about(question{key: key, op: "get"}, http.MethodGet, "/deployments/"+id, nil)
	}
}

// list reads a page of deployments, each of which counts as read.
func (w *worker) list() {
	called := w.f.record.now()
	a, _ := w.ask(http.MethodGet, "/deployments?limit=100", nil)
	if a.Status != http.StatusOK {
		return
	}
	for _, each := range a.List {
		r := shown(each.(map[string]any))
		w.tn.mu.Lock()
		name := w.tn.deps[r.id]
		w.tn.mu.Unlock()
		if name != "" {
			w.f.record.add(question{key: w.key(name), op: "get"}, called, r)
		}
	}
}

func (w *worker) tag() {
	if id, key := w.some(); id != "" {
		tag := w.name()
		w.about(question{key: key, op: "tag", tag: tag}, http.MethodPatch, "/deployments/"+id,
			map[string]any{"tags": []string{tag}})
	}
}

func (w *worker) end() {
	if id, key := w.some(); id != "" {
		w.about(question{key: key, op: "end"}, http.MethodDelete, "/deployments/"+id, nil)
	}
}

// volume attaches or detaches one.
func (w *worker) volume() {
	v := w.tn.volumes[w.rng.IntN(len(w.tn.volumes))]
	w.tn.mu.Lock()
	id := w.tn.metal
	w.tn.mu.Unlock()
	if w.rng.IntN(2) == 0 {
		var now struct{ AttachedTo string }
		if a, _ := w.ask(http.MethodGet, "/volumes/"+v, nil); data(a, &now) == nil && now.AttachedTo != "" {
			w.ask(http.MethodPost, "/volumes/"+v+"/detach", map[string]any{"deploymentId": now.AttachedTo})
		}
	} else if id != "" {
		w.ask(http.MethodPost, "/volumes/"+v+"/attach", map[string]any{"deploymentId": id})
	}
}

// credit has the operator add money, each time with a new reference, until the context ends.
func (f *fleet) credit(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		tn := f.tenants[n%len(f.tenants)]
		f.creditOnce(tn, fmt.Sprintf("credit-%d", n))
		pause(ctx, 150*time.Millisecond)
	}
}

func (f *fleet) creditOnce(tn *tenant, reference string) {
	a, err := f.balancer.TryCall(f.operator, http.MethodPost, "=/api/v1/operator/accounts/"+tn.account+"/credit",
		map[string]any{"amount": 1, "note": reference, "reference": reference}, "Idempotency-Key", reference)
	f.note(http.MethodPost, "/credit", a)
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.credits[reference] = tn.credits[reference] || err == nil && a.Status < 300
	if err == nil && a.Status >= 400 && a.Status < 500 {
		f.t.Errorf("%s: %d %s", reference, a.Status, a.Body)
	}
}
