package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/quote"
)

type checkOffers struct {
	Body struct {
		Count          int           `json:"count,omitempty" minimum:"1" maximum:"10000" example:"2" doc:"How many machines; 1 if left out."`
		GPUType        string        `json:"gpuType,omitempty" maxLength:"100" example:"NVIDIA B200" doc:"Such as NVIDIA B200; any if left out, as with all that follows."`
		GPUCount       *int          `json:"gpuCount,omitempty" minimum:"1" maximum:"1000000" example:"8" doc:"GPUs in each machine."`
		Regions        []string      `json:"regions,omitempty" maxItems:"100" maxLength:"100" doc:"Slugs of regions, any of which will do."`
		Provider       string        `json:"provider,omitempty" maxLength:"100" doc:"Slug of the provider."`
		InstanceType   string        `json:"instanceType,omitempty" enum:"BARE_METAL,VM,SPOT,CLUSTER" means:"DEDICATED=VM"`
		MaxHourlyPrice *money.Micros `json:"maxHourlyPrice,omitempty" doc:"At most so many US dollars an hour for each machine."`
	}
}

// inMarket finds names of providers and regions that nobody has; the others it gives their own spelling.
func inMarket(market catalog.Market, provider string, regions []string) error {
	var providers, places []string
	for _, p := range market.Providers() {
		providers = append(providers, p.Slug)
	}
	for _, r := range market.Regions() {
		places = append(places, r.Slug)
	}
	var faults []apierr.FieldError
	known := func(field, name, list string, all []string) string {
		if i := slices.IndexFunc(all, func(x string) bool { return strings.EqualFold(x, name) }); i >= 0 {
			return all[i]
		}
		message := "names none that there is; " + list + " lists them."
		if near := apierr.Nearest(name, all); near != "" {
			message += " Did you mean " + near + "?"
		}
		faults = append(faults, apierr.FieldError{Field: field, Message: message})
		return name
	}
	if provider != "" {
		known("provider", provider, "GET /providers", providers)
	}
	for i, r := range regions {
		regions[i] = known(fmt.Sprintf("regions[%d]", i), r, "GET /regions", places)
	}
	return apierr.Invalid(faults).OrNil()
}

type createQuote struct {
	Body struct {
		OfferID id.ID `json:"offerId" minLength:"1" maxLength:"40" example:"off_abc123" doc:"The offer whose price is to be fixed."`
	}
}

type quotePath struct {
	QuoteID id.ID `path:"quoteId" doc:"Id of the quote, quo_…"`
}

// terms is a quote with what using it would take.
type terms struct {
	quote.Quote
	Hold      money.Micros `json:"hold" doc:"US dollars that a deploy would set aside: the first hour."`
	Required  money.Micros `json:"required" doc:"US dollars that must be available for a deploy."`
	Available money.Micros `json:"available" doc:"US dollars that are available now."`
}

func (s *server) terms(ctx context.Context, r db.Reader, of id.ID, q quote.Quote) (terms, error) {
	w, err := s.c.Wallet.Get(ctx, r, of)
	return terms{q, q.HourlyPrice, max(q.HourlyPrice, deployment.MinimumBalance), w.Available}, err
}

func (s *server) addQuotes() {
	write(s, spec{
		method: http.MethodPost, path: Base + "/offers/check", id: "checkOffers", tag: tagOffers, scope: account.ReadOffers, status: http.StatusOK,
		summary: "Is there capacity for that many machines", text: "From what the providers said last, cheapest first; where there are not enough, `shortfalls` says what each region lacks. Nothing is kept back: a deploy may still find an offer sold out.",
	}, func(_ context.Context, _ *db.Tx, c *call, in *checkOffers) (catalog.Capacity, error) {
		c.note.nothing = true
		if !s.c.Catalog.Ready() {
			return catalog.Capacity{}, errNotReady
		}
		b, market := &in.Body, s.c.Catalog.For(c.account)
		if err := inMarket(market, b.Provider, b.Regions); err != nil {
			return catalog.Capacity{}, err
		}
		return market.Capacity(catalog.CapacityQuery{
			Query:   catalog.Query{Provider: b.Provider, GPUType: b.GPUType, InstanceType: b.InstanceType, GPUCount: b.GPUCount, MaxHourlyPrice: b.MaxHourlyPrice},
			Regions: b.Regions, Count: max(b.Count, 1),
		}), nil
	})

	write(s, spec{
		method: http.MethodPost, path: Base + "/quotes", id: "createQuote", tag: tagOffers, scope: account.WriteDeployments, status: http.StatusCreated,
		summary: "Fix an offer's price for ten minutes",
		text:    "Name the `quoteId` in POST /deployments within ten minutes, and the deployment costs this price, whatever the provider asks by then. It is good for one deployment, and keeps no machine back.",
		errors:  []apierr.Code{apierr.NotFound, apierr.OfferUnavailable, apierr.LimitReached},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createQuote) (terms, error) {
		if !s.c.Catalog.Ready() {
			return terms{}, errNotReady
		}
		offer, found := s.c.Catalog.For(c.account).Get(in.Body.OfferID)
		if !found {
			return terms{}, missing("offer")
		}
		q, err := s.c.Quotes.Make(ctx, tx, c.account, offer)
		if err != nil {
			return terms{}, err
		}
		c.created(q.ID)
		return s.terms(ctx, tx, c.account, q)
	})

	read(s, spec{
		method: http.MethodGet, path: Base + "/quotes/{quoteId}", id: "getQuote", tag: tagOffers, scope: account.ReadDeployments, summary: "Get a quote",
		text: "Also one that was used or has expired, for a day.", errors: []apierr.Code{apierr.NotFound},
	}, func(ctx context.Context, c *call, in *quotePath) (terms, error) {
		q, err := s.c.Quotes.Get(ctx, s.c.DB, c.account, in.QuoteID)
		if err != nil {
			return terms{}, err
		}
		return s.terms(ctx, s.c.DB, c.account, q)
	})
}
