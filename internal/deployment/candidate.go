package deployment

import (
	"cmp"
	"context"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

// MaxCandidates is how many offers one request may name.
const MaxCandidates = 10

// Candidate is an offer that would do, in the order of the request.
type Candidate struct {
	OfferID         id.ID   `json:"offerId" minLength:"1" maxLength:"40" doc:"An offer that would do."`
	OperatingSystem *string `json:"operatingSystem,omitempty" maxLength:"100" doc:"One of this offer's, where it is another than the request's."`
}

// Attempt is an offer that was tried, or passed over, before the one that the deployment has now.
type Attempt struct {
	OfferID     id.ID        `json:"offerId" doc:"The offer."`
	Provider    string       `json:"provider" doc:"Slug of its provider."`
	Region      string       `json:"region" doc:"Slug of its region."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars an hour that it would have cost."`
	// Cause is one of those of a failed deployment; for an offer that was passed over it is no_capacity or too_expensive.
	Cause   Cause     `json:"cause" doc:"no_capacity, rejected, timed_out or lost; too_expensive where it was above maxHourlyPrice."`
	Reason  string    `json:"reason" doc:"The same in words."`
	EndedAt time.Time `json:"endedAt" doc:"When it was given up."`
}

// causeTooExpensive is no cause of a status: the offer was never asked for.
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
	// LaunchSeconds is the offer's own limit; 0 where the provider's counts.
	LaunchSeconds int64 `json:"launchSeconds,omitempty"`
}

// launchLimit is how long a launch of the offer may take.
func (p plan) launchLimit(at provider.Provider) time.Duration {
	limit := at.Info().LaunchLimit
	if own := time.Duration(p.LaunchSeconds) * time.Second; own > 0 {
		limit = min(limit, own)
	}
	return limit
}

func planOf(o catalog.Offer, system string, price money.Micros) plan {
	return plan{
		OfferID: o.ID, OfferKey: o.Key, Provider: o.Provider, GPUType: o.GPUType, GPUCount: o.GPUCount, Region: o.Region, OperatingSystem: system, InstanceType: o.InstanceType,
		Capabilities: o.Capabilities, HourlyPrice: price, CostPrice: o.CostPrice, MinimumMinutes: o.MinimumRuntimeMinutes,
		LaunchSeconds: int64(o.LaunchLimit / time.Second),
	}
}

// take makes the plan what the deployment is about.
func (r *row) take(p plan) {
	r.OfferID, r.offerKey, r.Provider, r.GPUType, r.GPUCount, r.Region, r.OperatingSystem = p.OfferID, p.OfferKey, p.Provider, p.GPUType, p.GPUCount, p.Region, p.OperatingSystem
	r.InstanceType, r.Capabilities, r.HourlyPrice, r.costPrice, r.minimumRuntime = p.InstanceType, p.Capabilities, p.HourlyPrice, p.CostPrice, time.Duration(p.MinimumMinutes)*time.Minute
}

// choose parts the wanted offers into those to try, in their order, and those that cannot be had now. Where nothing is left it answers what the
// request's one offer would have been answered, or OFFER_UNAVAILABLE with every offer's reason.
func choose(c checked, most *money.Micros, now time.Time) (plans []plan, passed []Attempt, err error) {
	for _, w := range c.wanted {
		a := Attempt{OfferID: w.offer.ID, Provider: w.offer.Provider, Region: w.offer.Region, HourlyPrice: w.price, EndedAt: now}
		switch {
		case !w.offer.Available:
			a.Cause = CauseNoCapacity
			e := apierr.New(apierr.OfferUnavailable, "Offer %s is sold out at the moment; choose another from GET /offers?available=true.", w.offer.ID)
			a.Reason, err = e.Message, cmp.Or[error](err, e)
		case most != nil && w.price > *most:
			a.Cause = causeTooExpensive
			e := apierr.New(apierr.Conflict, "Offer %s costs %s/h now, which is above the maxHourlyPrice of %s/h.", w.offer.ID, w.price, *most)
			e.Details = map[string]any{"hourlyPrice": w.price, "maxHourlyPrice": *most}
			a.Reason, err = e.Message, cmp.Or[error](err, e)
		default:
			plans = append(plans, planOf(w.offer, w.os, w.price))
			continue
		}
		passed = append(passed, a)
	}
	switch {
	case len(plans) > 0:
		return plans, passed, nil
	case len(passed) > 1:
		e := apierr.New(apierr.OfferUnavailable, "None of the %d candidates can be had now under these conditions; details.attempts says why of each.", len(passed))
		e.Details = map[string]any{"attempts": passed}
		return nil, nil, e
	}
	return nil, nil, err
}

