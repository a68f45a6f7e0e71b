package catalog

import (
	"maps"
	"slices"
	"sync"

	"github.com/billetcloud/billet/internal/id"
)

// maxPriceLists bounds the memory for prices at markups of accounts' own: each list holds every offer once more.
const maxPriceLists = 16

// Market is what can be had at one instant, at the prices of one account. It does not change, and costs nothing to ask for.
type Market struct {
	s      *snapshot
	markup int64
	own    bool
}

// Usual returns the market as accounts see it that have no markup of their own.
func (c *Catalog) Usual() Market { return Market{s: c.now.Load()} }

// For returns the market as that account sees it: every price in it is the one that the account pays.
func (c *Catalog) For(account id.ID) Market {
	s := c.now.Load()
	markup, own := s.markups[account]
	if !own {
		return Market{s: s}
	}
	return Market{s: c.priced(s, markup).with(s.health, s.figures, s.markups), markup: markup, own: true}
}

// OwnMarkup returns by how many basis points its prices are above the providers'; false where they are the usual ones.
func (m Market) OwnMarkup() (basisPoints int64, own bool) { return m.markup, m.own }

// Get returns the offer with that id; false where there is none, or where it is withdrawn.
func (m Market) Get(offer id.ID) (Offer, bool) {
	i, found := m.s.byID[offer]
	if !found {
		return Offer{}, false
	}
	return m.s.offer(i), true
}

// VolumePricing returns where volumes can be had, by provider and region.
func (m Market) VolumePricing() []VolumePrice { return append([]VolumePrice{}, m.s.volumes...) }

// VolumePrice returns what a volume costs at that provider in that region; false where there are none to be had.
func (m Market) VolumePrice(slug, region string) (VolumePrice, bool) {
	for _, p := range m.s.volumes {
		if p.Provider == slug && p.Region == region {
			return p, true
		}
	}
	return VolumePrice{}, false
}

// priceLists are a snapshot's offers at other markups, by basis points: those that somebody has asked for.
type priceLists struct {
	mu sync.Mutex
	by map[int64]*snapshot
}

// priced returns the offers of the snapshot at that markup, whatever their provider.
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
	p.offers, p.facts, p.volumes, p.order = slices.Clone(s.offers), slices.Clone(s.facts), slices.Clone(s.volumes), maps.Clone(s.order)
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
