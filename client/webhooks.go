package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// WebhookStatus tells whether a webhook is sent anything.
type WebhookStatus string

// The statuses of a webhook.
const (
	// WebhookEnabled is sent events.
	WebhookEnabled WebhookStatus = "enabled"
	// WebhookDisabled is sent nothing: by the account's wish, or since its address answered 410.
	WebhookDisabled WebhookStatus = "disabled"
	// WebhookPaused is sent nothing, since it took nothing for 72 hours.
	WebhookPaused WebhookStatus = "paused"
)

// Webhook is an address to which the account's events are sent.
type Webhook struct {
	// ID is whk_….
	ID string `json:"id"`
	// URL is where events are sent.
	URL string `json:"url"`
	// Description is what it is for.
	Description string `json:"description"`
	// Types are those of the events that are sent, such as deployment.running, or deployment.* for all that begin so; all where there are none.
	Types []string `json:"types"`
	// Enabled tells whether events are sent, Status the same with the reason; StatusReason is why nothing is, nil where that was the account's wish.
	Enabled      bool          `json:"enabled"`
	Status       WebhookStatus `json:"status"`
	StatusReason *string       `json:"statusReason"`
	// FailingSince is the first failure after the last success; nil where the last attempt succeeded, and before the first.
	FailingSince *time.Time `json:"failingSince"`
	// LastDeliveredAt is when something was last delivered; nil for never.
	LastDeliveredAt *time.Time `json:"lastDeliveredAt"`
	// OldSecretValidUntil is until when requests are signed with the secret before, too; nil where they are not.
	OldSecretValidUntil *time.Time `json:"oldSecretValidUntil"`
	// CreatedAt is when it was made. Events from then on are sent.
	CreatedAt time.Time `json:"createdAt"`
}

// NewWebhook is a webhook with its secret, which the server shows this once.
type NewWebhook struct {
	Webhook
	// Secret is what requests are signed with, whsec_…, as Standard Webhooks has it.
	Secret string `json:"secret"`
}

// CreateWebhook is a webhook to make. URL is required; zero values are not sent.
type CreateWebhook struct {
	// URL is https, on a public address.
	URL string `json:"url"`
	// Description is up to 200 characters.
	Description string `json:"description,omitempty"`
	// Types are up to 50; none for all.
	Types []string `json:"types,omitempty"`
	// Enabled is true if nil. With false nothing is sent before it is enabled, and then everything from Create on.
	Enabled *bool `json:"enabled,omitempty"`
}

// UpdateWebhook is what to change. What is left zero stays as it is.
type UpdateWebhook struct {
	// URL is https, on a public address.
	URL string `json:"url,omitempty"`
	// Description is up to 200 characters; an empty one that is not nil takes it away.
	Description *string `json:"description,omitempty"`
	// Types take the place of those before; an empty list that is not nil is for all.
	Types []string `json:"types,omitzero"`
	// Enabled goes on with true where sending stopped: what happened meanwhile is sent, too.
	Enabled *bool `json:"enabled,omitempty"`
}

// WebhookDeliveryStatus is how far a delivery has come.
type WebhookDeliveryStatus string

// The statuses of a delivery.
const (
	// DeliveryPending will be tried, or tried again.
	DeliveryPending WebhookDeliveryStatus = "pending"
	// DeliveryDelivered was answered with 2xx.
	DeliveryDelivered WebhookDeliveryStatus = "delivered"
	// DeliveryFailed was given up.
	DeliveryFailed WebhookDeliveryStatus = "failed"
)

// WebhookDelivery is one event for one webhook.
type WebhookDelivery struct {
	// ID is whd_….
	ID string `json:"id"`
	// WebhookID is the webhook.
	WebhookID string `json:"webhookId"`
	// EventID is the event's: the header webhook-id of every attempt. Type is the event's.
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	// Status is how far it has come.
	Status WebhookDeliveryStatus `json:"status"`
	// Attempts are the newest 20, oldest first; AttemptCount is how many there were.
	Attempts     []WebhookAttempt `json:"attempts"`
	AttemptCount int              `json:"attemptCount"`
	// NextAttemptAt is when it is tried again; nil where it is not, or is tried at once.
	NextAttemptAt *time.Time `json:"nextAttemptAt"`
	// CreatedAt is when it was made, right after the event.
	CreatedAt time.Time `json:"createdAt"`
}

// WebhookAttempt is one request to a webhook's address.
type WebhookAttempt struct {
	// At is when it began, DurationMS how long it took, in milliseconds.
	At         time.Time `json:"at"`
	DurationMS int       `json:"durationMs"`
	// Status is the HTTP status of the answer, and nil where there was none; Problem is why there was none, and nil where there was one.
	Status  *int    `json:"status"`
	Problem *string `json:"problem"`
	// Response is the beginning of the answer, at most 500 characters.
	Response string `json:"response"`
}

