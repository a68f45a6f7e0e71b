package crash_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// inbox is a tenant's endpoint, which is part of this process and so survives every kill. It has a
// webhook for all events, and refuses some of them the first time.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	order  []string          // ids of events, each once, in the order of arrival
	bodies map[string]string // by id
	took   map[string]bool   // answered with 2xx
	again  int               // number of known ones that arrived again
	wrong  []string

	// Of the checking goroutine only:
	listed  []string // ids of the account's events, oldest first, as far as they were read
	before  int      // how many of them are older than the webhook
	checked int      // how many after those were checked
}

func newInbox(t *testing.T) *inbox {
	b := &inbox{bodies: map[string]string{}, took: map[string]bool{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil { // the sender was killed during the request
			return
		}
		var e struct{ ID string }
		b.mu.Lock()
		defer b.mu.Unlock()
		if err := json.Unmarshal(body, &e); err != nil || e.ID != r.Header.Get("webhook-id") {
			b.wrong = append(b.wrong, fmt.Sprintf("%s came as %q: %v", body, r.Header.Get("webhook-id"), err))
		}
		known, came := b.bodies[e.ID]
		switch {
		case !came:
			b.order, b.bodies[e.ID] = append(b.order, e.ID), string(body)
		case known != string(body):
			b.wrong = append(b.wrong, fmt.Sprintf("%s was %s and then %s", e.ID, known, body))
		default:
			b.again++
		}
		sum := fnv.New32()
		_, _ = sum.Write([]byte(e.ID))
		if !came && sum.Sum32()%16 == 0 {
			out.WriteHeader(http.StatusInternalServerError)
			return
		}
		b.took[e.ID] = true
	}))
	t.Cleanup(b.Close)
	return b
}

// subscribe creates the tenant's webhook.
func (h *history) subscribe(tn *tenant) {
	tn.inbox = newInbox(h.t)
	if a := h.server.Call(
		tn.keys[0], http.MethodPost, "/webhooks", map[string]any{"url": tn.inbox.URL},
	); a.Status != http.StatusCreated {
		h.t.Fatalf("webhook: %d %s", a.Status, a.Body)
	}
	h.listEvents(tn)
	tn.inbox.before = len(tn.inbox.listed)
}

// listEvents reads the account's events.
func (h *history) listEvents(tn *tenant) {
	b := tn.inbox
	var fresh []string // newest first
	for page := 1; ; page++ {
		var some []struct{ ID string }
		a := h.server.Call(
			tn.keys[0], http.MethodGet, fmt.Sprintf("/events?limit=100&page=%d", page), nil, "Accept",
			"application/json",
		)
		if err := data(a, &some); a.Status != http.StatusOK || err != nil {
			h.t.Fatalf("events: %d %s %v", a.Status, a.Body, err)
		}
		for _, e := range some {
			if n := len(b.listed); n > 0 && b.listed[n-1] == e.ID {
				some = nil
				break
			}
			if !slices.Contains(fresh, e.ID) { // otherwise newer ones have moved it to the next page
				fresh = append(fresh, e.ID)
			}
		}
		if len(some) < 100 {
			break
		}
	}
	slices.Reverse(fresh)
	b.listed = append(b.listed, fresh...)
}

// undelivered returns an event that the tenant's endpoint has not accepted yet, or "".
func (h *history) undelivered(tn *tenant) string {
	h.listEvents(tn)
	b := tn.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range b.listed[b.before:] {
		if !b.took[id] {
			return id
		}
	}
	return ""
}

// checkDelivered: at rest, every event since the webhook's creation has arrived at the endpoint,
// in the order of the account's history, and nothing else has.
func (h *history) checkDelivered(tn *tenant) {
	b := tn.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wrong := range b.wrong {
		h.fault("webhook of %s: %s", tn.id, wrong)
	}
	due := b.listed[b.before:]
	came := b.order[:min(len(b.order), len(due))] // later events than the list's may have arrived
	for i := range came {
		if came[i] != due[i] {
			h.fault(
				"webhook of %s: first attempt %d was %s, and the account's event %d is %s", tn.id, i,
				b.bodies[came[i]], i, due[i],
			)
			return
		}
	}
	if len(came) < len(due) {
		h.fault("webhook of %s: %d of %d events came", tn.id, len(came), len(due))
	}
	h.told, h.toldAgain = h.told+len(due)-b.checked, h.toldAgain+b.again
	b.checked, b.again = len(due), 0
}
