package catalog

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/pricerule"
)

// Hidden are the providers and regions that price rules hide at the default prices.
type Hidden struct {
	rules pricerule.Set
	// sold are the distinct offers, and former those of places that sell nothing now.
	sold, former map[regionKey][]pricerule.Offer
}

// knownKinds are the kinds of all offers that were ever listed, at one version of the catalog or
// later. Every change of an offer changes the version.
type knownKinds struct {
	version int64
	all     []offerKind
}

// Hidden returns the providers and regions of which the public must not learn: rules hide every
// offer there. One that sells nothing now, such as during a long outage or after its account was
// removed, is judged by what it sold before. The database is read only after the catalog changed.
func (c *Catalog) Hidden(ctx context.Context, r db.Reader) (Hidden, error) {
	now := c.now.Load()
	h := Hidden{
		rules: now.pricing.usual.rules,
		sold:  map[regionKey][]pricerule.Offer{}, former: map[regionKey][]pricerule.Offer{},
	}
	hides := false
	for _, rule := range h.rules {
		hides = hides || rule.Hidden
	}
	if !hides {
		return Hidden{}, nil
	}
	known := c.kinds.Load()
	if known == nil || known.version != now.version {
		all, err := readKinds(ctx, r)
		if err != nil {
			return Hidden{}, err
		}
		known = &knownKinds{now.version, all}
		c.kinds.Store(known)
	}
	for _, k := range known.all {
		to := h.sold
		if k.withdrawn {
			to = h.former
		}
		for _, at := range []regionKey{{k.Provider, k.Region}, {k.Provider, ""}} {
			to[at] = append(to[at], k.Offer)
		}
	}
	return h, nil
}

// Provider reports whether the provider is hidden.
func (h Hidden) Provider(slug string) bool { return h.at(regionKey{slug, ""}) }

// Region reports whether a region of the provider is hidden.
func (h Hidden) Region(provider, region string) bool {
	return h.Provider(provider) || h.at(regionKey{provider, region})
}

func (h Hidden) at(place regionKey) bool {
	all := h.sold[place]
	if len(all) == 0 {
		all = h.former[place]
	}
	if len(all) == 0 { // it never sold anything: only a rule for all of the place decides
		all = []pricerule.Offer{{Provider: place.provider, Region: place.region}}
	}
	for _, o := range all {
		if rule := h.rules.First(o); rule == nil || !rule.Hidden {
			return false
		}
	}
	return true
}
