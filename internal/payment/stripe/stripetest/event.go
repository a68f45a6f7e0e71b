package stripetest

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
)

// Event is an event as it is sent to webhooks.
type Event struct {
	ID, Type string
	Body     []byte
}

func (s *Server) emit(kind string, about object) { s.emitChange(kind, about, nil) }

func (s *Server) emitChange(kind string, about, before object) {
	data := object{"object": clone(about)}
	if before != nil {
		data["previous_attributes"] = before
	}
	e := s.add("event", "evt", object{
		"type": kind, "api_version": stripe.APIVersion, "data": data, "pending_webhooks": 1,
	})
	s.pending = append(s.pending, Event{ID: e["id"].(string), Type: kind, Body: encode(e)})
}

// Take returns the events that have not been taken, oldest first.
func (s *Server) Take() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.pending
	s.pending = nil
	return out
}

// Sign returns the header Stripe-Signature for a body, of that secret and time.
func Sign(body []byte, secret string, at time.Time) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{
		Payload: body, Secret: secret, Timestamp: at,
	}).Header
}

// Send sends the event to a webhook, signed now, and returns the status of the answer.
func (s *Server) Send(url string, e Event) (int, error) {
	return Post(url, e.Body, Sign(e.Body, Secret, s.now()))
}

// Post sends a body with a signature to a webhook.
func Post(url string, body []byte, signature string) (int, error) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Stripe-Signature", signature)
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("send to the webhook: %w", err)
	}
	return resp.StatusCode, resp.Body.Close()
}
