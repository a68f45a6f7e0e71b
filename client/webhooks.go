package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// WebhookStatus is the status of a webhook.
type WebhookStatus string

// The statuses of a webhook.
const (
	// WebhookEnabled receives events.
	WebhookEnabled WebhookStatus = "enabled"
	// WebhookDisabled receives nothing: it was disabled by the account, or by a response with
	// status 410.
	WebhookDisabled WebhookStatus = "disabled"
	// WebhookPaused receives nothing after 72 hours of failures.
	WebhookPaused WebhookStatus = "paused"
)

// Webhook is an endpoint that receives the account's events.
type Webhook struct {
	// ID has the form whk_….
	ID string `json:"id"`
	// URL is the endpoint.
	URL string `json:"url"`
	// Description is the account's own text.
	Description string `json:"description"`
	// Types are the event types to send, such as deployment.running or deployment.*; empty means
	// all.
	Types []string `json:"types"`
	// Enabled reports whether events are sent, Status also why not; StatusReason is the text for
	// users, nil if the account disabled it.
	Enabled      bool          `json:"enabled"`
	Status       WebhookStatus `json:"status"`
	StatusReason *string       `json:"statusReason"`
	// FailingSince is the first failure after the last success; nil if the last attempt succeeded
	// or there was none.
	FailingSince *time.Time `json:"failingSince"`
	// LastDeliveredAt is the last successful delivery; nil means never.
	LastDeliveredAt *time.Time `json:"lastDeliveredAt"`
	// OldSecretValidUntil is until when the previous secret also signs requests; nil if it does
	// not.
	OldSecretValidUntil *time.Time `json:"oldSecretValidUntil"`
	// CreatedAt is when the webhook was created. Events from then on are sent.
	CreatedAt time.Time `json:"createdAt"`
	// CreatedBy is who created it.
	CreatedBy Creator `json:"createdBy"`
}

// NewWebhook is a webhook with its secret, which is returned only once.
type NewWebhook struct {
	Webhook
	// Secret is the signing secret, whsec_…, in the format of Standard Webhooks.
	Secret string `json:"secret"`
}

// CreateWebhook is a webhook to create. URL is required; zero values are not sent.
type CreateWebhook struct {
	// URL must use https and have a public address.
	URL string `json:"url"`
	// Description is up to 200 characters.
	Description string `json:"description,omitempty"`
	// Types are up to 50 event types; empty means all.
	Types []string `json:"types,omitempty"`
	// Enabled is true if nil. If false, events are kept and sent once the webhook is enabled.
	Enabled *bool `json:"enabled,omitempty"`
}

// UpdateWebhook has the changes to a webhook. Zero values change nothing.
type UpdateWebhook struct {
	// URL must use https and have a public address.
	URL string `json:"url,omitempty"`
	// Description is up to 200 characters; a pointer to "" removes it.
	Description *string `json:"description,omitempty"`
	// Types replace the current types; an empty, non-nil list means all.
	Types []string `json:"types,omitzero"`
	// Enabled resumes sending if true, including the missed events, and stops it if false.
	Enabled *bool `json:"enabled,omitempty"`
}

// WebhookDeliveryStatus is the status of a delivery.
type WebhookDeliveryStatus string

// The statuses of a delivery.
const (
	// DeliveryPending will be attempted, or retried.
	DeliveryPending WebhookDeliveryStatus = "pending"
	// DeliveryDelivered got a 2xx response.
	DeliveryDelivered WebhookDeliveryStatus = "delivered"
	// DeliveryFailed is no longer retried.
	DeliveryFailed WebhookDeliveryStatus = "failed"
)

// WebhookDelivery is the delivery of an event to a webhook.
type WebhookDelivery struct {
	// ID has the form whd_….
	ID string `json:"id"`
	// WebhookID is the webhook.
	WebhookID string `json:"webhookId"`
	// EventID is the id of the event, which is in the webhook-id header. Type is the type of the
	// event.
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	// Status is the status of the delivery.
	Status WebhookDeliveryStatus `json:"status"`
	// Attempts are the latest 20 attempts, oldest first; AttemptCount is the number of all
	// attempts.
	Attempts     []WebhookAttempt `json:"attempts"`
	AttemptCount int              `json:"attemptCount"`
	// NextAttemptAt is the next retry; nil if there is none, or it is due now.
	NextAttemptAt *time.Time `json:"nextAttemptAt"`
	// CreatedAt is when the delivery was created, right after the event.
	CreatedAt time.Time `json:"createdAt"`
}

// WebhookAttempt is one request to a webhook's URL.
type WebhookAttempt struct {
	// At is the start, DurationMS the duration in milliseconds.
	At         time.Time `json:"at"`
	DurationMS int       `json:"durationMs"`
	// Status is the HTTP status of the response, nil if there was none. Problem is the reason, nil
	// if there was a response.
	Status  *int    `json:"status"`
	Problem *string `json:"problem"`
	// Response is the start of the response body, at most 500 characters.
	Response string `json:"response"`
}

