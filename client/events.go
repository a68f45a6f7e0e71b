package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// BeginningOfEvents is the LastEventID of a stream that begins with the account's first event.
const BeginningOfEvents = "evt_0"

// Event is something that happened in the account.
type Event struct {
	// ID is evt_….
	ID string `json:"id"`
	// Type is a stable word, such as deployment.running. New ones may be added: leave out what you do not know.
	Type string `json:"type"`
	// Subject is the id of what it happened to.
	Subject string `json:"subject"`
	// Data are the facts, a JSON object; which ones depends on the type. Unmarshal it into a struct of your own, amounts into Money.
	Data json.RawMessage `json:"data"`
	// CreatedAt is when it happened.
	CreatedAt time.Time `json:"createdAt"`
}

// EventFilter narrows events. Zero values narrow nothing.
type EventFilter struct {
	// Subject is the id of a deployment, volume or account.
	Subject string `query:"subject"`
	// Types are up to 20.
	Types []string `query:"type"`
}

// EventQuery is which events to list.
type EventQuery struct {
	Paging
	EventFilter
}

// EventService tells what happened. Its calls need the scope deployments:read.
type EventService struct{ c *Client }

// List returns one page of events, newest first.
func (s *EventService) List(ctx context.Context, q EventQuery, options ...CallOption) (*Page[Event], error) {
	return list[Event](ctx, s.c, request{path: "/events", query: queryOf(q)}, options)
}

// All walks the events of the query, newest first. To follow what happens from now on, use Stream.
func (s *EventService) All(ctx context.Context, q EventQuery, options ...CallOption) iter.Seq2[Event, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Event], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(e Event) string { return e.ID })
}
