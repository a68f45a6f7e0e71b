package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// InstanceType is the type of machine of an offer.
type InstanceType string

// The instance types.
const (
	// BareMetal is a physical machine.
	BareMetal InstanceType = "BARE_METAL"
	// VM is a virtual machine.
	VM InstanceType = "VM"
	// Spot is a machine that the provider can reclaim.
	Spot InstanceType = "SPOT"
	// Cluster is several machines.
	Cluster InstanceType = "CLUSTER"
)

// Capabilities are the actions that a provider supports.
type Capabilities struct {
	// CloudInit reports whether a deploy can have a cloud-config.
	CloudInit bool `json:"cloudInit"`
	// Console reports whether machines have a serial console that can be opened.
	Console bool `json:"console"`
	// CustomImages reports whether machines can be installed with the account's own images.
	CustomImages bool `json:"customImages"`
	// Power reports whether machines can be powered off and on.
	Power bool `json:"power"`
	// Reboot reports whether machines can be rebooted.
	Reboot bool `json:"reboot"`
	// Reinstall reports whether the operating system can be reinstalled.
	Reinstall bool `json:"reinstall"`
	// Rescue reports whether machines can be started with a rescue system.
	Rescue bool `json:"rescue"`
	// SingleKey reports whether a deploy can have only one SSH key.
	SingleKey bool `json:"singleKey"`
	// Volumes reports whether volumes can be attached.
	Volumes bool `json:"volumes"`
}

// ReliabilityBasis is the set of deployments that a Reliability counts.
type ReliabilityBasis string

// The sets of deployments.
const (
	// BasisOffer are the deployments of the offer.
	BasisOffer ReliabilityBasis = "offer"
	// BasisInstanceType are the deployments of all offers of the provider with the same instance
	// type, if the offer has fewer than 5.
	BasisInstanceType ReliabilityBasis = "instanceType"
)

// Reliability summarizes the deployments of all accounts in the last 30 days.
type Reliability struct {
	// Basis is the set of counted deployments.
	Basis ReliabilityBasis `json:"basis"`
	// Deployments is their number, without those that were terminated before SSH was reachable.
	Deployments int `json:"deployments"`
	// MedianSecondsToSSH is the median time until SSH was reachable, in seconds; nil if none
	// succeeded.
	MedianSecondsToSSH *int `json:"medianSecondsToSsh"`
	// ReachedSSH is the share that succeeded, from 0 to 1; nil if there were none.
	ReachedSSH *float64 `json:"reachedSsh"`
}

// Offer is something that can be deployed.
type Offer struct {
	// ID has the form off_…, for CreateDeployment.OfferID.
	ID string `json:"id"`
	// OfferID is the same as ID.
	OfferID string `json:"offerId"`
	// Provider and Region are slugs; RegionName is a display name, Country an ISO 3166-1 alpha-2
	// code, nil if unknown.
	Provider   string  `json:"provider"`
	Region     string  `json:"region"`
	RegionName string  `json:"regionName"`
	Country    *string `json:"country"`
	// GPUType is a name such as NVIDIA B200, GPUCount the number of GPUs; GPUMemoryGB is the memory
	// of one GPU in decimal GB.
	GPUType     string `json:"gpuType"`
	GPUCount    int    `json:"gpuCount"`
	GPUMemoryGB int    `json:"gpuMemoryGb"`
	// VCPUs are virtual or physical CPU cores. MemoryGB and StorageGB are in decimal GB. The
	// storage is deleted with the machine.
	VCPUs     int `json:"vcpus"`
	MemoryGB  int `json:"memoryGb"`
	StorageGB int `json:"storageGb"`
	// Interconnect connects the GPUs or machines; nil if the provider does not report it.
	Interconnect *string `json:"interconnect"`
	// InstanceType is the type of machine.
	InstanceType InstanceType `json:"instanceType"`
	// OperatingSystems are the choices for a deploy.
	OperatingSystems []string `json:"operatingSystems"`
	// HourlyPrice is the price of the whole machine. HourlyPricePerGPU is rounded, for comparison
	// only.
	HourlyPrice       Money `json:"hourlyPrice"`
	HourlyPricePerGPU Money `json:"hourlyPricePerGpu"`
	// Available reports whether it can be deployed now, Stock the number of machines; nil if the
	// provider does not report it.
	Available bool `json:"available"`
	Stock     *int `json:"stock"`
	// MinimumRuntimeMinutes is how long a deployment must run before it can be terminated.
	MinimumRuntimeMinutes int `json:"minimumRuntimeMinutes"`
	// Capabilities are the actions that the provider supports.
	Capabilities Capabilities `json:"capabilities"`
	// TrustedTenantsOnly offers are only for accounts that the operator trusts.
	TrustedTenantsOnly bool `json:"trustedTenantsOnly"`
	// HealthPolicy is whether the GPUs are checked before a deployment runs.
	HealthPolicy HealthPolicy `json:"healthPolicy"`
	// Reliability summarizes its recent deployments.
	Reliability Reliability `json:"reliability"`
	// LastNoCapacityAt is when a deploy last failed for lack of capacity; nil if none did in the
	// last 24 hours.
	LastNoCapacityAt *time.Time `json:"lastNoCapacityAt"`
	// AsOf is when the provider last confirmed the offer; Stale reports whether the last request to
	// the provider failed.
	AsOf  time.Time `json:"asOf"`
	Stale bool      `json:"stale"`
}

