package catalog

import (
	"github.com/billetcloud/billet/internal/id"
)

// Market is what is for sale at one instant, at the prices of one account. It never changes, and is
// cheap to get.
type Market struct {
	s   *snapshot
	key string
}

// Default returns the market at the default prices.
func (c *Catalog) Default() Market { return Market{s: c.now.Load()} }

// For returns the market of that account: every price in it is the price that the account pays, and
// what is hidden from it is not in it.
func (c *Catalog) For(account id.ID) Market {
	s := c.now.Load()
	l := s.pricing.lists[account]
	if l == nil {
		return Market{s: s}
	}
	return Market{s: c.listed(s, l).with(s.health, s.figures), key: l.key}
}

// Key identifies the prices: markets of one Edition with the same key are the same. It is empty at
// the default prices.
func (m Market) Key() string { return m.key }

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
