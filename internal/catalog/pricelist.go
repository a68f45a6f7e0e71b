package catalog

import (
	"cmp"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
)

// PriceGroup is everything that is offered with one type of GPU.
type PriceGroup struct {
	GPUType     string `json:"gpuType" doc:"GPU type, such as NVIDIA B200."`
	GPUMemoryGB int    `json:"gpuMemoryGb" doc:"Memory of one GPU in decimal GB."`
	Counts
	GPUCounts     []int                   `json:"gpuCounts" doc:"Numbers of GPUs that a machine can have, in order."`
	InstanceTypes []provider.InstanceType `json:"instanceTypes" doc:"Instance types, in order."`
	Regions       []PriceRegion           `json:"regions" doc:"Where it is offered, cheapest first."`
}

// PriceRegion is what a PriceGroup has in one region.
type PriceRegion struct {
	Provider     string  `json:"provider" doc:"Provider slug."`
	ProviderName string  `json:"providerName" doc:"Name of the provider."`
	Region       string  `json:"region" doc:"Region slug."`
	RegionName   string  `json:"regionName" doc:"Display name of the region."`
	Country      *string `json:"country" doc:"ISO 3166-1 alpha-2 code."`
	Counts
}

// PriceList returns the offers of the market by GPU type, those with an available offer and a low
// price per GPU first.
func (m Market) PriceList() []PriceGroup {
	type kind struct {
		name   string // lower case: two providers may spell it differently
		memory int
	}
	names := map[string]string{}
	for _, p := range m.s.providers {
		names[p.Slug] = p.Name
	}
	groups, regions := map[kind]*PriceGroup{}, map[kind]map[regionKey]*PriceRegion{}
	offers, _ := m.List(Query{})
	for i := range offers {
		o := &offers[i]
		k, place := kind{strings.ToLower(o.GPUType), o.GPUMemoryGB}, regionKey{o.Provider, o.Region}
		g := groups[k]
		if g == nil {
			g = &PriceGroup{GPUType: o.GPUType, GPUMemoryGB: o.GPUMemoryGB}
			groups[k], regions[k] = g, map[regionKey]*PriceRegion{}
		}
		if regions[k][place] == nil {
			regions[k][place] = &PriceRegion{
				Provider: o.Provider, ProviderName: names[o.Provider], Region: o.Region, RegionName: o.RegionName,
				Country: o.Country,
			}
		}
		g.add(o)
		regions[k][place].add(o)
		if !slices.Contains(g.GPUCounts, o.GPUCount) {
			g.GPUCounts = append(g.GPUCounts, o.GPUCount)
		}
		if !slices.Contains(g.InstanceTypes, o.InstanceType) {
			g.InstanceTypes = append(g.InstanceTypes, o.InstanceType)
		}
	}
	out := make([]PriceGroup, 0, len(groups))
	for k, g := range groups {
		slices.Sort(g.GPUCounts)
		slices.Sort(g.InstanceTypes)
		for _, r := range regions[k] {
			g.Regions = append(g.Regions, *r)
		}
		slices.SortFunc(g.Regions, func(a, b PriceRegion) int {
			return cmp.Or(a.compare(b.Counts), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Region, b.Region))
		})
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b PriceGroup) int {
		return cmp.Or(a.compare(b.Counts), cmp.Compare(strings.ToLower(a.GPUType), strings.ToLower(b.GPUType)),
			cmp.Compare(a.GPUMemoryGB, b.GPUMemoryGB))
	})
	return out
}

// compare puts what is available before what is not, and a low price per GPU before a high one.
func (n Counts) compare(o Counts) int {
	a, b := n.LowestHourlyPricePerGPU, o.LowestHourlyPricePerGPU
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*a, *b)
}