// WebhookDeliveryQuery narrows a list of deliveries.
type WebhookDeliveryQuery struct {
	Paging
	// Status leaves out those of another one; empty for all.
	Status WebhookDeliveryStatus `query:"status"`
}

// WebhookService has events sent to addresses of the account. Reading needs the scope webhooks:read, the rest webhooks:write.
type WebhookService struct{ c *Client }

func webhook(method, id, below string, body any) request {
	return request{method: method, path: "/webhooks/" + id + below, id: id, field: "path.id", body: body}
}

// List returns one page of webhooks, newest first.
func (s *WebhookService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[Webhook], error) {
	return list[Webhook](ctx, s.c, request{path: "/webhooks", query: queryOf(q)}, options)
}

// All walks all webhooks.
func (s *WebhookService) All(ctx context.Context, options ...CallOption) iter.Seq2[Webhook, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Webhook], error) {
		return s.List(ctx, at, options...)
	}, func(w Webhook) string { return w.ID })
}

// Get returns a webhook; ErrNotFound where there is none.
func (s *WebhookService) Get(ctx context.Context, id string, options ...CallOption) (*Webhook, error) {
	return one[Webhook](ctx, s.c, webhook(http.MethodGet, id, "", nil), options)
}

// Create makes a webhook and returns its secret: keep it, nobody can learn it again. The account's events from then on are sent to it, at
// least once each. An account may have ten; one more is ErrConflict.
func (s *WebhookService) Create(ctx context.Context, in CreateWebhook, options ...CallOption) (*NewWebhook, error) {
	return one[NewWebhook](ctx, s.c, request{method: http.MethodPost, path: "/webhooks", body: in}, options)
}

// Update changes a webhook, and enables one that is paused.
func (s *WebhookService) Update(ctx context.Context, id string, in UpdateWebhook, options ...CallOption) (*Webhook, error) {
	return one[Webhook](ctx, s.c, webhook(http.MethodPatch, id, "", in), options)
}

// Delete deletes a webhook and its deliveries. ErrNotFound where there is none. Where an answer got lost and the webhook is not there at the
// next try, it was deleted, and that is no error.
func (s *WebhookService) Delete(ctx context.Context, id string, options ...CallOption) error {
	r := webhook(http.MethodDelete, id, "", nil)
	r.goneIsDone = true
	return s.c.do(ctx, r, options, func(body []byte) error {
		_, err := open[Webhook](body)
		return err
	})
}

// RotateSecret gives a webhook another secret and returns it: keep it, nobody can learn it again. For 24 hours requests are signed with the
// one before, too.
func (s *WebhookService) RotateSecret(ctx context.Context, id string, options ...CallOption) (*NewWebhook, error) {
	return one[NewWebhook](ctx, s.c, webhook(http.MethodPost, id, "/rotate-secret", nil), options)
}

// Test sends an event of the type webhook.test at once, also to a webhook that is not enabled. It is tried once; Deliveries tells what
// came of it.
func (s *WebhookService) Test(ctx context.Context, id string, options ...CallOption) (*WebhookDelivery, error) {
	return one[WebhookDelivery](ctx, s.c, webhook(http.MethodPost, id, "/test", nil), options)
}

// Deliveries returns one page of what was and will be sent to a webhook, newest first. They are kept for 30 days.
func (s *WebhookService) Deliveries(ctx context.Context, id string, q WebhookDeliveryQuery, options ...CallOption) (*Page[WebhookDelivery], error) {
	r := webhook(http.MethodGet, id, "/deliveries", nil)
	r.query = queryOf(q)
	return list[WebhookDelivery](ctx, s.c, r, options)
}

// AllDeliveries walks what was and will be sent to a webhook.
func (s *WebhookService) AllDeliveries(ctx context.Context, id string, q WebhookDeliveryQuery, options ...CallOption) iter.Seq2[WebhookDelivery, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[WebhookDelivery], error) {
		q.Paging = at
		return s.Deliveries(ctx, id, q, options...)
	}, func(d WebhookDelivery) string { return d.ID })
}

// Replay sends a delivery again, with the same id and body, and tries it for 72 hours again, also a test. ErrConflict where the
// webhook is not enabled.
func (s *WebhookService) Replay(ctx context.Context, id, deliveryID string, options ...CallOption) (*WebhookDelivery, error) {
	if err := checkID("path.deliveryId", deliveryID); err != nil {
		return nil, err
	}
	return one[WebhookDelivery](ctx, s.c, webhook(http.MethodPost, id, "/deliveries/"+deliveryID+"/replay", nil), options)
}
