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
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/wallet"
)

// quotes are fixed prices, and the check of capacity.
type quotes struct {
	db      *db.DB
	catalog *catalog.Catalog
	quotes  *quote.Service
	wallet  *wallet.Ledger
}

func (h quotes) routes(r *rest.Router) {
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: Base + "/offers/check", ID: "checkOffers", Tag: tagOffers,
		Scope:   string(account.ReadOffers),
		Summary: "Check capacity",
		Description: "Finds offers for the requested number of machines, cheapest first, in the providers' latest " +
			"data. If there are not " +
			"enough, `shortfalls` lists what each region lacks. Nothing is reserved: an offer may be sold out by the " +
			"time you deploy.",
	}, h.check)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: Base + "/quotes", ID: "createQuote", Tag: tagOffers,
		Scope:  string(account.WriteDeployments),
		Status: http.StatusCreated, Summary: "Create a quote",
		Description: "Fixes an offer's price for ten minutes. Send the `quoteId` with POST /deployments within that " +
			"time, and the " +
			"deployment costs this price, whatever the provider charges by then. A quote is good for one deployment " +
			"and reserves no machine.",
		Errors: []apierr.Code{apierr.NotFound, apierr.OfferUnavailable, apierr.LimitReached},
	}, h.create)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/quotes/{quoteId}", ID: "getQuote", Tag: tagOffers,
		Scope:   string(account.ReadDeployments),
		Summary: "Get a quote", Description: "Used and expired quotes are kept for " +
			"a day.", Errors: []apierr.Code{apierr.NotFound},
	}, h.get)
}

type checkOffers struct {
	Body struct {
		Count          int                   `json:"count,omitempty" minimum:"1" maximum:"10000" example:"2" doc:"Number of machines; 1 if omitted."`
		GPUType        string                `json:"gpuType,omitempty" maxLength:"100" example:"NVIDIA B200" doc:"GPU type, such as NVIDIA B200; any if omitted. The same holds for all fields below."`
		GPUCount       *int                  `json:"gpuCount,omitempty" minimum:"1" maximum:"1000000" example:"8" doc:"GPUs per machine."`
		Regions        []string              `json:"regions,omitempty" maxItems:"100" maxLength:"100" doc:"Slugs of acceptable regions."`
		Provider       string                `json:"provider,omitempty" maxLength:"100" doc:"Slug of the provider."`
		InstanceType   provider.InstanceType `json:"instanceType,omitempty" means:"DEDICATED=VM"`
		MaxHourlyPrice *money.Micros         `json:"maxHourlyPrice,omitempty" doc:"Maximum price per machine, in US dollars per hour."`
	}
}

func (h quotes) check(_ context.Context, _ *db.Tx, c *rest.Call, in *checkOffers) (catalog.Capacity, error) {
	c.Change.None = true
	if !h.catalog.Ready() {
		return catalog.Capacity{}, errNoOffers
	}
	b, market := &in.Body, h.catalog.For(c.Caller.Account)
	if err := checkPlaces(market, b.Provider, b.Regions); err != nil {
		return catalog.Capacity{}, err
	}
	return market.Capacity(catalog.CapacityQuery{
		Query: catalog.Query{
			Provider: b.Provider, GPUType: b.GPUType, InstanceType: string(b.InstanceType), GPUCount: b.GPUCount,
			MaxHourlyPrice: b.MaxHourlyPrice,
		},
		Regions: b.Regions, Count: max(b.Count, 1),
	}), nil
}

// checkPlaces finds unknown providers and regions. It gives known regions their own spelling.
func checkPlaces(market catalog.Market, provider string, regions []string) error {
	var providers, places []string
	for _, p := range market.Providers() {
		providers = append(providers, p.Slug)
	}
	for _, r := range market.Regions() {
		places = append(places, r.Slug)
	}
	var invalid []apierr.FieldError
	if provider != "" {
		_, invalid = known(invalid, "provider", provider, "GET /providers", providers)
	}
	for i, r := range regions {
		regions[i], invalid = known(invalid, fmt.Sprintf("regions[%d]", i), r, "GET /regions", places)
	}
	return apierr.Invalid(invalid).OrNil()
}

// known returns the own spelling of a name that is one of all, and adds an error where it is none
// of them.
func known(invalid []apierr.FieldError, field, name, list string, all []string) (string, []apierr.FieldError) {
	if i := slices.IndexFunc(all, func(x string) bool { return strings.EqualFold(x, name) }); i >= 0 {
		return all[i], invalid
	}
	message := "is unknown; see " + list + "."
	if near := apierr.Nearest(name, all); near != "" {
		message += " Did you mean " + near + "?"
	}
	return name, append(invalid, apierr.FieldError{Field: field, Message: message})
}

type createQuote struct {
	Body struct {
		OfferID id.ID `json:"offerId" minLength:"1" maxLength:"40" example:"off_abc123" doc:"Id of the offer whose price is fixed."`
	}
}

type quotePath struct {
	QuoteID id.ID `path:"quoteId" doc:"Id of the quote, quo_…"`
}

// terms is a quote with the money that using it requires.
type terms struct {
	quote.Quote
	Hold     money.Micros `json:"hold" doc:"Amount that a deploy holds, in US dollars: the first hour."`
	Required money.Micros `json:"required" doc:"Available balance that a deploy requires, in US dollars."`
	// Available is nil for a key of a project: the balance is the whole account's.
	Available *money.Micros `json:"available" doc:"Available balance now, in US dollars; null for an API key that is bound to a project."`
}

func (h quotes) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createQuote) (terms, error) {
	offer, err := findOffer(h.catalog, c, in.Body.OfferID)
	if err != nil {
		return terms{}, err
	}
	q, err := h.quotes.Make(ctx, tx, c.Caller.Account, offer)
	if err != nil {
		return terms{}, err
	}
	c.Created(q.ID)
	return h.terms(ctx, tx, c, q)
}

func (h quotes) get(ctx context.Context, c *rest.Call, in *quotePath) (terms, error) {
	q, err := h.quotes.Get(ctx, h.db, c.Caller.Account, in.QuoteID)
	if err != nil {
		return terms{}, err
	}
	return h.terms(ctx, h.db, c, q)
}

func (h quotes) terms(ctx context.Context, r db.Reader, c *rest.Call, q quote.Quote) (terms, error) {
	out := terms{Quote: q, Hold: q.HourlyPrice, Required: max(q.HourlyPrice, deployment.MinimumBalance)}
	if c.Caller.Project != "" {
		return out, nil
	}
	w, err := h.wallet.Get(ctx, r, c.Caller.Account)
	out.Available = &w.Available
	return out, err
}
