package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

type offersQuery struct {
	page
	Search         string        `query:"search" maxLength:"200" doc:"Words that must all occur in GPU type, provider, region or interconnect."`
	Provider       string        `query:"provider" maxLength:"100" doc:"Slug of the provider."`
	GPUType        string        `query:"gpuType" maxLength:"100" doc:"Such as NVIDIA B200."`
	Region         string        `query:"region" maxLength:"100" doc:"Slug of the region."`
	InstanceType   string        `query:"instanceType" enum:"BARE_METAL,VM,SPOT,CLUSTER" means:"DEDICATED=VM"`
	GPUCount       *int          `query:"gpuCount" minimum:"0" maximum:"1000000" doc:"Exactly so many GPUs."`
	MinGPUCount    *int          `query:"minGpuCount" minimum:"0" maximum:"1000000" doc:"At least so many GPUs."`
	MaxHourlyPrice *money.Micros `query:"maxHourlyPrice" minimum:"0" doc:"At most so many US dollars an hour for the whole offer."`
	Available      *bool         `query:"available" doc:"Only what can, or cannot, be had now."`
	Sort           string        `query:"sort" maxLength:"40" doc:"price, pricePerGpu, gpuCount, gpuMemoryGb, name, provider or region; with a leading hyphen downwards. price if left out."`
	SortBy         string        `query:"sortBy" maxLength:"40" doc:"Another way to sort, with sortOrder."`
	SortOrder      string        `query:"sortOrder" enum:"asc,desc" doc:"For sortBy; asc if left out."`
}

func (q offersQuery) check() []apierr.FieldError {
	faults := append(q.page.check(), checkSort(q.Sort, q.SortBy, q.SortOrder)...)
	for field, value := range map[string]string{"query.sort": q.Sort, "query.sortBy": q.SortBy} {
		if _, known := catalog.ParseSort(value); !known || (field == "query.sortBy" && strings.HasPrefix(value, "-")) {
			message := "must be one of " + strings.Join(catalog.Sorts(), ", ") + "."
			if near := apierr.Nearest(strings.TrimPrefix(value, "-"), catalog.Sorts()); near != "" {
				message += " Did you mean " + near + "?"
			}
			faults = append(faults, apierr.FieldError{Field: field, Message: message})
		}
	}
	return faults
}

type offerPath struct {
	OfferID id.ID `path:"offerId" doc:"Id of the offer, off_…"`
}

// interval are the parameters of what happened between two instants.
type interval struct {
	From *time.Time `query:"from" doc:"From this instant on."`
	To   *time.Time `query:"to" doc:"Before this instant."`
}

func (i interval) check() []apierr.FieldError {
	if i.From != nil && i.To != nil && !i.From.Before(*i.To) {
		return []apierr.FieldError{{Field: "query.to", Message: "must be later than from."}}
	}
	return nil
}

// within returns both ends in UTC: to is now where it was left out, and from the length before it.
func (i interval) within(now time.Time, length time.Duration) (from, to time.Time, err error) {
	to = now.UTC().Truncate(time.Microsecond) // as exact as everything else that we tell
	if i.To != nil {
		to = i.To.UTC()
	}
	from = to.Add(-length)
	if i.From != nil {
		from = i.From.UTC()
	}
	if !from.Before(to) {
		err = apierr.Invalid([]apierr.FieldError{{Field: "query.from", Message: "must be earlier than now, which is what to means where it is left out."}})
	}
	return from, to, err
}

type historyQuery struct {
	offerPath
	interval
}

// priceHistory is what an offer has cost.
type priceHistory struct {
	OfferID id.ID     `json:"offerId" doc:"The offer."`
	From    time.Time `json:"from" doc:"Points that held at this instant or later."`
	To      time.Time `json:"to" doc:"Points before this instant."`
	// Points begin with the price in force at From; each holds until the next.
	Points []catalog.PricePoint `json:"points" doc:"Oldest first, beginning with what was in force at from. Each holds until the next."`
}

