package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// InstanceType is what kind of machine an offer is.
type InstanceType string

// The kinds of machines.
const (
	// BareMetal is a whole machine.
	BareMetal InstanceType = "BARE_METAL"
	// VM is a virtual machine.
	VM InstanceType = "VM"
	// Spot is a machine that the provider may take back.
	Spot InstanceType = "SPOT"
	// Cluster is several machines.
	Cluster InstanceType = "CLUSTER"
)

// Capabilities are what the provider can do with a machine.
type Capabilities struct {
	// CloudInit tells whether a cloud-init text can be given at the deploy.
	CloudInit bool `json:"cloudInit"`
	// Power tells whether machines can be switched off and on again.
	Power bool `json:"power"`
	// Reboot tells whether machines can be rebooted.
	Reboot bool `json:"reboot"`
	// Reinstall tells whether machines can be given an operating system anew.
	Reinstall bool `json:"reinstall"`
	// SingleKey tells whether exactly one SSH key can be given at the deploy, and no more.
	SingleKey bool `json:"singleKey"`
	// Volumes tells whether volumes can be attached.
	Volumes bool `json:"volumes"`
}

// ReliabilityBasis is whose deployments a Reliability counts.
type ReliabilityBasis string

// Whose deployments are counted.
const (
	// BasisOffer is those of the offer itself.
	BasisOffer ReliabilityBasis = "offer"
	// BasisInstanceType is those of all offers of the provider with the same instance type, where the offer itself has fewer than 5.
	BasisInstanceType ReliabilityBasis = "instanceType"
)

// Reliability is how deployments of the last 30 days went, those of all accounts together.
type Reliability struct {
	// Basis is whose deployments were counted.
	Basis ReliabilityBasis `json:"basis"`
	// Deployments is how many, without those that were called off before SSH answered.
	Deployments int `json:"deployments"`
	// MedianSecondsToSSH is the median time from the deploy to the first SSH answer; nil where none came to run.
	MedianSecondsToSSH *int `json:"medianSecondsToSsh"`
	// ReachedSSH is which share of them came to run, from 0 to 1; nil where there were none.
	ReachedSSH *float64 `json:"reachedSsh"`
}

// Offer is something that can be deployed.
type Offer struct {
	// ID is what CreateDeployment.OfferID names, off_….
	ID string `json:"id"`
	// OfferID is the same as ID.
	OfferID string `json:"offerId"`
	// Provider and Region are slugs; RegionName is the region in words, Country an ISO 3166-1 alpha-2 code, nil where it is not known.
	Provider   string  `json:"provider"`
	Region     string  `json:"region"`
	RegionName string  `json:"regionName"`
	Country    *string `json:"country"`
	// GPUType is such as NVIDIA B200, GPUCount how many; GPUMemoryGB is the memory of one GPU in decimal GB.
	GPUType     string `json:"gpuType"`
	GPUCount    int    `json:"gpuCount"`
	GPUMemoryGB int    `json:"gpuMemoryGb"`
	// VCPUs are CPU cores, virtual or physical; MemoryGB and StorageGB are decimal. The storage ends with the machine.
	VCPUs     int `json:"vcpus"`
	MemoryGB  int `json:"memoryGb"`
	StorageGB int `json:"storageGb"`
	// Interconnect is what joins the GPUs or machines; nil where the provider does not say.
	Interconnect *string `json:"interconnect"`
	// InstanceType is what kind of machine it is.
	InstanceType InstanceType `json:"instanceType"`
	// OperatingSystems are what can be installed; a deploy names one.
	OperatingSystems []string `json:"operatingSystems"`
	// HourlyPrice is for the whole offer. HourlyPricePerGPU is rounded, for comparing, and never charged.
	HourlyPrice       Money `json:"hourlyPrice"`
	HourlyPricePerGPU Money `json:"hourlyPricePerGpu"`
	// Available tells whether it can be had now, Stock how many; nil where the provider does not say.
	Available bool `json:"available"`
	Stock     *int `json:"stock"`
	// MinimumRuntimeMinutes is for how long a deployment must run before it can be terminated.
	MinimumRuntimeMinutes int `json:"minimumRuntimeMinutes"`
	// Capabilities are what the provider can do with the machine.
	Capabilities Capabilities `json:"capabilities"`
	// Reliability is how deployments of it went.
	Reliability Reliability `json:"reliability"`
	// LastNoCapacityAt is when a deploy last failed since the provider had none left; nil where none did in the last 24 hours.
	LastNoCapacityAt *time.Time `json:"lastNoCapacityAt"`
	// AsOf is when the provider last confirmed all this; Stale tells that it did not answer when it was last asked.
	AsOf  time.Time `json:"asOf"`
	Stale bool      `json:"stale"`
}

// OfferQuery narrows and orders a list of offers. Zero values narrow nothing.
type OfferQuery struct {
	Paging
	// Search are words that must all occur in GPU type, provider, region or interconnect; at most 200 characters.
	Search string `query:"search"`
	// Provider and Region are slugs.
	Provider string `query:"provider"`
	Region   string `query:"region"`
	// GPUType is the whole name, such as NVIDIA B200.
	GPUType string `query:"gpuType"`
	// InstanceType is the kind of machine.
	InstanceType InstanceType `query:"instanceType"`
	// GPUCount is exactly so many GPUs, MinGPUCount at least so many.
	GPUCount    int `query:"gpuCount"`
	MinGPUCount int `query:"minGpuCount"`
	// MaxHourlyPrice is the most that the whole offer may cost in an hour; nil for no limit.
	MaxHourlyPrice *Money `query:"maxHourlyPrice"`
	// Available is whether it can be had now; nil for both.
	Available *bool `query:"available"`
	// Sort is price, pricePerGpu, gpuCount, gpuMemoryGb, name, provider or region, with a leading hyphen downwards; price if empty.
	Sort string `query:"sort"`
}

