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
	ID           id.ID                 `json:"id" doc:"Id of the offer, off_…; what offerId in a deploy names."`
	OfferID      id.ID                 `json:"offerId" doc:"The same as id, by the name that a deploy has for it."`
	Provider     string                `json:"provider" doc:"Slug of the provider."`
	GPUType      string                `json:"gpuType" doc:"GPU type, such as NVIDIA B200."`
	GPUCount     int                   `json:"gpuCount" doc:"GPUs in the machine."`
	GPUMemoryGB  int                   `json:"gpuMemoryGb" doc:"Memory of one GPU, in decimal GB."` // of one GPU
	VCPUs        int                   `json:"vcpus" doc:"Virtual or physical CPU cores."`
	MemoryGB     int                   `json:"memoryGb" doc:"Main memory, in decimal GB."`
	StorageGB    int                   `json:"storageGb" doc:"Storage inside the machine, in decimal GB; it ends with the machine."`
	Interconnect *string               `json:"interconnect" doc:"What joins the GPUs or machines; null where the provider does not say."`
	InstanceType provider.InstanceType `json:"instanceType" doc:"A whole machine, a virtual one, one that may be taken back, or several."`
	Region       string                `json:"region" doc:"Slug of the region."`
	RegionName   string                `json:"regionName" doc:"The region in words."`
	// Country is an ISO 3166-1 alpha-2 code.
	Country          *string  `json:"country" doc:"ISO 3166-1 alpha-2 code."`
	OperatingSystems []string `json:"operatingSystems" doc:"What can be installed; a deploy names one of them."`
	// HourlyPrice is what a tenant pays for the whole offer, HourlyPricePerGPU that divided by
	// GPUCount, rounded half-up to the micro-dollar: for comparing, never for charging.
	HourlyPrice       money.Micros `json:"hourlyPrice" doc:"US dollars an hour for the whole offer, before it is agreed by a deploy."`
	HourlyPricePerGPU money.Micros `json:"hourlyPricePerGpu" doc:"US dollars an hour by GPU, rounded half-up to six decimals: for comparing, never charged."`
	Available         bool         `json:"available" doc:"Whether it can be had now."`
	// Stock is how many can be had now; nil where the provider does not say.
	Stock                 *int                  `json:"stock" doc:"How many can be had now; null where the provider does not say."`
	MinimumRuntimeMinutes int                   `json:"minimumRuntimeMinutes" doc:"For how many minutes a deployment must run before it can be terminated."`
	Capabilities          provider.Capabilities `json:"capabilities" doc:"What the provider can do with the machine."`
	// AsOf is when the provider last confirmed the offer.
	AsOf time.Time `json:"asOf" doc:"When the provider last confirmed all this."`
	// Stale is true from the first question that the provider did not answer until it answers one.
	Stale bool `json:"stale" doc:"true while the provider did not answer when it was last asked: all this was true at asOf and may not be now."`
	// LastNoCapacityAt is nil where no launch of the last 24 hours lacked capacity.
	LastNoCapacityAt *time.Time  `json:"lastNoCapacityAt" doc:"When a deploy of it last failed since the provider had none left, whatever it said of its stock; null where none did in the last 24 hours."`
	Reliability      Reliability `json:"reliability" doc:"How deployments of the last 30 days went, those of all accounts together."`

	// Key is the provider's own name for the offer.
	Key string `json:"-"`
	// CostPrice is what the provider asks, before the markup.
	CostPrice money.Micros `json:"-"`
	// LaunchLimit is how long a launch may take, where that is shorter than the provider's own; else 0.
	LaunchLimit time.Duration `json:"-"`
}

// PricePoint is what an offer cost, and whether it was to be had, from At until the next point.
type PricePoint struct {
	At          time.Time    `json:"at" doc:"From when it held."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars an hour for the whole offer."`
	Available   bool         `json:"available" doc:"Whether it was to be had."`
	Stock       *int         `json:"stock" doc:"How many were to be had; null where the provider does not say."`
}

// VolumePrice is where volumes can be had, what they cost a tenant, and within what sizes.
type VolumePrice struct {
	Provider   string `json:"provider" doc:"Slug of the provider."`
	Region     string `json:"region" doc:"Slug of the region."`
	RegionName string `json:"regionName" doc:"The region in words."`
	// PerGBHour is the price of a decimal GB for an hour.
	PerGBHour money.Micros `json:"hourlyPricePerGb" doc:"US dollars an hour for one decimal GB."`
	MinSizeGB int64        `json:"minSizeGb" doc:"The smallest volume, in decimal GB."`
	MaxSizeGB int64        `json:"maxSizeGb" doc:"The largest volume, in decimal GB."`

	// CostPrice is what the provider asks per GB and hour, before the markup.
	CostPrice money.Micros `json:"-"`
}

// Status is how a provider answers.
type Status string

// The statuses of a provider.
const (
	StatusUp       Status = "up"       // its last answer came
	StatusDegraded Status = "degraded" // its last answer did not come, the one before is not old yet
	StatusDown     Status = "down"     // asked in vain for 3 × SyncEvery, or no answer ever
)

// Health is how a provider has answered, for the operator.
type Health struct {
	Provider string
	Status   Status
	// LastSuccessAt and LastFailureAt are nil where there was none.
	LastSuccessAt, LastFailureAt *time.Time
	// FailingSince is when the first question was put that got no answer after LastSuccessAt; nil while the last one did.
	FailingSince *time.Time
	// LastError is what happened at LastFailureAt. It is not for tenants.
	LastError string
	// Failures is how often in a row it did not answer.
	Failures int64
}

func (h Health) equal(o Health) bool {
	return h.Provider == o.Provider && h.Status == o.Status && h.LastError == o.LastError && sameTime(h.LastSuccessAt, o.LastSuccessAt) &&
		sameTime(h.LastFailureAt, o.LastFailureAt) && sameTime(h.FailingSince, o.FailingSince)
}

func sameTime(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

// perGPU divides half-up. The check of offers bounds the price, so it cannot overflow.
func perGPU(price money.Micros, gpus int) money.Micros {
	n := money.Micros(gpus)
	return (2*price + n) / (2 * n)
}
