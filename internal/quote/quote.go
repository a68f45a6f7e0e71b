package quote

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Lasts is how long a price is fixed.
const Lasts = 10 * time.Minute

// MaxOpen is how many open quotes an account can have. Several that are created in the same instant
// may exceed it by their number.
const MaxOpen = 100

// keepExpired is how long expired quotes are kept, for clients that ask why theirs cannot be used.
const keepExpired = 24 * time.Hour

// Quote is a price that is fixed until it expires, for one deployment.
type Quote struct {
	ID          id.ID        `json:"quoteId" doc:"Id of the quote, quo_…. Deploy with it as quoteId."`
	OfferID     id.ID        `json:"offerId" doc:"Id of the offer."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars per hour for a deployment that uses the quote."`
	CreatedAt   time.Time    `json:"createdAt" doc:"When the quote was created."`
	ExpiresAt   time.Time    `json:"expiresAt" doc:"When the quote expires."`
	UsedBy      *id.ID       `json:"usedBy" doc:"Id of the deployment that used it; null if none has."`
}

// Service owns the quotes.
type Service struct{ ids *id.Maker }

// New returns a Service.
func New(ids *id.Maker) *Service { return &Service{ids} }

// Make creates a quote for the offer's present price. It returns OFFER_UNAVAILABLE if the offer is
// sold out, and LIMIT_REACHED if the account has MaxOpen open quotes.
func (s *Service) Make(ctx context.Context, tx *db.Tx, account id.ID, o catalog.Offer) (Quote, error) {
	if !o.Available {
		return Quote{}, apierr.New(apierr.OfferUnavailable,
			"Offer %s is sold out. Choose another offer from GET /offers?available=true.", o.ID)
	}
	n, err := countOpen(ctx, tx, account)
	if err != nil {
		return Quote{}, err
	}
	if n >= MaxOpen {
		return Quote{}, apierr.Full("quotes", MaxOpen,
			"The account has %d open quotes, which is the maximum. Use one, or wait: they expire after %d minutes.",
			n, Lasts/time.Minute)
	}
	now := tx.Now.Truncate(time.Second)
	if err := deleteExpired(ctx, tx, now.Add(-keepExpired)); err != nil {
		return Quote{}, err
	}
	q := Quote{
		ID: s.ids.New(id.Quote), OfferID: o.ID, HourlyPrice: o.HourlyPrice, CreatedAt: now, ExpiresAt: now.Add(Lasts),
	}
	return q, insert(ctx, tx, account, q)
}

// Get returns the account's quote, also an expired or used one, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, quote id.ID) (Quote, error) {
	q, found, err := find(ctx, r, account, quote)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No quote has this id. Create one with POST /quotes.")
	}
	return q, err
}

// Use gives the quote to the deployment, once. It returns CONFLICT if it was used or has expired.
func (s *Service) Use(ctx context.Context, tx *db.Tx, account, quote, deployment id.ID) error {
	used, err := use(ctx, tx, account, quote, deployment)
	if err == nil && !used {
		err = apierr.New(apierr.Conflict,
			"Quote %s was used or has expired. Create a new one with POST /quotes.", quote)
	}
	return err
}