// givenUp is the attempt that the deployment's present offer came to; nil while there is hope for it.
func (r *row) givenUp() *Attempt {
	if n := len(r.Attempts); n > 0 && r.Attempts[n-1].OfferID == r.OfferID {
		return &r.Attempts[n-1]
	}
	return nil
}

// giveUp ends what the offer came to: the deployment goes on to the next candidate, or has failed. Only one machine is ever asked for: that the offer
// is given up is written down first, and before another provider is asked, this one has confirmed that it has none, or has said that it made none.
func (s *Service) giveUp(ctx context.Context, p provider.Provider, x row, cause Cause, reason string) (job.Outcome, error) {
	if len(x.plans) == 0 {
		return s.fail(ctx, x, cause, reason)
	}
	now := s.c.Clock.Now()
	if x.givenUp() == nil {
		return job.At(now), s.replan(ctx, x, func(tx *db.Tx, x *row) map[string]any {
			a := Attempt{OfferID: x.OfferID, Provider: x.Provider, Region: x.Region, HourlyPrice: x.HourlyPrice, Cause: cause, Reason: reason, EndedAt: tx.Now.Truncate(time.Second)}
			x.Attempts = append(x.Attempts[:len(x.Attempts):len(x.Attempts)], a)
			return map[string]any{"offerId": x.OfferID, "provider": x.Provider, "cause": cause, "reason": reason, "nextOfferId": x.plans[0].OfferID}
		})
	}
	next, known := s.c.Providers.Get(x.plans[0].Provider)
	if !known {
		return s.fail(ctx, x, cause, reason)
	}
	if x.machineID != "" || x.launchAsked != nil || cause == CauseTimedOut || cause == CauseLost {
		gone, again, err := s.remove(ctx, p, x)
		if err != nil || (!gone && now.After(x.launchBy.Add(p.Info().LaunchLimit))) {
			return s.fail(ctx, x, cause, reason) // which goes on asking for its end for ever
		}
		if !gone {
			return again, nil
		}
		if x.launchOpen != nil && s.underWay(*x.launchOpen) > 0 { // it may make another machine, after this one's end
			return job.At(x.launchOpen.Add(askLimit)), nil
		}
	}
	return job.At(now), s.replan(ctx, x, func(tx *db.Tx, x *row) map[string]any {
		now := tx.Now.Truncate(time.Second)
		x.take(x.plans[0])
		x.launchBy = now.Add(x.plans[0].launchLimit(next))
		x.plans, x.machineID, x.launchAsked, x.launchOpen = x.plans[1:], "", nil, nil
		x.Steps = step.Begin(step.New(now), step.Launching, "", now)
		return nil
	})
}

// replan changes which offer a deployment is about, unless somebody else was first, and tells what failed.
func (s *Service) replan(ctx context.Context, x row, change func(tx *db.Tx, x *row) map[string]any) error {
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		fresh, found, err := findAny(ctx, tx, x.ID)
		if err != nil {
			return err
		}
		if !found || fresh.Status != StatusDeploying || fresh.OfferID != x.OfferID || len(fresh.Attempts) != len(x.Attempts) {
			return errMoved
		}
		if fresh.machineID != x.machineID || !same(fresh.launchAsked, x.launchAsked) { // another worker asks, or was told
			return errMoved
		}
		failed := change(tx, &fresh)
		if err := guarded(setPlan(ctx, tx, fresh, x.OfferID)); err != nil {
			return err
		}
		if failed == nil { // it has another machine from now on
			if err := forgetHostKey(ctx, tx, x.ID, true); err != nil {
				return err
			}
			return s.c.Volumes.AttachAnew(ctx, tx, x.ID)
		}
		if err := s.report(ctx, tx, &fresh, fresh.givenUp().Cause); err != nil {
			return err
		}
		return s.tell(ctx, tx, fresh, "attempt_failed", failed)
	})
}

func same(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }
