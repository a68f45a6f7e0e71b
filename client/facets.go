package client

import (
	"context"
	"iter"
	"time"
)

// ProviderStatus is whether a provider answers.
type ProviderStatus string

// How a provider answers.
const (
	// ProviderUp answers.
	ProviderUp ProviderStatus = "up"
	// ProviderDegraded has answered, but not lately.
	ProviderDegraded ProviderStatus = "degraded"
	// ProviderDown does not answer.
	ProviderDown ProviderStatus = "down"
)

// Provider is a source of machines.
type Provider struct {
	// Slug is what queries and deploys call it, Name what people do.
	Slug string `json:"slug"`
	Name string `json:"name"`
	// Status is whether it answers.
	Status ProviderStatus `json:"status"`
	// AsOf is when it last answered; nil for never.
	AsOf *time.Time `json:"asOf"`
	// Offers is how many offers there are, AvailableOffers how many of them can be had now.
	Offers          int `json:"offers"`
	AvailableOffers int `json:"availableOffers"`
	// LowestHourlyPrice and LowestHourlyPricePerGPU are of what can be had now; nil where there is nothing.
	LowestHourlyPrice       *Money `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *Money `json:"lowestHourlyPricePerGpu"`
	// Volumes tells whether persistent volumes can be had now.
	Volumes bool `json:"volumes"`
}

// Region is where a provider has machines.
type Region struct {
	// Slug is what queries and deploys call it, Name what people do. Provider is the slug of whose it is.
	Slug     string `json:"slug"`
	Name     string `json:"name"`
	Provider string `json:"provider"`
	// Country is an ISO 3166-1 alpha-2 code; nil where it is not known.
	Country *string `json:"country"`
	// Offers is how many offers there are, AvailableOffers how many of them can be had now.
	Offers          int `json:"offers"`
	AvailableOffers int `json:"availableOffers"`
	// LowestHourlyPrice and LowestHourlyPricePerGPU are of what can be had now; nil where there is nothing.
	LowestHourlyPrice       *Money `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *Money `json:"lowestHourlyPricePerGpu"`
	// Volumes tells whether persistent volumes can be had there now.
	Volumes bool `json:"volumes"`
}

// GPUType is a kind of GPU that is offered.
type GPUType struct {
	// GPUType is its name, such as NVIDIA B200; GPUMemoryGB the memory of one in decimal GB.
	GPUType     string `json:"gpuType"`
	GPUMemoryGB int    `json:"gpuMemoryGb"`
	// Offers is how many offers there are, AvailableOffers how many of them can be had now.
	Offers          int `json:"offers"`
	AvailableOffers int `json:"availableOffers"`
	// LowestHourlyPrice and LowestHourlyPricePerGPU are of what can be had now; nil where there is nothing.
	LowestHourlyPrice       *Money `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *Money `json:"lowestHourlyPricePerGpu"`
	// Providers are the slugs of those who offer it.
	Providers []string `json:"providers"`
}

// ProviderService asks for providers. Its calls need the scope offers:read.
type ProviderService struct{ c *Client }

// List returns one page of providers.
func (s *ProviderService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[Provider], error) {
	return list[Provider](ctx, s.c, request{path: "/providers", query: queryOf(q)}, options)
}

// All walks all providers.
func (s *ProviderService) All(ctx context.Context, options ...CallOption) iter.Seq2[Provider, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Provider], error) { return s.List(ctx, at, options...) },
		func(p Provider) string { return p.Slug })
}

// RegionService asks for regions. Its calls need the scope offers:read.
type RegionService struct{ c *Client }

// List returns one page of regions.
func (s *RegionService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[Region], error) {
	return list[Region](ctx, s.c, request{path: "/regions", query: queryOf(q)}, options)
}

// All walks all regions of all providers.
func (s *RegionService) All(ctx context.Context, options ...CallOption) iter.Seq2[Region, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Region], error) { return s.List(ctx, at, options...) },
		func(r Region) string { return r.Provider + "/" + r.Slug })
}

// GPUTypeService asks for kinds of GPUs. Its calls need the scope offers:read.
type GPUTypeService struct{ c *Client }

// List returns one page of kinds of GPUs.
func (s *GPUTypeService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[GPUType], error) {
	return list[GPUType](ctx, s.c, request{path: "/gpu-types", query: queryOf(q)}, options)
}

// All walks all kinds of GPUs.
func (s *GPUTypeService) All(ctx context.Context, options ...CallOption) iter.Seq2[GPUType, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[GPUType], error) { return s.List(ctx, at, options...) },
		func(g GPUType) string { return g.GPUType })
}
