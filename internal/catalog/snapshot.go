package catalog

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// snapshot is the catalog at one version. It never changes once it is published.
type snapshot struct {
	version  int64
	registry int64   // the version of the providers
	offers   []Offer // by ID; health and launch statistics are added by offer
	facts    []facts // of the offer at the same index
	texts    []texts // each distinct set of texts, once
	byID     map[id.ID]int
	order    map[SortKey][]int // indexes in offers, by each sort
	volumes  []VolumePrice
	regions  map[regionKey]regionInfo
	health   map[string]Health
	figures  *figures
	pricing  *pricing
	own      *priceLists
	all      *snapshot // every offer, in the same order and without prices

	providers    []ProviderFacet // without Status and AsOf, which Providers adds
	regionFacets []RegionFacet
	gpuTypes     []GPUFacet
}

// facts are what filters compare, close together in memory: a request reads those of all offers.
type facts struct {
	price     money.Micros
	gpuCount  int
	texts     int // index in texts
	available bool
}

// texts are an offer's texts in lower case, computed once. Many offers share theirs, so a request
// compares a few hundred texts instead of those of every offer.
type texts struct{ provider, gpuType, region, instanceType, search string }

// priceFields are the sorts that prices change.
var priceFields = []SortField{"price", "pricePerGpu"}

// build makes a snapshot without prices of records that are ordered by ID. Records of providers
// that are no longer configured are left out, because nothing can be launched there, and so are
// those of draining ones. Those of paused ones are not available.
func (c *Catalog) build(version int64, records []record, volumes []VolumePrice) *snapshot {
	// Before they are read: what is newer is built at the next Load.
	registry := c.cfg.Providers.Version()
	infos := c.infos()
	s := &snapshot{
		version: version, registry: registry, byID: make(map[id.ID]int, len(records)), order: map[SortKey][]int{},
		health: c.assess(nil), figures: &figures{},
	}
	known := map[texts]int{}
	s.regions = c.regions(records)
	for _, r := range records {
		info, configured := infos[r.provider]
		use := c.cfg.Providers.Use(r.provider)
		if !configured || use == provider.Draining {
			continue
		}
		if use == provider.Paused {
			r = r.gone(false)
		}
		o := r.offer()
		o.RegionName, o.Country = s.regionName(r.provider, r.region)
		minimum := max(MinimumRuntime, info.MinimumRuntime, time.Duration(r.minimumRuntime)*time.Second)
		o.MinimumRuntimeMinutes = int((minimum + time.Minute - 1) / time.Minute)
		if limit := time.Duration(r.launchLimit) * time.Second; limit < info.LaunchLimit {
			o.LaunchLimit = limit
		}
		s.byID[o.ID] = len(s.offers)
		s.offers = append(s.offers, o)
		t := texts{
			provider: r.provider, gpuType: strings.ToLower(r.gpuType), region: r.region,
			instanceType: strings.ToLower(string(r.instanceType)),
			// A search word cannot match across two texts, because no text contains a control
			// character.
			search: strings.ToLower(strings.Join(
				[]string{r.gpuType, r.provider, info.Name, r.region, o.RegionName, r.interconnect}, "\n")),
		}
		at, seen := known[t]
		if !seen {
			at = len(s.texts)
			known[t] = at
			s.texts = append(s.texts, t)
		}
		s.facts = append(s.facts, facts{gpuCount: o.GPUCount, texts: at, available: o.Available})
	}
	for _, f := range SortField("").Enum() {
		if !slices.Contains(priceFields, f) {
			s.sort(f)
		}
	}
	for _, v := range volumes {
		if _, configured := infos[v.Provider]; configured && c.cfg.Providers.Use(v.Provider) == provider.Sells {
			v.RegionName, _ = s.regionName(v.Provider, v.Region)
			s.volumes = append(s.volumes, v)
		}
	}
	return s
}

// sort fills in both directions of one order.
func (s *snapshot) sort(f SortField) {
	compare, up := comparisons[f], make([]int, len(s.offers))
	for i := range up {
		up[i] = i
	}
	down := slices.Clone(up)
	// Stable on the order by ID in both directions.
	slices.SortStableFunc(up, func(a, b int) int { return compare(&s.offers[a], &s.offers[b]) })
	slices.SortStableFunc(down, func(a, b int) int { return compare(&s.offers[b], &s.offers[a]) })
	s.order[SortKey(f)], s.order[SortKey("-"+f)] = up, down
}

// sorted returns the offers' indexes in the order of the keys. Only offers that are equal in the
// first key are sorted here, by the others.
func (s *snapshot) sorted(keys []SortKey) []int {
	if len(keys) == 0 {
		return s.order[DefaultSort]
	}
	order := s.order[keys[0]]
	if len(keys) == 1 {
		return order
	}
	order = slices.Clone(order)
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && keys[0].compare(&s.offers[order[from]], &s.offers[order[to]]) == 0 {
			to++
		}
		slices.SortStableFunc(order[from:to], func(a, b int) int {
			for _, k := range keys[1:] {
				if n := k.compare(&s.offers[a], &s.offers[b]); n != 0 {
					return n
				}
			}
			return 0
		})
		from = to
	}
	return order
}

// with returns the same offers with the given health and figures.
func (s *snapshot) with(h map[string]Health, f *figures) *snapshot {
	changed := *s
	changed.health, changed.figures = h, f
	return &changed
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

// regionKey identifies a region of a provider.
type regionKey struct{ provider, region string }

// regionInfo is the name of a region and its country; both may be "".
type regionInfo struct{ name, country string }

// regions returns what is known of the regions: from the provider's description, else from the
// first of its offers there, else, for the country, from the texts.
func (c *Catalog) regions(records []record) map[regionKey]regionInfo {
	out := map[regionKey]regionInfo{}
	for slug, info := range c.infos() {
		for _, r := range info.Regions {
			out[regionKey{slug, r.Slug}] = regionInfo{r.Name, r.Country}
		}
	}
	for _, r := range records {
		key := regionKey{r.provider, r.region}
		known := out[key]
		out[key] = regionInfo{cmp.Or(known.name, r.regionName), cmp.Or(known.country, r.country)}
	}
	for key, info := range out {
		if info.country == "" {
			info.country = countryOf(key.region, info.name)
			out[key] = info
		}
	}
	return out
}

func (s *snapshot) regionName(slug, region string) (name string, country *string) {
	info := s.regions[regionKey{slug, region}]
	return cmp.Or(info.name, region), textOrNil(info.country)
}

func (r record) offer() Offer {
	o := Offer{
		ID: r.id, OfferID: r.id, Provider: r.provider, GPUType: r.gpuType, GPUCount: r.gpuCount,
		GPUMemoryGB: r.gpuMemoryGB,
		VCPUs:       r.vcpus, MemoryGB: r.memoryGB, StorageGB: r.storageGB, Interconnect: textOrNil(r.interconnect),
		InstanceType: r.instanceType, Region: r.region, OperatingSystems: []string{},
		Available: r.available, Capabilities: r.capabilities,
		Key: r.key, CostPrice: money.Micros(r.cost), TrustedTenantsOnly: r.trustedOnly,
	}
	if r.stock != unknownStock {
		n := int(r.stock)
		o.Stock = &n
	}
	// json.Marshal wrote it. A row that was damaged by hand shows an offer without operating
	// systems rather than none.
	_ = json.Unmarshal([]byte(r.systems), &o.OperatingSystems)
	return o
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
