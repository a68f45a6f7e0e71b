package client

import (
	"context"
	"net/http"
	"time"
)

// Quote locks an offer's price for one deployment. It reserves no machine.
type Quote struct {
	// QuoteID has the form quo_…, for CreateDeployment.QuoteID.
	QuoteID string `json:"quoteId"`
	// OfferID is the offer.
	OfferID string `json:"offerId"`
	// HourlyPrice is the locked price.
	HourlyPrice Money `json:"hourlyPrice"`
	// Hold is the hold of a deploy, Required the required available balance, Available the current
	// one; nil for a key that is bound to a project.
	Hold      Money  `json:"hold"`
	Required  Money  `json:"required"`
	Available *Money `json:"available"`
	// CreatedAt is when the quote was created.
	CreatedAt time.Time `json:"createdAt"`
	// ExpiresAt is when the quote expires.
	ExpiresAt time.Time `json:"expiresAt"`
	// UsedBy is the deployment that used the quote; nil if there is none.
	UsedBy *string `json:"usedBy"`
}

type createQuote struct {
	OfferID string `json:"offerId"`
}

// QuoteService creates quotes.
type QuoteService struct{ c *Client }

// Create locks an offer's price for ten minutes. The error is ErrOfferUnavailable if it is not
// available. It needs the scope deployments:write.
func (s *QuoteService) Create(ctx context.Context, offerID string, options ...CallOption) (*Quote, error) {
	return one[Quote](ctx, s.c, request{method: http.MethodPost, path: "/quotes", body: createQuote{offerID}}, options)
}

// Get returns a quote. Used and expired quotes are kept for a day. It needs the scope
// deployments:read.
func (s *QuoteService) Get(ctx context.Context, id string, options ...CallOption) (*Quote, error) {
	return one[Quote](ctx, s.c, request{method: http.MethodGet, path: "/quotes/" + id, id: id, field: "path.quoteId"},
		options)
}
