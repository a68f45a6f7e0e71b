package catalog

import (
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// MinimumRuntime is how long a deployment runs at least, unless its provider asks for more.
const MinimumRuntime = 25 * time.Minute

// Offer is what may be launched, in one region, at a price now. Its slices and pointers are shared: read only.
type Offer struct {
	ID           id.ID                 `json:"id"`
	Provider     string                `json:"provider"`
	GPUType      string                `json:"gpuType"`
	GPUCount     int                   `json:"gpuCount"`
	GPUMemoryGB  int                   `json:"gpuMemoryGb"` // of one GPU
	VCPUs        int                   `json:"vcpus"`
	MemoryGB     int                   `json:"memoryGb"`
	StorageGB    int                   `json:"storageGb"`
	Interconnect *string               `json:"interconnect"`
	InstanceType provider.InstanceType `json:"instanceType"`
	Region       string                `json:"region"`
	RegionName   string                `json:"regionName"`
	// Country is an ISO 3166-1 alpha-2 code.
	Country          *string  `json:"country"`
	OperatingSystems []string `json:"operatingSystems"`
	// HourlyPrice is what a tenant pays for the whole offer, HourlyPricePerGPU that divided by
	// GPUCount, rounded half-up to the micro-dollar: for comparing, never for charging.
	HourlyPrice       money.Micros `json:"hourlyPrice"`
	HourlyPricePerGPU money.Micros `json:"hourlyPricePerGpu"`
	Available         bool         `json:"available"`
	// Stock is how many can be had now; nil where the provider does not say.
	Stock                 *int               `json:"stock"`
	MinimumRuntimeMinutes int                `json:"minimumRuntimeMinutes"`
	Abilities             provider.Abilities `json:"abilities"`
	// AsOf is when the provider last confirmed the offer.
	AsOf time.Time `json:"asOf"`

	// Key is the provider's own name for the offer.
	Key string `json:"-"`
	// CostPrice is what the provider asks, before the markup.
	CostPrice money.Micros `json:"-"`
}

// PricePoint is what an offer cost, and whether it was to be had, from At until the next point.
type PricePoint struct {
	At          time.Time    `json:"at"`
	HourlyPrice money.Micros `json:"hourlyPrice"`
	Available   bool         `json:"available"`
	Stock       *int         `json:"stock"`
}

// VolumePrice is where volumes can be had, what they cost a tenant, and within what sizes.
type VolumePrice struct {
	Provider   string `json:"provider"`
	Region     string `json:"region"`
	RegionName string `json:"regionName"`
	// PerGBHour is the price of a decimal GB for an hour.
	PerGBHour money.Micros `json:"hourlyPricePerGb"`
	MinSizeGB int64        `json:"minSizeGb"`
	MaxSizeGB int64        `json:"maxSizeGb"`

	// CostPrice is what the provider asks per GB and hour, before the markup.
	CostPrice money.Micros `json:"-"`
}

// Status is how a provider answers.
type Status string

// The statuses of a provider.
const (
	StatusUp       Status = "up"       // its last answer came
	StatusDegraded Status = "degraded" // its last answer did not come, the one before is not old yet
	StatusDown     Status = "down"     // no answer for 3 × SyncEvery, or none ever
)

// Health is how a provider has answered, for the operator.
type Health struct {
	Provider string
	Status   Status
	// LastSuccessAt and LastFailureAt are nil where there was none.
	LastSuccessAt, LastFailureAt *time.Time
	// LastError is what happened at LastFailureAt. It is not for tenants.
	LastError string
}

// perGPU divides half-up. The check of offers bounds the price, so it cannot overflow.
func perGPU(price money.Micros, gpus int) money.Micros {
	n := money.Micros(gpus)
	return (2*price + n) / (2 * n)
}