// OfferQuery filters and sorts a list of offers. Zero values filter nothing.
type OfferQuery struct {
	Paging
	// Search has words that must each occur in the GPU type, provider, region or interconnect; at
	// most 200 characters.
	Search string `query:"search"`
	// Provider and Region are slugs.
	Provider string `query:"provider"`
	Region   string `query:"region"`
	// GPUType is the full name, such as NVIDIA B200.
	GPUType string `query:"gpuType"`
	// InstanceType is the type of machine.
	InstanceType InstanceType `query:"instanceType"`
	// GPUCount is the exact number of GPUs, MinGPUCount the minimum.
	GPUCount    int `query:"gpuCount"`
	MinGPUCount int `query:"minGpuCount"`
	// MaxHourlyPrice is the maximum price of the machine; nil means no limit.
	MaxHourlyPrice *Money `query:"maxHourlyPrice"`
	// Available selects available or sold-out offers; nil means both.
	Available *bool `query:"available"`
	// Sort has one or more of price, pricePerGpu, gpuCount, gpuMemoryGb, name, provider and region,
	// separated by commas, each prefixed with a hyphen for descending; "" means price.
	Sort string `query:"sort"`
}

// PricePoint is the price and availability of an offer until the next point.
type PricePoint struct {
	// At is the start of the period.
	At time.Time `json:"at"`
	// HourlyPrice is the price of the machine, Available whether it could be deployed.
	HourlyPrice Money `json:"hourlyPrice"`
	Available   bool  `json:"available"`
	// Stock is nil if the provider does not report it.
	Stock *int `json:"stock"`
}

// PriceHistory is the price and availability of an offer over time.
type PriceHistory struct {
	// OfferID is the offer.
	OfferID string `json:"offerId"`
	// From is inclusive, To exclusive.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Points are oldest first, beginning with the state at From.
	Points []PricePoint `json:"points"`
}

// PriceHistoryQuery is a time interval.
type PriceHistoryQuery struct {
	// From is the start; zero means 30 days ago. Points are kept for 90 days. To is the end; zero
	// means now.
	From time.Time `query:"from"`
	To   time.Time `query:"to"`
}

// CheckOffers are the requirements of a capacity check. Zero values require nothing.
type CheckOffers struct {
	// Count is the number of machines, 1 to 10,000; 0 means 1.
	Count int `json:"count,omitempty"`
	// GPUType is a name such as NVIDIA B200, GPUCount the number of GPUs per machine.
	GPUType  string `json:"gpuType,omitempty"`
	GPUCount int    `json:"gpuCount,omitempty"`
	// InstanceType is the type of machine.
	InstanceType InstanceType `json:"instanceType,omitempty"`
	// MaxHourlyPrice is the maximum price per machine; nil means no limit.
	MaxHourlyPrice *Money `json:"maxHourlyPrice,omitempty"`
	// Provider is a slug; Regions are the slugs of up to 100 acceptable regions.
	Provider string   `json:"provider,omitempty"`
	Regions  []string `json:"regions,omitempty"`
}

