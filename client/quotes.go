package client

import (
	"context"
	"net/http"
	"time"
)

// Quote is an offer's price, fixed for one deployment. It keeps no machine back.
type Quote struct {
	// QuoteID is what CreateDeployment.QuoteID names, quo_….
	QuoteID string `json:"quoteId"`
	// OfferID is the offer whose price it is.
	OfferID string `json:"offerId"`
	// HourlyPrice is what an hour costs, whatever the provider asks by then.
	HourlyPrice Money `json:"hourlyPrice"`
	// Hold is what a deploy would set aside, Required what must be available for it, Available what is.
	Hold      Money `json:"hold"`
	Required  Money `json:"required"`
	Available Money `json:"available"`
	// CreatedAt is when it was made.
	CreatedAt time.Time `json:"createdAt"`
	// ExpiresAt is until when it can be used.
	ExpiresAt time.Time `json:"expiresAt"`
	// UsedBy is the deployment that took it; nil while none has.
	UsedBy *string `json:"usedBy"`
}

type createQuote struct {
	OfferID string `json:"offerId"`
}

// QuoteService fixes prices.
type QuoteService struct{ c *Client }

// Create fixes an offer's price for ten minutes. ErrOfferUnavailable where it cannot be had. It needs the scope deployments:write.
func (s *QuoteService) Create(ctx context.Context, offerID string, options ...CallOption) (*Quote, error) {
	return one[Quote](ctx, s.c, request{method: http.MethodPost, path: "/quotes", body: createQuote{offerID}}, options)
}

// Get returns a quote, for a day also one that was used or has expired. It needs the scope deployments:read.
func (s *QuoteService) Get(ctx context.Context, id string, options ...CallOption) (*Quote, error) {
	return one[Quote](ctx, s.c, request{method: http.MethodGet, path: "/quotes/" + id, id: id, field: "path.quoteId"}, options)
}