// PricePoint is what held of an offer from an instant until the next point's.
type PricePoint struct {
	// At is from when it held.
	At time.Time `json:"at"`
	// HourlyPrice is for the whole offer, Available whether it was to be had.
	HourlyPrice Money `json:"hourlyPrice"`
	Available   bool  `json:"available"`
	// Stock is nil where the provider does not say.
	Stock *int `json:"stock"`
}

// PriceHistory is what an offer has cost, and when it was to be had.
type PriceHistory struct {
	// OfferID is the offer.
	OfferID string `json:"offerId"`
	// From belongs to the interval, To does not.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Points are oldest first, beginning with what held at From.
	Points []PricePoint `json:"points"`
}

// PriceHistoryQuery is an interval.
type PriceHistoryQuery struct {
	// From is the beginning, 30 days ago if zero; points older than 90 days are forgotten. To is the end, now if zero.
	From time.Time `query:"from"`
	To   time.Time `query:"to"`
}

// CheckOffers asks whether there is capacity. Zero values narrow nothing.
type CheckOffers struct {
	// Count is how many machines, 1 to 10,000; 0 for one.
	Count int `json:"count,omitempty"`
	// GPUType is such as NVIDIA B200, GPUCount how many GPUs each machine has.
	GPUType  string `json:"gpuType,omitempty"`
	GPUCount int    `json:"gpuCount,omitempty"`
	// InstanceType is what kind of machine.
	InstanceType InstanceType `json:"instanceType,omitempty"`
	// MaxHourlyPrice is the most that each machine may cost in an hour; nil for no limit.
	MaxHourlyPrice *Money `json:"maxHourlyPrice,omitempty"`
	// Provider is a slug; Regions are slugs, any of which will do, at most 100.
	Provider string   `json:"provider,omitempty"`
	Regions  []string `json:"regions,omitempty"`
}

// Share is how many machines of one offer.
type Share struct {
	// Offer is what can be had, Count how many of it.
	Offer Offer `json:"offer"`
	Count int   `json:"count"`
}

// Capacity is whether so many machines can be had.
type Capacity struct {
	// Count is how many were asked for, Found how many there are, counted up to Count; Enough tells whether that will do.
	Count  int  `json:"count"`
	Found  int  `json:"found"`
	Enough bool `json:"enough"`
	// Certain is false where a provider does not say how many it has; one is counted of each such offer.
	Certain bool `json:"certain"`
	// Offers are which, cheapest first.
	Offers []Share `json:"offers"`
	// TotalHourlyPrice is of those that were found, all together.
	TotalHourlyPrice Money `json:"totalHourlyPrice"`
	// AsOf is when the oldest of these offers was confirmed; nil where there is none.
	AsOf *time.Time `json:"asOf"`
	// Shortfalls are what each region lacks, those that were named or else all, where there are not enough.
	Shortfalls []Shortfall `json:"shortfalls"`
}

// Shortfall is why a region does not have so many machines.
type Shortfall struct {
	// Region is the region's slug, Found how many it has.
	Region string `json:"region"`
	Found  int    `json:"found"`
	// Reason is what is in the way.
	Reason ShortfallReason `json:"reason"`
	// LowestHourlyPrice is of the cheapest that is of the kind and can be had now; nil where there is none.
	LowestHourlyPrice *Money `json:"lowestHourlyPrice"`
}

// ShortfallReason is what a region lacks.
type ShortfallReason string

const (
	// ShortfallNoOffer is where nothing is of the kind.
	ShortfallNoOffer ShortfallReason = "no_offer"
	// ShortfallSoldOut is where none can be had now.
	ShortfallSoldOut ShortfallReason = "sold_out"
	// ShortfallTooExpensive is where each costs more than was allowed.
	ShortfallTooExpensive ShortfallReason = "too_expensive"
	// ShortfallTooFew is where there are some, and not enough.
	ShortfallTooFew ShortfallReason = "too_few"
)

// OfferService asks for offers. Its calls need the scope offers:read.
type OfferService struct{ c *Client }

// List returns one page of offers.
func (s *OfferService) List(ctx context.Context, q OfferQuery, options ...CallOption) (*Page[Offer], error) {
	return list[Offer](ctx, s.c, request{path: "/offers", query: queryOf(q)}, options)
}

// All walks all offers of the query.
func (s *OfferService) All(ctx context.Context, q OfferQuery, options ...CallOption) iter.Seq2[Offer, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Offer], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(o Offer) string { return o.ID })
}

// Get returns an offer; ErrNotFound where there is none.
func (s *OfferService) Get(ctx context.Context, id string, options ...CallOption) (*Offer, error) {
	return one[Offer](ctx, s.c, request{method: http.MethodGet, path: "/offers/" + id, id: id, field: "path.offerId"}, options)
}

// Check tells whether there are so many machines now, cheapest first. Nothing is kept back. It counts as a write.
func (s *OfferService) Check(ctx context.Context, in CheckOffers, options ...CallOption) (*Capacity, error) {
	return one[Capacity](ctx, s.c, request{method: http.MethodPost, path: "/offers/check", body: in}, options)
}

// PriceHistory returns what an offer has cost. They are the usual prices, also for an account that has others.
func (s *OfferService) PriceHistory(ctx context.Context, id string, q PriceHistoryQuery, options ...CallOption) (*PriceHistory, error) {
	return one[PriceHistory](ctx, s.c, request{method: http.MethodGet, path: "/offers/" + id + "/price-history", query: queryOf(q), id: id, field: "path.offerId"}, options)
}
