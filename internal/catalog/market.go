package catalog

import (
	"maps"
	"slices"
	"sync"

	"github.com/billetcloud/billet/internal/id"
)

// maxPriceLists limits the memory for prices at accounts' own markups: each list is a copy of every
// offer.
const maxPriceLists = 16

// Market is what is for sale at one instant, at the prices of one account. It never changes, and is
// cheap to get.
type Market struct {
	s      *snapshot
	markup int64
	own    bool
}

// Default returns the market at the default markups.
func (c *Catalog) Default() Market { return Market{s: c.now.Load()} }

// For returns the market of that account: every price in it is the price that the account pays.
func (c *Catalog) For(account id.ID) Market {
	s := c.now.Load()
	markup, own := s.markups[account]
	if !own {
		return Market{s: s}
	}
	return Market{s: c.priced(s, markup).with(s.health, s.figures, s.markups), markup: markup, own: true}
}

// OwnMarkup returns by how many basis points its prices exceed the providers'. own is false at the
// default markups.
func (m Market) OwnMarkup() (basisPoints int64, own bool) { return m.markup, m.own }

// Get returns the offer with that ID; false if there is none or it is withdrawn.
func (m Market) Get(offer id.ID) (Offer, bool) {
	i, found := m.s.byID[offer]
	if !found {
		return Offer{}, false
	}
	return m.s.offer(i), true
}

// VolumePricing returns where volumes are available, by provider and region.
func (m Market) VolumePricing() []VolumePrice { return append([]VolumePrice{}, m.s.volumes...) }

// VolumePrice returns the price of volumes at that provider in that region; false if none are
// available.
func (m Market) VolumePrice(slug, region string) (VolumePrice, bool) {
	for _, p := range m.s.volumes {
		if p.Provider == slug && p.Region == region {
			return p, true
		}
	}
	return VolumePrice{}, false
}

// priceLists are a snapshot's offers at other markups, by basis points: those that were requested.
type priceLists struct {
	mu sync.Mutex
	by map[int64]*snapshot
}

// priced returns the offers of the snapshot at that markup, for all providers.
func (c *Catalog) priced(s *snapshot, markup int64) *snapshot {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if known := s.own.by[markup]; known != nil {
		return known
	}
	if s.own.by == nil || len(s.own.by) >= maxPriceLists {
		s.own.by = map[int64]*snapshot{}
	}
	p := *s
	p.offers, p.facts = slices.Clone(s.offers), slices.Clone(s.facts)
	p.volumes, p.order = slices.Clone(s.volumes), maps.Clone(s.order)
	for i := range p.offers {
		o := &p.offers[i]
		o.HourlyPrice = o.CostPrice.Percent(markup)
		o.HourlyPricePerGPU = perGPU(o.HourlyPrice, o.GPUCount)
		p.facts[i].price = o.HourlyPrice
	}
	for i := range p.volumes {
		p.volumes[i].PerGBHour = p.volumes[i].CostPrice.Percent(markup)
	}
	p.sort("price")
	p.sort("pricePerGpu")
	c.countFacets(&p)
	s.own.by[markup] = &p
	return &p
}
