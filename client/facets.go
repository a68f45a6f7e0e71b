package client

import (
	"context"
	"iter"
	"time"
)

// ProviderStatus is the status of a provider.
type ProviderStatus string

// The statuses of a provider.
const (
	// ProviderUp responds.
	ProviderUp ProviderStatus = "up"
	// ProviderDegraded has not responded recently.
	ProviderDegraded ProviderStatus = "degraded"
	// ProviderDown does not respond.
	ProviderDown ProviderStatus = "down"
)

// Provider is a source of machines.
type Provider struct {
	// Slug is the name in queries and requests, Name the display name.
	Slug string `json:"slug"`
	Name string `json:"name"`
	// Status reports whether it responds.
	Status ProviderStatus `json:"status"`
	// AsOf is when it last responded; nil means never.
	AsOf *time.Time `json:"asOf"`
	// Offers is the number of offers, AvailableOffers the number of available ones.
	Offers          int `json:"offers"`
	AvailableOffers int `json:"availableOffers"`
	// LowestHourlyPrice and LowestHourlyPricePerGPU are those of available offers; nil if there are
	// none.
	LowestHourlyPrice       *Money `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *Money `json:"lowestHourlyPricePerGpu"`
	// Volumes reports whether volumes are available.
	Volumes bool `json:"volumes"`
}

// Region is a location of a provider.
type Region struct {
	// Slug is the name in queries and requests, Name the display name, Provider the slug of the
	// provider.
	Slug     string `json:"slug"`
	Name     string `json:"name"`
	Provider string `json:"provider"`
	// Country is an ISO 3166-1 alpha-2 code; nil if unknown.
	Country *string `json:"country"`
	// Offers is the number of offers, AvailableOffers the number of available ones.
	Offers          int `json:"offers"`
	AvailableOffers int `json:"availableOffers"`
	// LowestHourlyPrice and LowestHourlyPricePerGPU are those of available offers; nil if there are
	// none.
	LowestHourlyPrice       *Money `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *Money `json:"lowestHourlyPricePerGpu"`
	// Volumes reports whether volumes are available.
	Volumes bool `json:"volumes"`
}

// GPUType is an offered type of GPU.
type GPUType struct {
	// GPUType is the name, such as NVIDIA B200; GPUMemoryGB the memory of one GPU in decimal GB.
	GPUType     string `json:"gpuType"`
	GPUMemoryGB int    `json:"gpuMemoryGb"`
	// Offers is the number of offers, AvailableOffers the number of available ones.
	Offers          int `json:"offers"`
	AvailableOffers int `json:"availableOffers"`
	// LowestHourlyPrice and LowestHourlyPricePerGPU are those of available offers; nil if there are
	// none.
	LowestHourlyPrice       *Money `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *Money `json:"lowestHourlyPricePerGpu"`
	// Providers are the slugs of the providers that offer it.
	Providers []string `json:"providers"`
}

// ProviderService lists providers. Its calls need the scope offers:read.
type ProviderService struct{ c *Client }

// List returns one page of providers.
func (s *ProviderService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[Provider], error) {
	return list[Provider](ctx, s.c, request{path: "/providers", query: queryOf(q)}, options)
}

// All iterates over all providers.
func (s *ProviderService) All(ctx context.Context, options ...CallOption) iter.Seq2[Provider, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Provider], error) {
		return s.List(ctx, at, options...)
	}, func(p Provider) string { return p.Slug })
}

// RegionService lists regions. Its calls need the scope offers:read.
type RegionService struct{ c *Client }

// List returns one page of regions.
func (s *RegionService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[Region], error) {
	return list[Region](ctx, s.c, request{path: "/regions", query: queryOf(q)}, options)
}

// All iterates over all regions of all providers.
func (s *RegionService) All(ctx context.Context, options ...CallOption) iter.Seq2[Region, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Region], error) {
		return s.List(ctx, at, options...)
	}, func(r Region) string { return r.Provider + "/" + r.Slug })
}

// GPUTypeService lists GPU types. Its calls need the scope offers:read.
type GPUTypeService struct{ c *Client }

// List returns one page of GPU types.
func (s *GPUTypeService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[GPUType], error) {
	return list[GPUType](ctx, s.c, request{path: "/gpu-types", query: queryOf(q)}, options)
}

// All iterates over all GPU types.
func (s *GPUTypeService) All(ctx context.Context, options ...CallOption) iter.Seq2[GPUType, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[GPUType], error) {
		return s.List(ctx, at, options...)
	}, func(g GPUType) string { return g.GPUType })
}
