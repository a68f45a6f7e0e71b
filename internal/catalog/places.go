package catalog

import (
	"context"
	"slices"

	"github.com/billetcloud/billet/internal/db"
)

// Places returns every provider with its regions, sorted: those of this server, and those that the
// database knows, whose account may not be open here. Price rules hide none of them.
func (c *Catalog) Places(ctx context.Context, r db.Reader) (map[string][]string, error) {
	out := map[string][]string{}
	for _, f := range c.Default().Regions() {
		out[f.Provider] = append(out[f.Provider], f.Slug)
	}
	for slug := range c.infos() {
		out[slug] = append([]string{}, out[slug]...)
	}
	health, err := readHealth(ctx, r)
	if err != nil {
		return nil, err
	}
	for slug := range health {
		out[slug] = append([]string{}, out[slug]...)
	}
	all, err := readPlaces(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, at := range all {
		out[at.provider] = append(out[at.provider], at.region)
	}
	for slug, regions := range out {
		slices.Sort(regions)
		out[slug] = slices.Compact(regions)
	}
	return out, nil
}
