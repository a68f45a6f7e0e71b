package upstream

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

// Offers answers as provider.Provider's, from a list that is at most so old: asked for now where age is 0. What it returns is the caller's.
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

// Sold returns the offers without those of excluded regions.
func (a Account) Sold(offers []provider.Offer) []provider.Offer {
	return slices.DeleteFunc(offers, func(o provider.Offer) bool {
		return slices.ContainsFunc(a.Exclude, func(pattern string) bool {
			if prefix, some := strings.CutSuffix(pattern, "*"); some {
				return strings.HasPrefix(o.Region, prefix)
			}
			return o.Region == pattern
		})
	})
}
