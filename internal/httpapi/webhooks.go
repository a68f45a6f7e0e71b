package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/webhook"
)

type webhookPath struct {
	ID id.ID `path:"id" doc:"Id of the webhook, whk_…"`
}

type createWebhook struct {
	Body struct {
		URL         string   `json:"url" minLength:"1" maxLength:"2000" example:"https://hooks.example/billet" doc:"Where events are sent: https, on a public address."`
		Description string   `json:"description,omitempty" maxLength:"200" example:"scheduler" doc:"What it is for."`
		Types       []string `json:"types,omitempty" maxItems:"50" maxLength:"64" doc:"The types of events that are sent, such as deployment.running, or deployment.* for all that begin so; all if left out. The document's webhooks list them."`
		Enabled     *bool    `json:"enabled,omitempty" doc:"true if left out. With false nothing is sent before it is enabled; then everything from now on."`
	}
}

type updateWebhook struct {
	webhookPath
	Body struct {
		URL         *string   `json:"url,omitempty" minLength:"1" maxLength:"2000"`
		Description *string   `json:"description,omitempty" maxLength:"200"`
		Types       *[]string `json:"types,omitempty" maxItems:"50" maxLength:"64" doc:"An empty list for all."`
		Enabled     *bool     `json:"enabled,omitempty" doc:"With true, sending goes on where it stopped: what happened meanwhile is sent, too."`
	}
}

func (in *updateWebhook) check() []apierr.FieldError {
	b := &in.Body
	return anything(b.URL != nil || b.Description != nil || b.Types != nil || b.Enabled != nil)
}

// newWebhook is a webhook with its secret, which is shown this once.
type newWebhook struct {
	webhook.Endpoint
	Secret string `json:"secret" doc:"What requests are signed with, whsec_…. It is shown this once; keep it."`
}

type deliveriesQuery struct {
	webhookPath
	page
	Status webhook.DeliveryStatus `query:"status" enum:"pending,delivered,failed" doc:"Only those of this status."`
}

type deliveryPath struct {
	webhookPath
	Delivery id.ID `path:"deliveryId" doc:"Id of the delivery, whd_…"`
}

func (s *server) addWebhooks() {
	at := Base + "/webhooks"
	one := at + "/{id}"
	list(s, spec{
		method: http.MethodGet, path: at, id: "listWebhooks", tag: tagWebhooks, scope: account.ReadWebhooks, summary: "List webhooks", text: "Newest first.",
	}, func(ctx context.Context, c *call, in *page, p db.Page) ([]webhook.Endpoint, db.Listed, error) {
		return s.c.Webhooks.List(ctx, s.c.DB, c.account, p)
	})

	write(s, spec{
		method: http.MethodPost, path: at, id: "createWebhook", tag: tagWebhooks, scope: account.WriteWebhooks, status: http.StatusCreated, secret: true, summary: "Make a webhook",
		text: "From now on the account's events, as `GET /events` has them, are sent to the address, signed by the Standard Webhooks specification: at least once, first attempts in order, for 72 hours until " +
			"one is answered with 2xx. The answer has the secret, which nobody can learn again. An account may have 10.",
		errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createWebhook) (newWebhook, error) {
		b := &in.Body
		w, secret, err := s.c.Webhooks.Create(ctx, tx, c.account, webhook.Request{URL: b.URL, Description: b.Description, Types: b.Types, Disabled: b.Enabled != nil && !*b.Enabled})
		c.created(w.ID)
		return newWebhook{w, secret}, err
	})

	read(s, spec{
		method: http.MethodGet, path: one, id: "getWebhook", tag: tagWebhooks, scope: account.ReadWebhooks, summary: "Get a webhook",
	}, func(ctx context.Context, c *call, in *webhookPath) (webhook.Endpoint, error) {
		return s.c.Webhooks.Get(ctx, s.c.DB, c.account, in.ID)
	})

	write(s, spec{
		method: http.MethodPatch, path: one, id: "updateWebhook", tag: tagWebhooks, scope: account.WriteWebhooks, summary: "Change a webhook",
		text: "Also how one that is paused is enabled again.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *updateWebhook) (webhook.Endpoint, error) {
		b := &in.Body
		return s.c.Webhooks.Update(ctx, tx, c.account, in.ID, webhook.Update{URL: b.URL, Description: b.Description, Types: b.Types, Enabled: b.Enabled})
	})

	write(s, spec{
		method: http.MethodDelete, path: one, id: "deleteWebhook", tag: tagWebhooks, scope: account.WriteWebhooks, summary: "Delete a webhook",
		text: "With its deliveries. Answers the webhook as it was.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *webhookPath) (webhook.Endpoint, error) {
		return s.c.Webhooks.Delete(ctx, tx, c.account, in.ID)
	})

	write(s, spec{
		method: http.MethodPost, path: one + "/rotate-secret", id: "rotateWebhookSecret", tag: tagWebhooks, scope: account.WriteWebhooks, secret: true,
		summary: "Replace a webhook's secret", text: "For 24 hours requests are signed with the one before, too: two signatures, one of which verifies with either.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *webhookPath) (newWebhook, error) {
		w, secret, err := s.c.Webhooks.RotateSecret(ctx, tx, c.account, in.ID)
		return newWebhook{w, secret}, err
	})

	write(s, spec{
		method: http.MethodPost, path: one + "/test", id: "testWebhook", tag: tagWebhooks, scope: account.WriteWebhooks,
		summary: "Send a test", text: "Sends an event of the type webhook.test at once, signed as all others, also where the webhook is not enabled. It is tried once. `GET …/deliveries` tells what came of it.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *webhookPath) (webhook.Delivery, error) {
		return s.c.Webhooks.Test(ctx, tx, c.account, in.ID)
	})

	list(s, spec{
		method: http.MethodGet, path: one + "/deliveries", id: "listWebhookDeliveries", tag: tagWebhooks, scope: account.ReadWebhooks,
		summary: "What was sent", text: "Newest first, each with its attempts. They are kept for 30 days.",
	}, func(ctx context.Context, c *call, in *deliveriesQuery, p db.Page) ([]webhook.Delivery, db.Listed, error) {
		return s.c.Webhooks.Deliveries(ctx, s.c.DB, c.account, in.ID, in.Status, p)
	})

	write(s, spec{
		method: http.MethodPost, path: one + "/deliveries/{deliveryId}/replay", id: "replayWebhookDelivery", tag: tagWebhooks, scope: account.WriteWebhooks,
		summary: "Send a delivery again", text: "Now, with the same id and body, and then for 72 hours until it is answered with 2xx; a test once.",
		errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *deliveryPath) (webhook.Delivery, error) {
		return s.c.Webhooks.Replay(ctx, tx, c.account, in.ID, in.Delivery)
	})
}
