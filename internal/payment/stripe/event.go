package stripe

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/billetcloud/billet/internal/payment"
)

// tolerance is how far the time of a signature may be from ours, into the past or the future.
const tolerance = webhook.DefaultTolerance

// EventTypes are the events from which something follows: what a webhook endpoint should be created
// with. A list of events takes at most 20 types.
var EventTypes = []string{
	"checkout.session.completed", "checkout.session.async_payment_succeeded",
	"checkout.session.async_payment_failed", "checkout.session.expired",
	"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.requires_action",
	"payment_intent.processing", "payment_intent.canceled",
	"charge.updated", "charge.refunded",
	"refund.created", "refund.updated", "refund.failed",
	"charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
	"payment_method.automatically_updated", "payment_method.updated", "payment_method.detached",
}

// reference reads an ID that may be expanded to an object.
type reference string

func (r *reference) UnmarshalJSON(b []byte) error {
	var object struct {
		ID string `json:"id"`
	}
	if len(b) > 0 && b[0] == '{' {
		if err := json.Unmarshal(b, &object); err != nil {
			return err
		}
		*r = reference(object.ID)
		return nil
	}
	return json.Unmarshal(b, (*string)(r))
}

// wireEvent is what is read of an event. Its object is fetched again.
type wireEvent struct {
	ID         string   `json:"id"`
	Object     string   `json:"object"`
	Type       string   `json:"type"`
	APIVersion string   `json:"api_version"`
	Created    int64    `json:"created"`
	Livemode   bool     `json:"livemode"`
	Data       wireData `json:"data"`
}

type wireData struct {
	Object   about `json:"object"`
	Previous struct {
		Customer reference `json:"customer"`
	} `json:"previous_attributes"`
}

// about is the object of an event.
type about struct {
	ID            string    `json:"id"`
	Object        string    `json:"object"`
	PaymentIntent reference `json:"payment_intent"`
	Customer      reference `json:"customer"`
}

// event returns the event, and false if it belongs to no payment and no customer.
func (e wireEvent) event() (payment.Event, bool) {
	out := payment.Event{
		ID: e.ID, Type: e.Type, Live: e.Livemode, CreatedAt: time.Unix(e.Created, 0).UTC(),
	}
	switch o := e.Data.Object; o.Object {
	case "checkout.session", "payment_intent":
		out.Reference = o.ID
	case "payment_method":
		out.Customer = string(o.Customer)
		if out.Customer == "" { // it was just detached
			out.Customer = string(e.Data.Previous.Customer)
		}
	default:
		out.Reference = string(o.PaymentIntent)
	}
	return out, e.ID != "" && slices.Contains(EventTypes, e.Type) && out.Reference+out.Customer != ""
}

// Event verifies and reads a webhook's body. See payment.Processor.
func (p *Processor) Event(header func(name string) string, body []byte) (payment.Event, error) {
	signature := header("Stripe-Signature")
	at, ok := stamp(signature)
	if !ok || !slices.ContainsFunc(p.c.WebhookSecrets, func(secret string) bool {
		return webhook.ValidatePayloadIgnoringTolerance(body, signature, secret) == nil
	}) {
		return payment.Event{}, payment.ErrForged
	}
	// The library accepts every time in the future.
	if age := p.c.Now().Sub(at); age > tolerance || age < -tolerance {
		return payment.Event{}, payment.ErrStale
	}
	var e wireEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return payment.Event{}, fmt.Errorf("stripe: the event is not readable: %w", err)
	}
	if e.Object != "event" {
		return payment.Event{}, fmt.Errorf("stripe: the webhook endpoint sends thin events (%.40q); "+
			"create an endpoint with snapshot events", e.Object)
	}
	if train(e.APIVersion) != train(stripe.APIVersion) {
		return payment.Event{}, fmt.Errorf("stripe: the webhook endpoint sends events of API version %.40q; "+
			"create an endpoint with API version %s", e.APIVersion, stripe.APIVersion)
	}
	if e.Livemode != p.live {
		return payment.Event{}, fmt.Errorf("stripe: the event %.80s has livemode %t, but the key has %t; "+
			"use the key and the webhook secret of the same mode", e.ID, e.Livemode, p.live)
	}
	out, follows := e.event()
	if !follows {
		return payment.Event{}, payment.ErrIgnored
	}
	return out, nil
}

// stamp returns the time of a signature. There must be one: which of several was signed would be
// ambiguous.
func stamp(signature string) (at time.Time, ok bool) {
	for _, part := range strings.Split(signature, ",") {
		text, is := strings.CutPrefix(strings.TrimSpace(part), "t=")
		if !is {
			continue
		}
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ok {
			return time.Time{}, false
		}
		at, ok = time.Unix(seconds, 0), true
	}
	return at, ok
}

// train is the release train of an API version, "dahlia" of "2026-03-25.dahlia". Versions of one
// train are compatible.
func train(version string) string {
	_, name, found := strings.Cut(version, ".")
	if !found {
		return version
	}
	return name
}

// Events lists what happened since a time. See payment.Processor. Stripe keeps events for 30 days.
func (p *Processor) Events(ctx context.Context, since time.Time) iter.Seq2[payment.Event, error] {
	return func(yield func(payment.Event, error) bool) {
		list := p.api().V1Events.List(ctx, &stripe.EventListParams{
			ListParams:   stripe.ListParams{Limit: stripe.Int64(pageSize)},
			CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()},
			Types:        stripe.StringSlice(EventTypes),
		})
		var events []payment.Event // Stripe lists the newest first
		for e, err := range list.All(ctx) {
			if err != nil {
				yield(payment.Event{}, problem("list events", err))
				return
			}
			var read wireEvent // the same reading as a webhook's
			if err := json.Unmarshal(e.LastResponse.RawJSON, &read); err != nil {
				yield(payment.Event{}, fmt.Errorf("stripe: the event %.80s is not readable: %w", e.ID, err))
				return
			}
			if out, follows := read.event(); follows {
				events = append(events, out)
			}
		}
		for _, e := range slices.Backward(events) {
			if !yield(e, nil) {
				return
			}
		}
	}
}
