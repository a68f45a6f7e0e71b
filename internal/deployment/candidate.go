package deployment

import (
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// MaxCandidates is how many offers one request may name.
const MaxCandidates = 10

// Candidate is an acceptable offer of a request.
type Candidate struct {
	OfferID         id.ID   `json:"offerId" minLength:"1" maxLength:"40" doc:"Id of an acceptable offer."`
	OperatingSystem *string `json:"operatingSystem,omitempty" maxLength:"100" doc:"Operating system for this offer, if it differs from the request's."`
}

// Attempt is an offer that failed, or was passed over, before the deployment's present offer.
type Attempt struct {
	OfferID     id.ID        `json:"offerId" doc:"Id of the offer."`
	Provider    string       `json:"provider" doc:"Slug of its provider."`
	Region      string       `json:"region" doc:"Slug of its region."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"Price of the offer in US dollars per hour."`
	// Cause is a cause of a failed deployment; for an offer that was passed over, no_capacity,
	// not_checked or too_expensive.
	Cause   Cause     `json:"cause" doc:"no_capacity, rejected, timed_out, lost, unhealthy or not_checked; too_expensive if the price was above maxHourlyPrice."`
	Reason  string    `json:"reason" doc:"The cause in words."`
	EndedAt time.Time `json:"endedAt" doc:"When the attempt ended."`
}

// causeTooExpensive is the cause of an attempt only: the offer was never launched.
const causeTooExpensive Cause = "too_expensive"

// plan is what was agreed about one offer when the deployment was created.
type plan struct {
	OfferID         id.ID                 `json:"offerId"`
	OfferKey        string                `json:"offerKey"`
	Provider        string                `json:"provider"`
	GPUType         string                `json:"gpuType"`
	GPUCount        int                   `json:"gpuCount"`
	Region          string                `json:"region"`
	OperatingSystem string                `json:"operatingSystem"`
	InstanceType    provider.InstanceType `json:"instanceType"`
	Capabilities    provider.Capabilities `json:"capabilities"`
	HourlyPrice     money.Micros          `json:"hourlyPrice"`
	CostPrice       money.Micros          `json:"costPrice"`
	MinimumMinutes  int                   `json:"minimumMinutes"`
	GPUMemoryGB     int                   `json:"gpuMemoryGb,omitempty"`
	Interconnect    string                `json:"interconnect,omitempty"`
	HealthPolicy    health.Policy         `json:"healthPolicy,omitempty"`
	// LaunchSeconds is the offer's own limit; 0 if the provider's applies.
	LaunchSeconds int64 `json:"launchSeconds,omitempty"`
}

// launchLimit returns how long a launch of the offer may take.
func (p plan) launchLimit(at provider.Provider) time.Duration {
	limit := at.Info().LaunchLimit
	if own := time.Duration(p.LaunchSeconds) * time.Second; own > 0 {
		limit = min(limit, own)
	}
	return limit
}

// plan returns what is agreed about an offer that a request accepts.
func (o acceptedOffer) plan() plan {
	p := plan{
		OfferID: o.offer.ID, OfferKey: o.offer.Key, Provider: o.offer.Provider, Region: o.offer.Region,
		GPUType: o.offer.GPUType, GPUCount: o.offer.GPUCount, OperatingSystem: o.operatingSystem,
		InstanceType: o.offer.InstanceType, Capabilities: o.offer.Capabilities,
		HourlyPrice: o.price, CostPrice: o.offer.CostPrice,
		MinimumMinutes: o.offer.MinimumRuntimeMinutes, LaunchSeconds: int64(o.offer.LaunchLimit / time.Second),
		GPUMemoryGB: o.offer.GPUMemoryGB, HealthPolicy: o.offer.HealthPolicy,
	}
	if o.offer.Interconnect != nil {
		p.Interconnect = *o.offer.Interconnect
	}
	return p
}

// setOffer makes the plan what the deployment is about.
func (r *row) setOffer(p plan) {
	r.offerID, r.offerKey, r.provider, r.region = p.OfferID, p.OfferKey, p.Provider, p.Region
	r.gpuType, r.gpuCount, r.operatingSystem = p.GPUType, p.GPUCount, p.OperatingSystem
	r.instanceType, r.capabilities = p.InstanceType, p.Capabilities
	r.hourlyPrice, r.costPrice = p.HourlyPrice, p.CostPrice
	r.minimumRuntime = time.Duration(p.MinimumMinutes) * time.Minute
	r.gpuMemory, r.interconnect, r.healthPolicy = p.GPUMemoryGB, p.Interconnect, p.HealthPolicy
}

// refusal returns why a deployment of the offer cannot be created now, as a cause and an error.
func (o acceptedOffer) refusal(maxPrice *money.Micros) (Cause, *apierr.Error) {
	switch {
	case !o.offer.Available:
		return CauseNoCapacity, soldOut(o.offer)
	case maxPrice != nil && o.price > *maxPrice:
		e := apierr.New(apierr.Conflict, "Offer %s now costs %s/hr, which is above the maxHourlyPrice of %s/hr.",
			o.offer.ID, o.price, *maxPrice)
		e.Details = map[string]any{"hourlyPrice": o.price, "maxHourlyPrice": *maxPrice}
		return causeTooExpensive, e
	case o.offer.HealthPolicy == health.Require && o.offer.Capabilities.SingleKey:
		return CauseNotChecked, apierr.New(apierr.Conflict,
			"The GPUs of offer %s must pass a check before it runs, but its machines take one SSH key only, so "+
				"Billet can't check them. Choose another offer.", o.offer.ID)
	}
	return "", nil
}

func soldOut(o catalog.Offer) *apierr.Error {
	return apierr.New(apierr.OfferUnavailable,
		"Offer %s is sold out. Choose another offer from GET /offers?available=true.", o.ID)
}

// choose splits the accepted offers into those to try, in order, and those that are not available
// now. If none is left, it returns the error of the request's one offer, or OFFER_UNAVAILABLE with
// every offer's reason.
func choose(
	offers []acceptedOffer, maxPrice *money.Micros, now time.Time,
) (plans []plan, passed []Attempt, err error) {
	for _, o := range offers {
		cause, refused := o.refusal(maxPrice)
		if refused == nil {
			plans = append(plans, o.plan())
			continue
		}
		if err == nil {
			err = refused
		}
		passed = append(passed, Attempt{
			OfferID: o.offer.ID, Provider: o.offer.Provider, Region: o.offer.Region, HourlyPrice: o.price,
			Cause: cause, Reason: refused.Message, EndedAt: now,
		})
	}
	switch {
	case len(plans) > 0:
		return plans, passed, nil
	case len(passed) > 1:
		e := apierr.New(
			apierr.OfferUnavailable,
			"None of the %d candidates is available under these conditions. See details.attempts for the reasons.",
			len(passed),
		)
		e.Details = map[string]any{"attempts": passed}
		return nil, nil, e
	}
	return nil, nil, err
}
