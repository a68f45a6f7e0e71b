package provider

import (
	"context"
)

// Call names what a provider is asked for, for metrics and traces.
type Call string

// The calls that are observed.
const (
	CallOffers       Call = "offers"
	CallLaunch       Call = "launch"
	CallMachine      Call = "machine"
	CallMachines     Call = "machines"
	CallTerminate    Call = "terminate"
	CallAction       Call = "action" // a reboot, power, a reinstallation
	CallVolumePrices Call = "volume_prices"
	CallVolume       Call = "volume"
	CallVolumes      Call = "volumes"
	CallChangeVolume Call = "change_volume" // create, grow, attach, detach or delete
	CallForgetKey    Call = "forget_key"
)

// Calls lists every call.
var Calls = []Call{
	CallOffers, CallLaunch, CallMachine, CallMachines, CallTerminate, CallAction, CallVolumePrices, CallVolume,
	CallVolumes, CallChangeVolume, CallForgetKey,
}

// Kinds lists every kind of error.
var Kinds = []Kind{
	KindNoCapacity, KindNotFound, KindRejected, KindUnsupported, KindThrottled, KindCredentials, KindQuota,
	KindUnavailable,
}

// Observer is told of a call when it begins. It returns the context to call with, and what is to be
// called with the call's error when it ends.
type Observer func(ctx context.Context, slug string, call Call) (context.Context, func(err error))

type observerKey struct{}

// WithObserver returns a context whose calls o is told of.
func WithObserver(ctx context.Context, o Observer) context.Context {
	return context.WithValue(ctx, observerKey{}, o)
}

// Begin tells the context's observer, if there is one, that p is called now. The caller calls p
// with the context, and then done with the error.
func Begin(ctx context.Context, p Provider, call Call) (within context.Context, done func(err error)) {
	o, observed := ctx.Value(observerKey{}).(Observer)
	if !observed {
		return ctx, func(error) {}
	}
	return o(ctx, p.Info().Slug, call)
}