// WebhookDeliveryQuery filters a list of deliveries.
type WebhookDeliveryQuery struct {
	Paging
	// Status is the accepted status; "" means all.
	Status WebhookDeliveryStatus `query:"status"`
}

// WebhookService manages webhooks. Reading needs the scope webhooks:read, changes need
// webhooks:write.
type WebhookService struct{ c *Client }

func webhook(method, id, below string, body any) request {
	return request{method: method, path: "/webhooks/" + id + below, id: id, field: "path.id", body: body}
}

// List returns one page of webhooks, newest first.
func (s *WebhookService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[Webhook], error) {
	return list[Webhook](ctx, s.c, request{path: "/webhooks", query: queryOf(q)}, options)
}

// All iterates over all webhooks.
func (s *WebhookService) All(ctx context.Context, options ...CallOption) iter.Seq2[Webhook, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Webhook], error) {
		return s.List(ctx, at, options...)
	}, func(w Webhook) string { return w.ID })
}

// Get returns a webhook. The error is ErrNotFound if there is none.
func (s *WebhookService) Get(ctx context.Context, id string, options ...CallOption) (*Webhook, error) {
	return one[Webhook](ctx, s.c, webhook(http.MethodGet, id, "", nil), options)
}

// Create creates a webhook and returns its secret, which cannot be read again. It receives the
// account's events from then on, at least once each. An account can have ten webhooks; the error is
// ErrConflict for one more.
func (s *WebhookService) Create(ctx context.Context, in CreateWebhook, options ...CallOption) (*NewWebhook, error) {
	return one[NewWebhook](ctx, s.c, request{method: http.MethodPost, path: "/webhooks", body: in}, options)
}

// Update changes a webhook, and can resume a paused one.
func (s *WebhookService) Update(
	ctx context.Context,
	id string,
	in UpdateWebhook,
	options ...CallOption,
) (*Webhook, error) {
	return one[Webhook](ctx, s.c, webhook(http.MethodPatch, id, "", in), options)
}

// Delete deletes a webhook and its deliveries. The error is ErrNotFound if there is none, except in
// a retry after a lost response, which means that the webhook was deleted.
func (s *WebhookService) Delete(ctx context.Context, id string, options ...CallOption) error {
	r := webhook(http.MethodDelete, id, "", nil)
	r.goneIsDone = true
	return s.c.do(ctx, r, options, func(body []byte) error {
		_, err := open[Webhook](body)
		return err
	})
}

// RotateSecret replaces the secret of a webhook and returns the new one, which cannot be read
// again. For 24 hours, the previous secret also signs requests.
func (s *WebhookService) RotateSecret(ctx context.Context, id string, options ...CallOption) (*NewWebhook, error) {
	return one[NewWebhook](ctx, s.c, webhook(http.MethodPost, id, "/rotate-secret", nil), options)
}

// Test sends a webhook.test event once, even to a webhook that is not enabled. Deliveries returns
// the result.
func (s *WebhookService) Test(ctx context.Context, id string, options ...CallOption) (*WebhookDelivery, error) {
	return one[WebhookDelivery](ctx, s.c, webhook(http.MethodPost, id, "/test", nil), options)
}

// Deliveries returns one page of the deliveries to a webhook, newest first. They are kept for 30
// days.
func (s *WebhookService) Deliveries(
	ctx context.Context,
	id string,
	q WebhookDeliveryQuery,
	options ...CallOption,
) (*Page[WebhookDelivery], error) {
	r := webhook(http.MethodGet, id, "/deliveries", nil)
	r.query = queryOf(q)
	return list[WebhookDelivery](ctx, s.c, r, options)
}

// AllDeliveries iterates over the deliveries to a webhook, newest first.
func (s *WebhookService) AllDeliveries(
	ctx context.Context,
	id string,
	q WebhookDeliveryQuery,
	options ...CallOption,
) iter.Seq2[WebhookDelivery, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[WebhookDelivery], error) {
		q.Paging = at
		return s.Deliveries(ctx, id, q, options...)
	}, func(d WebhookDelivery) string { return d.ID })
}

// Replay sends a delivery again with the same id and body, with retries for up to 72 hours. The
// error is ErrConflict if the webhook is not enabled.
func (s *WebhookService) Replay(
	ctx context.Context,
	id, deliveryID string,
	options ...CallOption,
) (*WebhookDelivery, error) {
	if err := checkID("path.deliveryId", deliveryID); err != nil {
		return nil, err
	}
	return one[WebhookDelivery](ctx, s.c, webhook(http.MethodPost, id, "/deliveries/"+deliveryID+"/replay", nil),
		options)
}
