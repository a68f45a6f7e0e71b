package catalog

import (
	"time"

	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// MinimumRuntime is the minimum runtime of a deployment, unless its provider requires more.
const MinimumRuntime = 25 * time.Minute

// Offer is something for sale in one region, at its current price. Its slices and pointers are
// shared: read only.
type Offer struct {
	ID           id.ID                 `json:"id" doc:"Offer ID, off_…; pass it as offerId to deploy."`
	OfferID      id.ID                 `json:"offerId" doc:"Same as id, under the name that deploy uses."`
	Provider     string                `json:"provider" doc:"Provider slug."`
	GPUType      string                `json:"gpuType" doc:"GPU type, such as NVIDIA B200."`
	GPUCount     int                   `json:"gpuCount" doc:"Number of GPUs in the machine."`
	GPUMemoryGB  int                   `json:"gpuMemoryGb" doc:"Memory of one GPU in decimal GB."`
	VCPUs        int                   `json:"vcpus" doc:"Virtual or physical CPU cores."`
	MemoryGB     int                   `json:"memoryGb" doc:"Main memory in decimal GB."`
	StorageGB    int                   `json:"storageGb" doc:"Local storage in decimal GB, which is deleted with the machine."`
	Interconnect *string               `json:"interconnect" doc:"Interconnect of the GPUs or machines; null if the provider does not publish it."`
	InstanceType provider.InstanceType `json:"instanceType" doc:"Instance type: a bare-metal machine, a virtual machine, a spot machine that can be reclaimed, or a cluster."`
	Region       string                `json:"region" doc:"Region slug."`
	RegionName   string                `json:"regionName" doc:"Display name of the region."`
	Country      *string               `json:"country" doc:"ISO 3166-1 alpha-2 code."`

	OperatingSystems []string `json:"operatingSystems" doc:"Operating systems that can be deployed."`
	// HourlyPricePerGPU is for comparison, never for charging.
	HourlyPrice       money.Micros `json:"hourlyPrice" doc:"Current price of the whole offer in US dollars an hour. A deploy locks it."`
	HourlyPricePerGPU money.Micros `json:"hourlyPricePerGpu" doc:"Price per GPU in US dollars an hour, rounded half-up to six decimals; for comparison only."`
	Available         bool         `json:"available" doc:"Whether the offer is available now."`
	Stock             *int         `json:"stock" doc:"Number available now; null if the provider does not publish it."`

	MinimumRuntimeMinutes int                   `json:"minimumRuntimeMinutes" doc:"Minimum runtime of a deployment in minutes before it can be terminated."`
	Capabilities          provider.Capabilities `json:"capabilities" doc:"Features that the provider supports for the machine."`
	TrustedTenantsOnly    bool                  `json:"trustedTenantsOnly" doc:"Whether it is offered only to accounts that the operator trusts. Such a machine has a key of the operator's, by which it is taken back, and no power control."`
	// HealthPolicy is the operator's.
	HealthPolicy health.Policy `json:"healthPolicy" doc:"Check of the GPUs before a deployment runs. off: none. report: the verdict is shown. require: a deployment runs, and costs, only after its GPUs passed. An offer with capabilities.singleKey cannot be checked."`
	AsOf         time.Time     `json:"asOf" doc:"Time when the provider last confirmed the offer."`
	// Stale is true from the first failed request to the provider until the next answer.
	Stale            bool        `json:"stale" doc:"Whether the provider did not answer the last request, so that the offer may be outdated since asOf."`
	LastNoCapacityAt *time.Time  `json:"lastNoCapacityAt" doc:"Time of the last deploy in the last 24 hours that failed because the provider had no capacity, whatever its stock; null if there is none."`
	Reliability      Reliability `json:"reliability" doc:"Statistics of the deployments of all accounts in the last 30 days."`

	// Key is the provider's own name of the offer.
	Key string `json:"-"`
	// CostPrice is the provider's price, before price rules and markups.
	CostPrice money.Micros `json:"-"`
	// LaunchLimit is the maximum duration of a launch if it is shorter than the provider's own;
	// else 0.
	LaunchLimit time.Duration `json:"-"`
}

// PricePoint is an offer's price and availability from At until the next point.
type PricePoint struct {
	At          time.Time    `json:"at" doc:"Time from which the point holds."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"Price of the whole offer in US dollars an hour."`
	Available   bool         `json:"available" doc:"Whether the offer was available."`
	Stock       *int         `json:"stock" doc:"Number available; null if the provider does not publish it."`

	cost money.Micros // what the provider asked
}

// VolumePrice is the price and the sizes of volumes in a region.
type VolumePrice struct {
	Provider   string `json:"provider" doc:"Provider slug."`
	Region     string `json:"region" doc:"Region slug."`
	RegionName string `json:"regionName" doc:"Display name of the region."`
	// PerGBHour is the price of a decimal GB for an hour.
	PerGBHour money.Micros `json:"hourlyPricePerGb" doc:"Price of one decimal GB in US dollars an hour."`
	MinSizeGB int64        `json:"minSizeGb" doc:"Minimum size in decimal GB."`
	MaxSizeGB int64        `json:"maxSizeGb" doc:"Maximum size in decimal GB."`

	// CostPrice is the provider's price per GB and hour, before the markup.
	CostPrice money.Micros `json:"-"`
}

// Status is the status of a provider.
type Status string

// The statuses of a provider.
const (
	StatusUp       Status = "up"       // it answered the last request
	StatusDegraded Status = "degraded" // it did not answer the last request, but recently
	StatusDown     Status = "down"     // no answer for 3 × SyncEvery, or ever
)

// Enum lists every status.
func (Status) Enum() []Status { return []Status{StatusUp, StatusDegraded, StatusDown} }

// Health is a provider's health, for the operator.
type Health struct {
	Provider string
	Status   Status
	// LastSuccessAt and LastFailureAt are nil if there was none.
	LastSuccessAt, LastFailureAt *time.Time
	// FailingSince is the time of the first request after LastSuccessAt that failed; nil if the
	// last one succeeded.
	FailingSince *time.Time
	// LastError is the error at LastFailureAt. It is not for tenants.
	LastError string
	// Failures is the number of consecutive failures.
	Failures int64
}

func (h Health) equal(o Health) bool {
	return h.Provider == o.Provider && h.Status == o.Status && h.LastError == o.LastError &&
		sameTime(h.LastSuccessAt, o.LastSuccessAt) && sameTime(h.LastFailureAt, o.LastFailureAt) &&
		sameTime(h.FailingSince, o.FailingSince)
}

func sameTime(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

// perGPU divides half-up. checkOffer bounds the price, so it cannot overflow.
func perGPU(price money.Micros, gpus int) money.Micros {
	n := money.Micros(gpus)
	return (2*price + n) / (2 * n)
}