// Share is a number of machines of one offer.
type Share struct {
	// Offer is the offer, Count the number of machines.
	Offer Offer `json:"offer"`
	Count int   `json:"count"`
}

// Capacity is the result of a capacity check.
type Capacity struct {
	// Count is the requested number of machines, Found the available number, up to Count; Enough
	// reports whether Found equals Count.
	Count  int  `json:"count"`
	Found  int  `json:"found"`
	Enough bool `json:"enough"`
	// Certain is false if a provider does not report its stock: then each of its offers counts as
	// one machine.
	Certain bool `json:"certain"`
	// Offers are the found machines, cheapest first.
	Offers []Share `json:"offers"`
	// TotalHourlyPrice is the total price of the found machines.
	TotalHourlyPrice Money `json:"totalHourlyPrice"`
	// AsOf is when the oldest of these offers was confirmed; nil if there are none.
	AsOf *time.Time `json:"asOf"`
	// Shortfalls are what each requested region lacks, or each region if none was requested, if
	// capacity is insufficient.
	Shortfalls []Shortfall `json:"shortfalls"`
}

// Shortfall is why a region has too few machines.
type Shortfall struct {
	// Region is a slug, Found the available number of machines.
	Region string `json:"region"`
	Found  int    `json:"found"`
	// Reason is the cause.
	Reason ShortfallReason `json:"reason"`
	// LowestHourlyPrice is that of the cheapest matching available offer; nil if there is none.
	LowestHourlyPrice *Money `json:"lowestHourlyPrice"`
}

// ShortfallReason is the cause of a Shortfall.
type ShortfallReason string

const (
	// ShortfallNoOffer means that no offer matches.
	ShortfallNoOffer ShortfallReason = "no_offer"
	// ShortfallSoldOut means that all matching offers are sold out.
	ShortfallSoldOut ShortfallReason = "sold_out"
	// ShortfallTooExpensive means that all available offers exceed the maximum price.
	ShortfallTooExpensive ShortfallReason = "too_expensive"
	// ShortfallTooFew means that there are too few machines.
	ShortfallTooFew ShortfallReason = "too_few"
)

// OfferService finds offers. Its calls need the scope offers:read.
type OfferService struct{ c *Client }

// List returns one page of offers.
func (s *OfferService) List(ctx context.Context, q OfferQuery, options ...CallOption) (*Page[Offer], error) {
	return list[Offer](ctx, s.c, request{path: "/offers", query: queryOf(q)}, options)
}

// All iterates over the offers of all pages.
func (s *OfferService) All(ctx context.Context, q OfferQuery, options ...CallOption) iter.Seq2[Offer, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Offer], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(o Offer) string { return o.ID })
}

// Get returns an offer. The error is ErrNotFound if there is none.
func (s *OfferService) Get(ctx context.Context, id string, options ...CallOption) (*Offer, error) {
	return one[Offer](ctx, s.c, request{method: http.MethodGet, path: "/offers/" + id, id: id, field: "path.offerId"},
		options)
}

// Check checks whether enough machines are available and returns the cheapest. Nothing is reserved.
// It counts as a write.
func (s *OfferService) Check(ctx context.Context, in CheckOffers, options ...CallOption) (*Capacity, error) {
	return one[Capacity](ctx, s.c, request{method: http.MethodPost, path: "/offers/check", body: in}, options)
}

// PriceHistory returns an offer's price history. It has list prices, even if the account has custom
// prices.
func (s *OfferService) PriceHistory(
	ctx context.Context,
	id string,
	q PriceHistoryQuery,
	options ...CallOption,
) (*PriceHistory, error) {
	return one[PriceHistory](
		ctx,
		s.c,
		request{
			method: http.MethodGet,
			path:   "/offers/" + id + "/price-history",
			query:  queryOf(q),
			id:     id,
			field:  "path.offerId",
		},
		options,
	)
}
