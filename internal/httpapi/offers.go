package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rest"
)

// offers is the catalog as a tenant sees it.
type offers struct {
	db      *db.DB
	clock   clock.Clock
	catalog *catalog.Catalog
}

func (h offers) routes(r *rest.Router) {
	read := func(path, id, summary, description string) rest.Operation {
		return rest.Operation{
			Method: http.MethodGet, Path: Base + path, ID: id, Tag: tagOffers, Scope: string(account.ReadOffers),
			Summary: summary, Description: description,
		}
	}
	list := read("/offers", "listOffers", "List GPU offers",
		"Offers of every provider, with prices and availability of the last minutes. `asOf` is when they were "+
			"confirmed. A provider, region or GPU type that does not exist is reported in `warnings`.")
	list.Warns = true
	rest.List(r, list, h.list).Wrap(h.cached)
	rest.Read(r, read("/offers/{offerId}", "getOffer", "Get an offer", ""), h.get)
	history := read(
		"/offers/{offerId}/price-history",
		"getPriceHistory",
		"Get an offer's price history",
		"A point is recorded when price, availability or stock change. An account with prices of its own sees what "+
			"it would pay now for what the provider charged then. The last 30 days if from is omitted. Points are "+
			"kept for 90 days.",
	)
	history.MayLag = true
	rest.Read(r, history, h.priceHistory)
	rest.List(r, read("/providers", "listProviders", "List providers",
		"With the number of offers and the lowest price among available ones."), h.providers)
	rest.List(r, read("/regions", "listRegions", "List regions", ""), h.regions)
	rest.List(r, read("/gpu-types", "listGpuTypes", "List GPU types", ""), h.gpuTypes)
}

type offersQuery struct {
	rest.Paging
	Search         string                `query:"search" maxLength:"200" doc:"Words that must all occur in GPU type, provider, region or interconnect."`
	Provider       string                `query:"provider" maxLength:"100" doc:"Slug of the provider."`
	GPUType        string                `query:"gpuType" maxLength:"100" doc:"GPU type, such as NVIDIA B200."`
	Region         string                `query:"region" maxLength:"100" doc:"Slug of the region."`
	InstanceType   provider.InstanceType `query:"instanceType" means:"DEDICATED=VM"`
	GPUCount       *int                  `query:"gpuCount" minimum:"0" maximum:"1000000" doc:"Exact number of GPUs."`
	MinGPUCount    *int                  `query:"minGpuCount" minimum:"0" maximum:"1000000" doc:"Minimum number of GPUs."`
	MaxHourlyPrice *money.Micros         `query:"maxHourlyPrice" minimum:"0" doc:"Maximum price of the whole offer, in US dollars per hour."`
	Available      *bool                 `query:"available" doc:"true for available offers only, false for unavailable ones only."`
	Sort           []catalog.SortKey     `query:"sort" maxItems:"7" means:"gpuType=name,hourlyPrice=price,hourlyPricePerGpu=pricePerGpu" doc:"Sort keys, such as -gpuCount,price: the first counts most. A leading hyphen sorts in descending order. price if omitted."`
	SortBy         catalog.SortField     `query:"sortBy" means:"gpuType=name,hourlyPrice=price,hourlyPricePerGpu=pricePerGpu" doc:"Another way to sort, by one key, with sortOrder."`
	SortOrder      rest.SortOrder        `query:"sortOrder" doc:"Order of sortBy; asc if omitted."`
}

// Check finds parameters that contradict each other.
func (q offersQuery) Check() []apierr.FieldError {
	return append(q.Paging.Check(), rest.CheckSort(q.Sort, q.SortBy, q.SortOrder)...)
}

type offerPath struct {
	OfferID id.ID `path:"offerId" doc:"Id of the offer, off_…"`
}

// interval are the parameters of a period of time.
type interval struct {
	From *time.Time `query:"from" doc:"At or after this time."`
	To   *time.Time `query:"to" doc:"Before this time."`
}

// Check finds an empty interval.
func (i interval) Check() []apierr.FieldError {
	if i.From != nil && i.To != nil && !i.From.Before(*i.To) {
		return []apierr.FieldError{{Field: "query.to", Message: "must be later than from."}}
	}
	return nil
}

// within returns both ends in UTC: to is now if it is omitted, and from is so much earlier.
func (i interval) within(now time.Time, length time.Duration) (from, to time.Time, err error) {
	to = now.UTC().Truncate(time.Microsecond) // as precise as all other times of the API
	if i.To != nil {
		to = i.To.UTC()
	}
	from = to.Add(-length)
	if i.From != nil {
		from = i.From.UTC()
	}
	if !from.Before(to) {
		err = apierr.Invalid(
			[]apierr.FieldError{{Field: "query.from", Message: "must be earlier than now, the default of to."}},
		)
	}
	return from, to, err
}

