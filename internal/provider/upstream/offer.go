package upstream

import (
	"context"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// The bounds of what an adapter believes of an offer. The catalog refuses more.
const (
	MaxCount   = 1_000_000
	MaxGB      = 1_000_000_000
	MaxPrice   = 1_000_000 * money.USD
	MaxSystems = 64
)

// Offers returns the offers of a list that is at most that old; 0 fetches it now. The result is the
// caller's to change.
func Offers(ctx context.Context, list *List[provider.Offer], age time.Duration) ([]provider.Offer, error) {
	all, err := list.Recent(ctx, age)
	if err != nil {
		return nil, err
	}
	all = slices.Clone(all)
	for i := range all {
		all[i].OperatingSystems = slices.Clone(all[i].OperatingSystems)
		if all[i].Stock != nil {
			all[i].Stock = new(*all[i].Stock)
		}
	}
	return all, nil
}

// FindOffer returns the offer with that key in that region, from a list that is at most that old;
// KindNotFound where there is none.
func FindOffer(
	ctx context.Context, list *List[provider.Offer], age time.Duration, region, key string,
) (provider.Offer, error) {
	all, err := list.Recent(ctx, age)
	if err != nil {
		return provider.Offer{}, err
	}
	for _, o := range all {
		if o.Region == region && o.Key == key {
			return o, nil
		}
	}
	return provider.Offer{}, NotFound("there is no offer %.80q in %.80q", key, region)
}

// Sellable reports whether an offer, still without its region, can be sold: its texts are plain,
// its price is known, and its numbers are plausible.
func Sellable(o provider.Offer) bool {
	sizes := []int{o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB}
	return IsPlain(o.GPUType) && o.GPUCount > 0 && o.GPUCount <= MaxCount &&
		slices.Min(sizes) >= 0 && slices.Max(sizes) <= MaxGB &&
		o.HourlyPrice > 0 && o.HourlyPrice <= MaxPrice && len(o.OperatingSystems) > 0
}

// OperatingSystems returns those names that are plain, each once, as many as the catalog takes.
func OperatingSystems(names []string) (out []string) {
	for _, name := range names {
		if IsPlain(name) && !slices.Contains(out, name) && len(out) < MaxSystems {
			out = append(out, name)
		}
	}
	return out
}
