package catalog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

// Counts are the number of offers and their lowest prices.
type Counts struct {
	Offers                  int           `json:"offers" doc:"Number of offers."`
	AvailableOffers         int           `json:"availableOffers" doc:"Number of available offers."`
	LowestHourlyPrice       *money.Micros `json:"lowestHourlyPrice" doc:"Lowest price of an available offer in US dollars an hour; null if there is none."`
	LowestHourlyPricePerGPU *money.Micros `json:"lowestHourlyPricePerGpu" doc:"Lowest price per GPU of an available offer in US dollars an hour; null if there is none."`
}

// ProviderFacet is a provider as a tenant sees it.
type ProviderFacet struct {
	Slug    string `json:"slug" doc:"Identifier in filters and deploys."`
	Name    string `json:"name" doc:"Display name."`
	Status  Status `json:"status" doc:"Status: up, degraded (its last answers are old) or down."`
	Volumes bool   `json:"volumes" doc:"Whether persistent volumes are available."`
	Counts
	AsOf *time.Time `json:"asOf" doc:"Time of its last answer; null if it never answered."`
}

// RegionFacet is a region of a provider.
type RegionFacet struct {
	Slug     string  `json:"slug" doc:"Identifier in filters and deploys."`
	Name     string  `json:"name" doc:"Display name."`
	Country  *string `json:"country" doc:"ISO 3166-1 alpha-2 code."`
	Provider string  `json:"provider" doc:"Provider slug of the region."`
	Volumes  bool    `json:"volumes" doc:"Whether persistent volumes are available in the region."`
	Counts
}

// GPUFacet is a GPU type with one memory size.
type GPUFacet struct {
	GPUType     string `json:"gpuType" doc:"GPU type, such as NVIDIA B200."`
	GPUMemoryGB int    `json:"gpuMemoryGb" doc:"Memory of one GPU in decimal GB."`
	Counts
	Providers []string `json:"providers" doc:"Slugs of the providers that offer it."`
}

// Providers returns every configured provider by slug, including those without offers.
func (m Market) Providers() []ProviderFacet {
	out := slices.Clone(m.s.providers)
	for i := range out {
		h := m.s.health[out[i].Slug]
		out[i].Status, out[i].AsOf = h.Status, h.LastSuccessAt
	}
	return out
}

// Regions returns every region by provider and slug, including those without offers.
func (m Market) Regions() []RegionFacet { return slices.Clone(m.s.regionFacets) }

// GPUTypes returns every GPU type that is offered, by name and memory.
func (m Market) GPUTypes() []GPUFacet { return slices.Clone(m.s.gpuTypes) }

func (n *Counts) add(o *Offer) {
	n.Offers++
	if !o.Available {
		return
	}
	n.AvailableOffers++
	n.LowestHourlyPrice = lower(n.LowestHourlyPrice, o.HourlyPrice)
	n.LowestHourlyPricePerGPU = lower(n.LowestHourlyPricePerGPU, o.HourlyPricePerGPU)
}

func lower(have *money.Micros, price money.Micros) *money.Micros {
	if have == nil || price < *have {
		return &price
	}
	return have
}

// countFacets fills in the facets of a snapshot that has its offers and volume prices.
func (c *Catalog) countFacets(s *snapshot) {
	type kind struct {
		name   string // lower case: two providers may spell it differently
		memory int
	}
	providers, regions, gpus := map[string]*ProviderFacet{}, map[regionKey]*RegionFacet{}, map[kind]*GPUFacet{}
	region := func(slug, region string) *RegionFacet {
		key := regionKey{slug, region}
		if regions[key] == nil {
			name, country := s.regionName(slug, region)
			regions[key] = &RegionFacet{Slug: region, Name: name, Country: country, Provider: slug}
		}
		return regions[key]
	}
	for slug, info := range c.infos() {
		providers[slug] = &ProviderFacet{Slug: slug, Name: cmp.Or(info.Name, slug)}
		for _, r := range info.Regions {
			region(slug, r.Slug)
		}
	}
	for i := range s.offers {
		o := &s.offers[i]
		providers[o.Provider].add(o)
		region(o.Provider, o.Region).add(o)
		m := kind{strings.ToLower(o.GPUType), o.GPUMemoryGB}
		if gpus[m] == nil {
			gpus[m] = &GPUFacet{GPUType: o.GPUType, GPUMemoryGB: o.GPUMemoryGB, Providers: []string{}}
		}
		gpus[m].add(o)
		if !slices.Contains(gpus[m].Providers, o.Provider) {
			gpus[m].Providers = append(gpus[m].Providers, o.Provider)
		}
	}
	for _, v := range s.volumes {
		providers[v.Provider].Volumes = true
		region(v.Provider, v.Region).Volumes = true
	}
	s.providers, s.regionFacets, s.gpuTypes = []ProviderFacet{}, []RegionFacet{}, []GPUFacet{}
	for _, f := range providers {
		s.providers = append(s.providers, *f)
	}
	for _, f := range regions {
		s.regionFacets = append(s.regionFacets, *f)
	}
	for _, f := range gpus {
		slices.Sort(f.Providers)
		s.gpuTypes = append(s.gpuTypes, *f)
	}
	slices.SortFunc(s.providers, func(a, b ProviderFacet) int { return cmp.Compare(a.Slug, b.Slug) })
	slices.SortFunc(s.regionFacets, func(a, b RegionFacet) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Slug, b.Slug))
	})
	slices.SortFunc(s.gpuTypes, func(a, b GPUFacet) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.GPUType), strings.ToLower(b.GPUType)),
			cmp.Compare(a.GPUMemoryGB, b.GPUMemoryGB))
	})
}
