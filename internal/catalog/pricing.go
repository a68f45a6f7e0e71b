package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unsafe"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
)

// maxPriceBytes limits the memory for prices of accounts that have their own: each list is a copy
// of every offer. It is enough for hundreds of accounts with a thousand offers.
const maxPriceBytes = 128 << 20

// pricing is what the operator decides about offers: everything that turns costs into prices, and
// whose GPUs are checked. It never changes.
type pricing struct {
	markups map[string]int64 // of providers
	own     map[id.ID]int64  // of accounts that have their own
	trusted map[id.ID]bool
	rules   pricerule.Set
	version int64 // of the rules
	health  health.Policies
	usual   *priceList
	lists   map[id.ID]*priceList // of accounts whose prices are not the usual ones
}

// priceList is how prices are computed for some accounts.
type priceList struct {
	key     string // "" for the usual one
	health  health.Policies
	markups map[string]int64
	own     *int64        // replaces the markups of providers
	trusted bool          // what is for trusted tenants only is shown
	rules   pricerule.Set // those that are for these accounts
}

// readPricing returns what prices depend on now: before, if that is the same.
func (c *Catalog) readPricing(ctx context.Context, r db.Reader, before *pricing) (*pricing, error) {
	p := &pricing{markups: c.markups(), own: map[id.ID]int64{}, trusted: map[id.ID]bool{}}
	var err error
	if c.cfg.OwnMarkups != nil {
		if p.own, err = c.cfg.OwnMarkups(ctx, r); err != nil {
			return nil, err
		}
	}
	if c.cfg.Trusted != nil {
		all, err := c.cfg.Trusted(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, account := range all {
			p.trusted[account] = true
		}
	}
	if c.cfg.Rules != nil {
		if p.version, err = c.cfg.Rules.Version(ctx, r); err != nil {
			return nil, err
		}
	}
	if c.cfg.Health != nil {
		if p.health, err = c.cfg.Health(ctx, r); err != nil {
			return nil, err
		}
	}
	if before != nil && p.version == before.version && p.health.Equal(before.health) && maps.Equal(p.own, before.own) &&
		maps.Equal(p.markups, before.markups) && maps.Equal(p.trusted, before.trusted) {
		return before, nil
	}
	if c.cfg.Rules != nil {
		if p.rules, err = c.cfg.Rules.List(ctx, r); err != nil {
			return nil, err
		}
	}
	p.divide()
	return p, nil
}

// markups returns the markups of the present providers.
func (c *Catalog) markups() map[string]int64 {
	out := map[string]int64{}
	for _, p := range c.cfg.Providers.All() {
		slug := p.Info().Slug
		out[slug] = c.cfg.Markup(slug)
	}
	return out
}

// divide makes the price lists.
func (p *pricing) divide() {
	p.usual = p.list("")
	p.lists = map[id.ID]*priceList{}
	own := append(slices.Collect(maps.Keys(p.own)), slices.Collect(maps.Keys(p.trusted))...)
	for _, account := range append(own, p.rules.Accounts()...) {
		p.lists[account] = p.list(account)
	}
}

// list returns the price list of that account; "" is one that has nothing of its own. Accounts that
// differ in their markup only share a key with those that have the same.
func (p *pricing) list(account id.ID) *priceList {
	l := &priceList{markups: p.markups, health: p.health, rules: p.rules.For(account)}
	if markup, own := p.own[account]; own {
		l.own, l.key = &markup, fmt.Sprint(markup)
	}
	if p.trusted[account] {
		l.trusted, l.key = true, l.key+"+"
	}
	if slices.Contains(p.rules.Accounts(), account) {
		l.key += "/" + string(account)
	}
	return l
}

// of returns the price list of that account.
func (p *pricing) of(account id.ID) *priceList {
	if l := p.lists[account]; l != nil {
		return l
	}
	return p.usual
}

// markup returns the basis points that are added where no rule decides.
func (l *priceList) markup(slug string) int64 {
	if l.own != nil {
		return *l.own
	}
	return l.markups[slug]
}

// price returns the tenant's price of an offer about which that rule decides; nil is none.
func (l *priceList) price(rule *pricerule.Rule, slug string, cost money.Micros, gpus int) money.Micros {
	if rule == nil || rule.Hidden { // the price that its history goes on with
		return cost.Percent(l.markup(slug))
	}
	return rule.Price(cost, gpus)
}

// priceLists are a snapshot's offers at other prices, by key: those that were requested.
type priceLists struct {
	mu    sync.Mutex
	by    map[string]*snapshot
	bytes int64 // of all of them
}

// listed returns the offers of the snapshot at the prices of a list.
func (c *Catalog) listed(s *snapshot, l *priceList) *snapshot {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if known := s.own.by[l.key]; known != nil {
		return known
	}
	if s.own.by == nil {
		s.own.by = map[string]*snapshot{}
	}
	p := c.priced(s.all, l)
	p.pricing = s.pricing
	size := p.bytes()
	// Any of them goes: it is computed again when it is requested. Of accounts that ask in turns,
	// the one that asked the longest ago would be the next to ask.
	for key, other := range s.own.by {
		if s.own.bytes+size <= maxPriceBytes {
			break
		}
		s.own.bytes -= other.bytes()
		delete(s.own.by, key)
	}
	s.own.by[l.key] = p
	s.own.bytes += size
	return p
}

// bytes returns about how much memory the prices of a list take beside the offers that all share.
func (s *snapshot) bytes() int64 {
	n := int64(cap(s.offers))*int64(unsafe.Sizeof(Offer{})) + int64(cap(s.facts))*int64(unsafe.Sizeof(facts{}))
	n += int64(cap(s.volumes)) * int64(unsafe.Sizeof(VolumePrice{}))
	n += int64(len(s.providers)+len(s.regionFacets)+len(s.gpuTypes)) * int64(unsafe.Sizeof(RegionFacet{})+pricesOfFacet)
	orders := int64(2 * len(priceFields))
	if len(s.offers) < len(s.all.offers) { // what it hides is in none of the orders
		orders = int64(len(s.order))
		n += int64(len(s.byID)) * mapEntry
	}
	return n + orders*int64(len(s.offers))*int64(unsafe.Sizeof(0))
}

const (
	// mapEntry is about what an entry of byID takes, pricesOfFacet what a facet refers to.
	mapEntry, pricesOfFacet = 48, 64
)

// priced returns the offers at the prices of that list, without those that it hides.
func (c *Catalog) priced(all *snapshot, l *priceList) *snapshot {
	p := *all
	decides, hides := decided(all, l), false
	p.offers, p.facts = make([]Offer, 0, len(all.offers)), make([]facts, 0, len(all.offers))
	kept := make([]int, len(all.offers)) // the new index; −1 for hidden
	for i := range all.offers {
		rule := decides[all.facts[i].texts]
		if l.hides(rule, &all.offers[i]) {
			kept[i], hides = -1, true
			continue
		}
		kept[i] = len(p.offers)
		o, f := all.offers[i], all.facts[i]
		o.HourlyPrice = l.price(rule, o.Provider, o.CostPrice, o.GPUCount)
		o.HourlyPricePerGPU = perGPU(o.HourlyPrice, o.GPUCount)
		o.HealthPolicy = l.health.Of(o.Provider, o.ID)
		f.price = o.HourlyPrice
		p.offers, p.facts = append(p.offers, o), append(p.facts, f)
	}
	p.order = maps.Clone(all.order)
	if hides {
		p.byID = make(map[id.ID]int, len(p.offers))
		for i := range p.offers {
			p.byID[p.offers[i].ID] = i
		}
		for key, order := range all.order {
			p.order[key] = make([]int, 0, len(p.offers))
			for _, i := range order {
				if kept[i] >= 0 {
					p.order[key] = append(p.order[key], kept[i])
				}
			}
		}
	}
	p.volumes = slices.Clone(all.volumes)
	for i := range p.volumes {
		p.volumes[i].PerGBHour = p.volumes[i].CostPrice.Percent(l.markup(p.volumes[i].Provider))
	}
	for _, f := range priceFields {
		p.sort(f)
	}
	c.countFacets(&p)
	p.all, p.own = all, &priceLists{}
	return &p
}

// decided returns the rule that decides about the offers with each set of texts.
func decided(all *snapshot, l *priceList) []*pricerule.Rule {
	decides := make([]*pricerule.Rule, len(all.texts))
	if len(l.rules) == 0 {
		return decides
	}
	for i := range all.texts {
		decides[i] = l.rules.First(all.texts[i].offer())
	}
	return decides
}

// hides reports whether an offer about which that rule decides is neither listed nor sold.
func (l *priceList) hides(rule *pricerule.Rule, o *Offer) bool {
	return rule != nil && rule.Hidden || o.TrustedTenantsOnly && !l.trusted
}

// offer returns what rules match. The texts are in lower case, which rules disregard.
func (t *texts) offer() pricerule.Offer {
	return pricerule.Offer{Provider: t.provider, GPUType: t.gpuType, Region: t.region}
}

// Change is an offer whose price or visibility a price rule changes, for the operator.
type Change struct {
	Offer Offer
	// Before and After are nil where the offer is hidden.
	Before, After *money.Micros
}

// Effect is what a price rule does to the offers, for the operator.
type Effect struct {
	// Offers are all there are, Matching those that the rule is for, Decided those of them that no
	// earlier rule decides about.
	Offers, Matching, Decided int
	// Changes are in the order of offers' IDs.
	Changes []Change
}

// Preview returns what the rule does to the offers at the prices of its account, or at the default
// ones, if the rules are before without it and after with it. It changes nothing.
func (c *Catalog) Preview(rule pricerule.Rule, before, after pricerule.Set) Effect {
	s := c.now.Load()
	old, changed := *s.pricing.of(rule.Account), *s.pricing.of(rule.Account)
	old.rules, changed.rules = before.For(rule.Account), after.For(rule.Account)
	first, then := decided(s.all, &old), decided(s.all, &changed)
	out := Effect{Offers: len(s.all.offers), Changes: []Change{}}
	for i := range s.all.offers {
		o, at := &s.all.offers[i], s.all.facts[i].texts
		if rule.Fits(s.all.texts[at].offer()) {
			out.Matching++
		}
		if then[at] != nil && then[at].ID == rule.ID {
			out.Decided++
		}
		was, is := old.shown(first[at], o), changed.shown(then[at], o)
		if (was == nil) != (is == nil) || was != nil && *was != *is {
			out.Changes = append(out.Changes, Change{*o, was, is})
		}
	}
	return out
}

// shown returns the price of the offer; nil if it is hidden.
func (l *priceList) shown(rule *pricerule.Rule, o *Offer) *money.Micros {
	if l.hides(rule, o) {
		return nil
	}
	price := l.price(rule, o.Provider, o.CostPrice, o.GPUCount)
	return &price
}
