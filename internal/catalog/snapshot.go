package catalog

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// snapshot is the catalogue at one version. Nothing in it is changed once it is published.
type snapshot struct {
	version int64
	offers  []Offer // by id; what is said of the provider or of launches is set on the way out
	facts   []facts // of the offer at the same place
	words   []words // each set of texts that an offer has, once
	byID    map[id.ID]int
	order   map[string][]int // places in offers, by each sort
	volumes []VolumePrice
	places  map[spot]named
	health  map[string]Health
	figures *figures
	markups map[id.ID]int64 // of the accounts that have one of their own
	own     *priceLists

	providers []ProviderFacet // Status and AsOf are set on the way out
	regions   []RegionFacet
	gpuTypes  []GPUFacet
}

// facts are what filters ask of an offer, close together: a request reads those of all offers.
type facts struct {
	price     money.Micros
	gpuCount  int
	words     int // place in words
	available bool
}

// words are an offer's texts in lower case, made once instead of at each request. Many offers share theirs, so that a
// request compares texts some hundred times, not for every offer.
type words struct{ provider, gpuType, region, instanceType, search string }

// build makes a snapshot of rows that are ordered by id. Rows of providers that are not
// configured any more are left out: nothing could be launched there.
func (c *Catalog) build(version int64, records []record, volumes []VolumePrice) *snapshot {
	s := &snapshot{version: version, byID: make(map[id.ID]int, len(records)), order: map[string][]int{}, health: c.judge(nil), figures: &figures{}, own: &priceLists{}}
	known := map[words]int{}
	s.places = c.places(records)
	for _, r := range records {
		info, configured := c.infos[r.provider]
		if !configured {
			continue
		}
		o := r.offer()
		o.RegionName, o.Country = s.regionName(r.provider, r.region)
		o.MinimumRuntimeMinutes = int((max(MinimumRuntime, info.MinimumRuntime, time.Duration(r.minimumRuntime)*time.Second) + time.Minute - 1) / time.Minute)
		if limit := time.Duration(r.launchLimit) * time.Second; limit < info.LaunchLimit {
			o.LaunchLimit = limit
		}
		s.byID[o.ID] = len(s.offers)
		s.offers = append(s.offers, o)
		w := words{
			provider: r.provider, gpuType: strings.ToLower(r.gpuType), region: r.region, instanceType: strings.ToLower(string(r.instanceType)),
			// One word of a search cannot match across two texts: none holds a control character.
			search: strings.ToLower(strings.Join([]string{r.gpuType, r.provider, info.Name, r.region, o.RegionName, r.interconnect}, "\n")),
		}
		at, seen := known[w]
		if !seen {
			at = len(s.words)
			known[w] = at
			s.words = append(s.words, w)
		}
		s.facts = append(s.facts, facts{price: o.HourlyPrice, gpuCount: o.GPUCount, words: at, available: o.Available})
	}
	for name := range sorts {
		s.sort(name)
	}
	for _, v := range volumes {
		if _, configured := c.infos[v.Provider]; configured {
			v.RegionName, _ = s.regionName(v.Provider, v.Region)
			s.volumes = append(s.volumes, v)
		}
	}
	c.countFacets(s)
	return s
}

// sort fills in both ways of one order.
func (s *snapshot) sort(name string) {
	compare, up := sorts[name], make([]int, len(s.offers))
	for i := range up {
		up[i] = i
	}
	down := slices.Clone(up)
	// Stable on the order by id, both ways.
	slices.SortStableFunc(up, func(a, b int) int { return compare(&s.offers[a], &s.offers[b]) })
	slices.SortStableFunc(down, func(a, b int) int { return compare(&s.offers[b], &s.offers[a]) })
	s.order[name], s.order["-"+name] = up, down
}

// with returns the same offers with other health, figures and markups.
func (s *snapshot) with(h map[string]Health, f *figures, markups map[id.ID]int64) *snapshot {
	fresh := *s
	fresh.health, fresh.figures, fresh.markups = h, f, markups
	return &fresh
}

func (s *snapshot) offer(i int) Offer {
	o := s.offers[i]
	h := s.health[o.Provider]
	o.Stale = h.Status != StatusUp
	if h.LastSuccessAt != nil {
		o.AsOf = *h.LastSuccessAt
	}
	s.figures.complete(&o)
	return o
}

// spot is a region of a provider.
type spot struct{ provider, region string }

// named is what a region is called, and its country; both may be "".
type named struct{ name, country string }

// places names the regions: as the provider does in general, else as its offers there do, of which the first counts, else by what
// the texts say.
func (c *Catalog) places(records []record) map[spot]named {
	out := map[spot]named{}
	for slug, info := range c.infos {
		for _, r := range info.Regions {
			out[spot{slug, r.Slug}] = named{r.Name, r.Country}
		}
	}
	for _, r := range records {
		at := spot{r.provider, r.region}
		p := out[at]
		out[at] = named{cmp.Or(p.name, r.regionName), cmp.Or(p.country, r.country)}
	}
	for at, p := range out {
		if p.country == "" {
			p.country = countryOf(at.region, p.name)
			out[at] = p
		}
	}
	return out
}

func (s *snapshot) regionName(slug, region string) (name string, country *string) {
	p := s.places[spot{slug, region}]
	return cmp.Or(p.name, region), textOrNil(p.country)
}

func (r record) offer() Offer {
	o := Offer{
		ID: r.id, OfferID: r.id, Provider: r.provider, GPUType: r.gpuType, GPUCount: r.gpuCount, GPUMemoryGB: r.gpuMemoryGB, VCPUs: r.vcpus,
		MemoryGB: r.memoryGB, StorageGB: r.storageGB, Interconnect: textOrNil(r.interconnect), InstanceType: r.instanceType, Region: r.region,
		OperatingSystems: []string{}, HourlyPrice: money.Micros(r.price), HourlyPricePerGPU: perGPU(money.Micros(r.price), r.gpuCount),
		Available: r.available, Capabilities: r.capabilities, Key: r.key, CostPrice: money.Micros(r.cost),
	}
	if r.stock >= 0 {
		n := int(r.stock)
		o.Stock = &n
	}
	// We wrote it with json.Marshal; a row that somebody broke by hand shows an offer without systems rather than none at all.
	_ = json.Unmarshal([]byte(r.systems), &o.OperatingSystems)
	return o
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