const historyLength = 30 * 24 * time.Hour

func (s *server) addOffers() {
	common := spec{method: http.MethodGet, tag: tagOffers, scope: account.ReadOffers}

	o := common
	o.path, o.id, o.summary = Base+"/offers", "listOffers", "List GPU offers"
	o.text = "What every provider sells, with prices and availability of the last minutes; `asOf` says when it was confirmed."
	list(s, o, func(_ context.Context, c *call, in *offersQuery, p db.Page) ([]catalog.Offer, db.Listed, error) {
		if !s.c.Catalog.Ready() {
			return nil, db.Listed{}, errNotReady
		}
		items, of := s.c.Catalog.For(c.account).Part(catalog.Query{
			Search: in.Search, Provider: in.Provider, GPUType: in.GPUType, Region: in.Region, InstanceType: in.InstanceType,
			GPUCount: in.GPUCount, MinGPUCount: in.MinGPUCount, MaxHourlyPrice: in.MaxHourlyPrice, Available: in.Available,
			Sort: sorted(in.Sort, in.SortBy, in.SortOrder), Page: p,
		})
		return items, of, nil
	})
	s.keep(o)

	o = common
	o.path, o.id, o.summary = Base+"/offers/{offerId}", "getOffer", "Get an offer"
	read(s, o, func(_ context.Context, c *call, in *offerPath) (catalog.Offer, error) {
		if !s.c.Catalog.Ready() {
			return catalog.Offer{}, errNotReady
		}
		offer, found := s.c.Catalog.For(c.account).Get(in.OfferID)
		if !found {
			return catalog.Offer{}, missing("offer")
		}
		return offer, nil
	})

	o = common
	o.path, o.id, o.summary = Base+"/offers/{offerId}/price-history", "getPriceHistory", "What an offer has cost, and when it was to be had"
	o.text = "A point is written when price, availability or stock change. They are the usual prices, also for an account that has others. The last 30 days if from is left out; points older than 90 days are forgotten."
	read(s, o, func(ctx context.Context, _ *call, in *historyQuery) (priceHistory, error) {
		h := priceHistory{OfferID: in.OfferID}
		var err error
		if h.From, h.To, err = in.within(s.c.Clock.Now(), historyLength); err != nil {
			return priceHistory{}, err
		}
		if h.Points, err = s.c.Catalog.PriceHistory(ctx, s.c.DB, in.OfferID, h.From, h.To); err != nil {
			return priceHistory{}, err
		}
		if _, found := s.c.Catalog.Default().Get(in.OfferID); !found && len(h.Points) == 0 {
			return priceHistory{}, missing("offer")
		}
		return h, nil
	})

	o = common
	o.path, o.id, o.summary = Base+"/providers", "listProviders", "List providers"
	o.text = "With counts of offers and the lowest price of those that can be had now."
	list(s, o, func(_ context.Context, c *call, _ *page, p db.Page) ([]catalog.ProviderFacet, db.Listed, error) {
		return part(s.c.Catalog.For(c.account).Providers(), func(f catalog.ProviderFacet) string { return f.Slug }, p)
	})

	o = common
	o.path, o.id, o.summary = Base+"/regions", "listRegions", "List regions"
	list(s, o, func(_ context.Context, c *call, _ *page, p db.Page) ([]catalog.RegionFacet, db.Listed, error) {
		return part(s.c.Catalog.For(c.account).Regions(), func(f catalog.RegionFacet) string { return f.Provider + "/" + f.Slug }, p)
	})

	o = common
	o.path, o.id, o.summary = Base+"/gpu-types", "listGpuTypes", "List GPU types"
	list(s, o, func(_ context.Context, c *call, _ *page, p db.Page) ([]catalog.GPUFacet, db.Listed, error) {
		return part(s.c.Catalog.For(c.account).GPUTypes(), func(f catalog.GPUFacet) string { return fmt.Sprintf("%s/%d", f.GPUType, f.GPUMemoryGB) }, p)
	})
}
