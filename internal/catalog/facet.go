package catalog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

// Counts are how many offers there are of something, and from what price on.
type Counts struct {
	Offers          int `json:"offers"`
	AvailableOffers int `json:"availableOffers"`
	// LowestHourlyPrice and LowestHourlyPricePerGPU are of the offers that can be had now; nil where there are none.
	LowestHourlyPrice       *money.Micros `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *money.Micros `json:"lowestHourlyPricePerGpu"`
}

// ProviderFacet is a provider as a tenant sees it.
type ProviderFacet struct {
	Slug   string `json:"slug"`
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Volumes tells whether the provider has persistent volumes to be had now.
	Volumes bool `json:"volumes"`
	Counts
	// AsOf is when the provider last answered.
	AsOf *time.Time `json:"asOf"`
}

// RegionFacet is a region of a provider.
type RegionFacet struct {
	Slug     string  `json:"slug"`
	Name     string  `json:"name"`
	Country  *string `json:"country"`
	Provider string  `json:"provider"`
	Volumes  bool    `json:"volumes"`
	Counts
}

// GPUFacet is a GPU type with one size of memory.
type GPUFacet struct {
	GPUType     string `json:"gpuType"`
	GPUMemoryGB int    `json:"gpuMemoryGb"`
	Counts
	Providers []string `json:"providers"` // slugs
}

// Providers returns every configured provider, by slug, also those without offers.
func (c *Catalog) Providers() []ProviderFacet {
	s := c.now.Load()
	out := slices.Clone(s.providers)
	for i := range out {
		h := s.health[out[i].Slug]
		out[i].Status, out[i].AsOf = h.Status, h.LastSuccessAt
	}
	return out
}

// Regions returns every region, by provider and slug, also those without offers.
func (c *Catalog) Regions() []RegionFacet { return slices.Clone(c.now.Load().regions) }

// GPUTypes returns every GPU type that is offered, by name and memory.
func (c *Catalog) GPUTypes() []GPUFacet { return slices.Clone(c.now.Load().gpuTypes) }

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
	type spot struct{ provider, region string }
	type model struct {
		name   string // lower case: two providers may spell it differently
		memory int
	}
	providers, regions, gpus := map[string]*ProviderFacet{}, map[spot]*RegionFacet{}, map[model]*GPUFacet{}
	region := func(slug, place string) *RegionFacet {
		at := spot{slug, place}
		if regions[at] == nil {
			name, country := c.regionName(slug, place)
			regions[at] = &RegionFacet{Slug: place, Name: name, Country: country, Provider: slug}
		}
		return regions[at]
	}
	for slug, info := range c.infos {
		providers[slug] = &ProviderFacet{Slug: slug, Name: cmp.Or(info.Name, slug)}
		for _, r := range info.Regions {
			region(slug, r.Slug)
		}
	}
	for i := range s.offers {
		o := &s.offers[i]
		providers[o.Provider].add(o)
		region(o.Provider, o.Region).add(o)
		m := model{strings.ToLower(o.GPUType), o.GPUMemoryGB}
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
	s.providers, s.regions, s.gpuTypes = []ProviderFacet{}, []RegionFacet{}, []GPUFacet{}
	for _, f := range providers {
		s.providers = append(s.providers, *f)
	}
	for _, f := range regions {
		s.regions = append(s.regions, *f)
	}
	for _, f := range gpus {
		slices.Sort(f.Providers)
		s.gpuTypes = append(s.gpuTypes, *f)
	}
	slices.SortFunc(s.providers, func(a, b ProviderFacet) int { return cmp.Compare(a.Slug, b.Slug) })
	slices.SortFunc(s.regions, func(a, b RegionFacet) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Slug, b.Slug))
	})
	slices.SortFunc(s.gpuTypes, func(a, b GPUFacet) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.GPUType), strings.ToLower(b.GPUType)), cmp.Compare(a.GPUMemoryGB, b.GPUMemoryGB))
	})
}