type historyQuery struct {
	offerPath
	interval
}

// priceHistory is the price of an offer over time.
type priceHistory struct {
	OfferID id.ID                `json:"offerId" doc:"The offer."`
	From    time.Time            `json:"from" doc:"Start of the interval."`
	To      time.Time            `json:"to" doc:"End of the interval."`
	Points  []catalog.PricePoint `json:"points" doc:"Oldest first, beginning with the price in force at from. Each point holds until the next."`
}

const historyLength = 30 * 24 * time.Hour

func (h offers) list(
	_ context.Context, c *rest.Call, in *offersQuery, p db.Page,
) ([]catalog.Offer, db.Listed, error) {
	if !h.catalog.Ready() {
		return nil, db.Listed{}, errNoOffers
	}
	market := h.catalog.For(c.Caller.Account)
	for _, w := range unknownFilters(market, in) {
		c.Warn(w)
	}
	items, page := market.Part(catalog.Query{
		Search: in.Search, Provider: in.Provider, GPUType: in.GPUType, Region: in.Region,
		InstanceType: string(in.InstanceType),
		GPUCount:     in.GPUCount, MinGPUCount: in.MinGPUCount,
		MaxHourlyPrice: in.MaxHourlyPrice, Available: in.Available,
		Sort: rest.SortKeys(in.Sort, in.SortBy, in.SortOrder), Page: p,
	})
	return items, page, nil
}

// unknownFilters finds filters that match nothing because no offer has the value. They are no
// errors: what does not exist now may exist in a minute, and programs wait for it.
func unknownFilters(market catalog.Market, in *offersQuery) (unknown []apierr.FieldError) {
	check := func(field, value, list string, all []string) {
		if value != "" {
			_, unknown = known(unknown, field, value, list, all)
		}
	}
	var providers, regions, gpuTypes []string
	for _, p := range market.Providers() {
		providers = append(providers, p.Slug)
	}
	for _, r := range market.Regions() {
		regions = append(regions, r.Slug)
	}
	for _, g := range market.GPUTypes() {
		gpuTypes = append(gpuTypes, g.GPUType)
	}
	check("query.provider", in.Provider, "GET /providers", providers)
	check("query.region", in.Region, "GET /regions", regions)
	check("query.gpuType", in.GPUType, "GET /gpu-types", gpuTypes)
	return unknown
}

func (h offers) get(_ context.Context, c *rest.Call, in *offerPath) (catalog.Offer, error) {
	return findOffer(h.catalog, c, in.OfferID)
}

// findOffer returns the offer as the account sees it.
func findOffer(all *catalog.Catalog, c *rest.Call, offer id.ID) (catalog.Offer, error) {
	if !all.Ready() {
		return catalog.Offer{}, errNoOffers
	}
	o, found := all.For(c.Caller.Account).Get(offer)
	if !found {
		return catalog.Offer{}, rest.NotFound("offer")
	}
	return o, nil
}

func (h offers) priceHistory(ctx context.Context, c *rest.Call, in *historyQuery) (priceHistory, error) {
	out := priceHistory{OfferID: in.OfferID}
	now := h.clock.Now()
	var err error
	if out.From, out.To, err = in.within(now, historyLength); err != nil {
		return priceHistory{}, err
	}
	var found bool
	out.Points, found, err = h.catalog.PriceHistory(
		ctx, h.db, c.Caller.Account, in.OfferID, out.From, out.To, now)
	if err == nil && !found {
		err = rest.NotFound("offer")
	}
	return out, err
}

func (h offers) providers(
	_ context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]catalog.ProviderFacet, db.Listed, error) {
	key := func(f catalog.ProviderFacet) string { return f.Slug }
	return rest.Slice(h.catalog.For(c.Caller.Account).Providers(), key, p)
}

func (h offers) regions(
	_ context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]catalog.RegionFacet, db.Listed, error) {
	key := func(f catalog.RegionFacet) string { return f.Provider + "/" + f.Slug }
	return rest.Slice(h.catalog.For(c.Caller.Account).Regions(), key, p)
}

func (h offers) gpuTypes(
	_ context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]catalog.GPUFacet, db.Listed, error) {
	key := func(f catalog.GPUFacet) string { return fmt.Sprintf("%s/%d", f.GPUType, f.GPUMemoryGB) }
	return rest.Slice(h.catalog.For(c.Caller.Account).GPUTypes(), key, p)
}
