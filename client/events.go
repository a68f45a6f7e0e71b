package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// BeginningOfEvents is the last event id for a stream that starts with the account's first event.
const BeginningOfEvents = "evt_0"

// Event is a change in the account.
type Event struct {
	// ID has the form evt_….
	ID string `json:"id"`
	// Type is a stable code, such as deployment.running. New types can be added: ignore unknown
	// ones.
	Type string `json:"type"`
	// Subject is the id of the changed resource.
	Subject string `json:"subject"`
	// Data is a JSON object that depends on the type. Unmarshal it into your own struct, and
	// amounts into Money.
	Data json.RawMessage `json:"data"`
	// CreatedAt is the time of the change.
	CreatedAt time.Time `json:"createdAt"`
}

// EventFilter filters events. Zero values filter nothing.
type EventFilter struct {
	// Subject is the id of a deployment, volume or account.
	Subject string `query:"subject"`
	// Types are up to 20 event types.
	Types []string `query:"type"`
}

// EventQuery filters a list of events.
type EventQuery struct {
	Paging
	EventFilter
}

// EventService lists and streams events. Its calls need the scope deployments:read.
type EventService struct{ c *Client }

// List returns one page of events, newest first.
func (s *EventService) List(ctx context.Context, q EventQuery, options ...CallOption) (*Page[Event], error) {
	return list[Event](ctx, s.c, request{path: "/events", query: queryOf(q)}, options)
}

// All iterates over events, newest first. Use Stream to follow new events.
func (s *EventService) All(ctx context.Context, q EventQuery, options ...CallOption) iter.Seq2[Event, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Event], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(e Event) string { return e.ID })
}
