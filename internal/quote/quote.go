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

// Lasts is for how long a price is promised.
const Lasts = 10 * time.Minute

// MaxOpen is how many quotes of an account can be used at a time. Several that are made in the same instant may exceed it by their number.
const MaxOpen = 100

// Quote is a price that holds until it expires, for one deployment.
type Quote struct {
	ID      id.ID `json:"quoteId" doc:"Id of the quote, quo_…; what quoteId in a deploy names."`
	OfferID id.ID `json:"offerId" doc:"The offer."`
	// HourlyPrice is what each hour costs where the quote is used.
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars an hour, fixed until the quote expires."`
	CreatedAt   time.Time    `json:"createdAt" doc:"When it was made."`
	ExpiresAt   time.Time    `json:"expiresAt" doc:"Until when it can be used."`
	// UsedBy is the deployment that took it.
	UsedBy *id.ID `json:"usedBy" doc:"The deployment that took it; null while none has."`
}

// Service makes quotes and gives them out.
type Service struct{ ids *id.Maker }

// New returns a Book. It panics without a maker of ids.
func New(ids *id.Maker) *Service {
	if ids == nil {
		panic("quote: New needs a maker of ids")
	}
	return &Service{ids}
}

// Make promises the offer's price of now. It is OFFER_UNAVAILABLE where the offer is sold out, and
// LIMIT_REACHED where the account has MaxOpen quotes that it can use.
func (b *Service) Make(ctx context.Context, tx *db.Tx, account id.ID, o catalog.Offer) (Quote, error) {
	if !o.Available {
		return Quote{}, apierr.New(apierr.OfferUnavailable, "Offer %s is sold out at the moment; choose another from GET /offers?available=true.", o.ID)
	}
	now := tx.Now.Truncate(time.Second)
	q := Quote{ID: b.ids.New(id.Quote), OfferID: o.ID, HourlyPrice: o.HourlyPrice, CreatedAt: now, ExpiresAt: now.Add(Lasts)}
	n, err := countOpen(ctx, tx, account)
	if err == nil && n >= MaxOpen {
		err = apierr.Full("quotes", MaxOpen, "This account has %d open quotes, and %d is the most. Use one, or wait until some expire: they last %d minutes.", n, MaxOpen, Lasts/time.Minute)
	}
	if err != nil {
		return Quote{}, err
	}
	if err := forget(ctx, tx, now.Add(-24*time.Hour)); err != nil { // long enough for whoever wonders why
		return Quote{}, err
	}
	return q, insert(ctx, tx, account, q)
}

// Get returns the account's quote, expired or used ones too; NOT_FOUND where it has none with that id.
func (b *Service) Get(ctx context.Context, r db.Reader, account, quote id.ID) (Quote, error) {
	q, found, err := find(ctx, r, account, quote)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no quote with this id; POST /quotes makes one.")
	}
	return q, err
}

// Use gives the quote to the deployment, once: CONFLICT where it was taken or has expired meanwhile.
func (b *Service) Use(ctx context.Context, tx *db.Tx, account, quote, deployment id.ID) error {
	taken, err := use(ctx, tx, account, quote, deployment)
	if err == nil && !taken {
		err = apierr.New(apierr.Conflict, "Quote %s was used, or has expired; ask for a new one with POST /quotes.", quote)
	}
	return err
}
