package httpapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/webhook"
)

// webhooks are an account's event notifications.
type webhooks struct {
	db  *db.DB
	svc *webhook.Service
}

func (h webhooks) routes(r *rest.Router) {
	const all, one = Base + "/webhooks", Base + "/webhooks/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listWebhooks", Tag: tagWebhooks, Scope: string(account.ReadWebhooks),
		Summary: "List webhooks", Description: "Newest first.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createWebhook", Tag: tagWebhooks, Scope: string(account.WriteWebhooks),
		Status: http.StatusCreated, Secret: true, Summary: "Create a webhook",
		Description: "From now on the account's events, as in `GET /events`, are sent to the URL, signed as Standard " +
			"Webhooks " +
			"specifies: at least once, first attempts in order, retried for 72 hours until a response is 2xx. The " +
			"response has the " +
			"secret, which is shown once. An account can have 10 webhooks.",
		Errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, h.create)
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getWebhook", Tag: tagWebhooks, Scope: string(account.ReadWebhooks),
		Summary: "Get a webhook",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "updateWebhook", Tag: tagWebhooks,
		Scope:   string(account.WriteWebhooks),
		Summary: "Update a webhook", Description: "Also resumes a paused webhook.",
	}, h.update)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "deleteWebhook", Tag: tagWebhooks,
		Scope:   string(account.WriteWebhooks),
		Summary: "Delete a webhook", Description: "Deletes its deliveries, too. Returns the deleted webhook.",
	}, h.delete)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/rotate-secret", ID: "rotateWebhookSecret", Tag: tagWebhooks,
		Scope: string(account.WriteWebhooks), Secret: true, Summary: "Rotate a webhook secret",
		Description: "For 24 hours requests are signed with the previous secret, too: two signatures, one of which " +
			"verifies with either.",
	}, h.rotateSecret)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/test", ID: "testWebhook", Tag: tagWebhooks,
		Scope:   string(account.WriteWebhooks),
		Summary: "Send a test event",
		Description: "Sends a signed event of the type webhook.test at once, even if the webhook is disabled. It is " +
			"tried once. " +
			"`GET …/deliveries` has the result.",
	}, h.test)
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: one + "/deliveries", ID: "listWebhookDeliveries", Tag: tagWebhooks,
		Scope: string(account.ReadWebhooks), Summary: "List webhook deliveries",
		Description: "Newest first, each with its attempts. Deliveries are kept for 30 days.",
	}, h.deliveries)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/deliveries/{deliveryId}/replay", ID: "replayWebhookDelivery",
		Tag:   tagWebhooks,
		Scope: string(account.WriteWebhooks), Summary: "Replay a webhook delivery",
		Description: "Sends it now, with the same id and body, and retries for 72 hours until a response is 2xx. A " +
			"test is sent once.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.replay)
}

type webhookPath struct {
	ID id.ID `path:"id" doc:"Id of the webhook, whk_…"`
}

type createWebhook struct {
	Body struct {
		URL         string   `json:"url" minLength:"1" maxLength:"2000" example:"https://hooks.example/billet" doc:"Endpoint that receives events: https, on a public address."`
		Description string   `json:"description,omitempty" maxLength:"200" example:"scheduler" doc:"A note for yourself."`
		Types       []string `json:"types,omitempty" maxItems:"50" maxLength:"64" doc:"Event types to send, such as deployment.running, or deployment.* for all of a group; all if omitted. The document's webhooks list them."`
		Enabled     *bool    `json:"enabled,omitempty" doc:"true if omitted. While false, nothing is sent; enabling it sends everything since then."`
	}
}

type updateWebhook struct {
	webhookPath
	Body struct {
		URL         *string   `json:"url,omitempty" minLength:"1" maxLength:"2000"`
		Description *string   `json:"description,omitempty" maxLength:"200"`
		Types       *[]string `json:"types,omitempty" maxItems:"50" maxLength:"64" doc:"An empty list means all."`
		Enabled     *bool     `json:"enabled,omitempty" doc:"true resumes where sending stopped: events since then are sent, too."`
	}
}

// Check refuses an update without a field.
func (in *updateWebhook) Check() []apierr.FieldError {
	b := &in.Body
	return someField(b.URL != nil || b.Description != nil || b.Types != nil || b.Enabled != nil)
}

// newWebhook is a webhook with its secret, which is shown once.
type newWebhook struct {
	webhook.Endpoint
	Secret string `json:"secret" doc:"Secret that requests are signed with, whsec_…. It is shown once; store it."`
}

type deliveriesQuery struct {
	webhookPath
	rest.Paging
	Status webhook.DeliveryStatus `query:"status" doc:"Status of the deliveries."`
}

type deliveryPath struct {
	webhookPath
	Delivery id.ID `path:"deliveryId" doc:"Id of the delivery, whd_…"`
}

func (h webhooks) list(
	ctx context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]webhook.Endpoint, db.Listed, error) {
	return h.svc.List(ctx, h.db, c.Caller.Account, p)
}

func (h webhooks) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createWebhook) (newWebhook, error) {
	b := &in.Body
	w, secret, err := h.svc.Create(ctx, tx, c.Caller.Account, webhook.Request{
		URL: b.URL, Description: b.Description, Types: b.Types, Disabled: b.Enabled != nil && !*b.Enabled,
		By: creatorOf(c),
	})
	c.Created(w.ID)
	return newWebhook{w, secret}, err
}

func (h webhooks) get(ctx context.Context, r db.Reader, c *rest.Call, in *webhookPath) (webhook.Endpoint, error) {
	return h.svc.Get(ctx, r, c.Caller.Account, in.ID)
}

func (h webhooks) update(ctx context.Context, tx *db.Tx, c *rest.Call, in *updateWebhook) (webhook.Endpoint, error) {
	b := &in.Body
	return h.svc.Update(ctx, tx, c.Caller.Account, in.ID, webhook.Update{
		URL: b.URL, Description: b.Description, Types: b.Types, Enabled: b.Enabled,
	})
}

func (h webhooks) delete(ctx context.Context, tx *db.Tx, c *rest.Call, in *webhookPath) (webhook.Endpoint, error) {
	w, err := h.svc.Delete(ctx, tx, c.Caller.Account, in.ID)
	c.Change.Name = w.Description
	if at, wrong := url.Parse(w.URL); c.Change.Name == "" && wrong == nil {
		c.Change.Name = at.Host // the rest may have a secret
	}
	return w, err
}

func (h webhooks) rotateSecret(ctx context.Context, tx *db.Tx, c *rest.Call, in *webhookPath) (newWebhook, error) {
	w, secret, err := h.svc.RotateSecret(ctx, tx, c.Caller.Account, in.ID)
	return newWebhook{w, secret}, err
}

func (h webhooks) test(ctx context.Context, tx *db.Tx, c *rest.Call, in *webhookPath) (webhook.Delivery, error) {
	return h.svc.Test(ctx, tx, c.Caller.Account, in.ID)
}

func (h webhooks) deliveries(
	ctx context.Context, c *rest.Call, in *deliveriesQuery, p db.Page,
) ([]webhook.Delivery, db.Listed, error) {
	return h.svc.Deliveries(ctx, h.db, c.Caller.Account, in.ID, in.Status, p)
}

func (h webhooks) replay(ctx context.Context, tx *db.Tx, c *rest.Call, in *deliveryPath) (webhook.Delivery, error) {
	return h.svc.Replay(ctx, tx, c.Caller.Account, in.ID, in.Delivery)
}
