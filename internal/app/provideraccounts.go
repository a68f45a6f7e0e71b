package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/billet"
	"github.com/billetcloud/billet/internal/provider/lambda"
	"github.com/billetcloud/billet/internal/provider/latitude"
	"github.com/billetcloud/billet/internal/provider/shadeform"
	"github.com/billetcloud/billet/internal/provider/spheron"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/voltagepark"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/volume"
)

// kinds are the clouds that there are adapters for. An adapter becomes known to the server and to `billetd provider` here, and nowhere else.
func kinds() []provideraccount.Kind {
	return []provideraccount.Kind{
		{Word: "voltage-park", Name: "Voltage Park", Open: opened(voltagepark.New), Settings: map[string]string{
			"products":        "What to sell, with commas: bare-metal, vm. Both without this.",
			"vm-user":         "Who logs in to a virtual machine whose image does not say; user without this.",
			"region-names":    "Slugs of your own for locations: <location id>=dallas-usa-5, with commas. Set it once: an offer is known by its region.",
			"storage-regions": "Slugs of the regions whose machines reach the storage, with commas; all of them without this.",

			"requests-per-minute": "How many requests the account may send; 54 without this.",
		}},
		{Word: "spheron", Name: "Spheron", Open: opened(spheron.New), Settings: map[string]string{
			"team":                    "Id of the team that pays; the current one of the key without this.",
			"requests-per-15-minutes": "How many requests the cloud allows the account; 100 without this.",
			"creates-per-15-minutes":  "How many new machines the cloud allows the account; 10 without this.",
		}},
		{Word: "shadeform", Name: "Shadeform", Open: opened(shadeform.New), Settings: map[string]string{"bare-metal-only": "true to leave virtual machines out."}},
		{Word: "latitude", Name: "Latitude.sh", Open: opened(latitude.New), Settings: map[string]string{"project": "Id or slug of the project that machines are made in; required."}},
		{Word: "lambda", Name: "Lambda", Open: opened(lambda.New), Settings: map[string]string{}},
		{Word: "billet", Name: "Billet", Open: opened(billet.New), Settings: map[string]string{"reads-per-minute": "How many reads a minute the key has; 60 without this.", "writes-per-minute": "How many writes; 20 without this."}},
	}
}

// opened is a constructor of an adapter as all of them are kept.
func opened[P provider.Provider](open func(upstream.Account) (P, error)) func(upstream.Account) (provider.Provider, error) {
	return func(a upstream.Account) (provider.Provider, error) { return open(a) }
}

// suppliers opens the configured clouds.
func (a *App) suppliers(ctx context.Context) ([]provideraccount.Opened, error) {
	all, err := a.Supply.Open(ctx, a.DB, a.c.ProvidersFile, provideraccount.Env{Log: a.c.Log, Now: a.Clock.Now, Version: a.c.Version})
	if err != nil || !a.c.Sim {
		return all, err
	}
	var errs []error
	for _, p := range all { // whose clock cannot be moved
		if !p.Local() {
			errs = append(errs, fmt.Errorf("provider %s is a real cloud, and --sim has a clock that can be moved: tenants would pay for hours that never were. Serve without --sim, or without that provider", p.Slug))
		}
	}
	return all, errors.Join(errs...)
}

// tellForsaken has the log tell which providers still have something of ours and are not there any more: what is there is paid for, and nobody
// looks after it or can end it.
func (a *App) tellForsaken(ctx context.Context, set *provider.Registry) error {
	machines, err := deployment.CountByProvider(ctx, a.DB)
	if err != nil {
		return err
	}
	volumes, err := volume.CountByProvider(ctx, a.DB)
	if err != nil {
		return err
	}
	all := maps.Clone(machines)
	maps.Copy(all, volumes)
	for _, slug := range slices.Sorted(maps.Keys(all)) {
		if _, known := set.Get(slug); !known {
			a.c.Log.ErrorContext(ctx, "a provider is not configured any more, and something of ours is there, which nobody looks after or can end: add it again, by its slug",
				"provider", slug, "deployments", machines[slug], "volumes", volumes[slug])
		}
	}
	return nil
}

// together are the simulated providers and the configured ones, which take the place of a simulated one with their slug.
func together(simulated []provider.Provider, configured []provideraccount.Opened) []provider.Provider {
	taken := map[string]bool{}
	for _, p := range configured {
		taken[p.Slug] = true
	}
	var out []provider.Provider
	for _, p := range simulated {
		if !taken[p.Info().Slug] {
			out = append(out, p)
		}
	}
	for _, p := range configured {
		out = append(out, p.Machines)
	}
	return out
}

// markups returns what tenants pay above a provider's price, in basis points: what the provider is set to, or else --markup.
func markups(flag map[string]int64, configured []provideraccount.Opened) func(slug string) int64 {
	own := map[string]int64{}
	for _, p := range configured {
		if p.Markup != nil {
			own[p.Slug] = *p.Markup
		}
	}
	return func(slug string) int64 {
		if bp, set := own[slug]; set {
			return bp
		}
		if bp, named := flag[slug]; named {
			return bp
		}
		return flag[""]
	}
}

// AddProvider writes down an account at an upstream cloud. A server that runs sells from it once it is started again.
func (o *Operator) AddProvider(ctx context.Context, p provideraccount.Provider, key string) (added provideraccount.Provider, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		added, err = o.Supply.Add(ctx, tx, p, key)
		return err
	})
	return added, err
}

// ChangeProviderKey replaces the API key of an account at an upstream cloud.
func (o *Operator) ChangeProviderKey(ctx context.Context, slug, key string) (p provideraccount.Provider, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		p, err = o.Supply.ChangeKey(ctx, tx, slug, key)
		return err
	})
	return p, err
}

// ChangeProviderMarkup sets what tenants pay above a provider's prices; nil for what the server is set to.
func (o *Operator) ChangeProviderMarkup(ctx context.Context, slug string, markup *int64) (p provideraccount.Provider, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		p, err = o.Supply.ChangeMarkup(ctx, tx, slug, markup)
		return err
	})
	return p, err
}

// RemoveProvider forgets an account at an upstream cloud. It refuses while something of ours may still be there: nobody could end it.
func (o *Operator) RemoveProvider(ctx context.Context, slug string) error {
	return o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		machines, err := deployment.CountByProvider(ctx, tx)
		if err != nil {
			return err
		}
		volumes, err := volume.CountByProvider(ctx, tx)
		if err != nil {
			return err
		}
		if machines[slug]+volumes[slug] > 0 {
			return fmt.Errorf("%d deployments and %d volumes are still at %s; have them terminated and deleted first, or nobody could end them", machines[slug], volumes[slug], slug)
		}
		return o.Supply.Remove(ctx, tx, slug)
	})
}

// CheckProvider puts the questions to a provider that change nothing there. It also tells which fields of the answers the adapter does not know.
func (o *Operator) CheckProvider(ctx context.Context, c Config, slug string) (results []provideraccount.Result, err error) {
	var unknown []string
	open := func() ([]provideraccount.Opened, error) {
		return o.Supply.Open(ctx, o.DB, c.ProvidersFile, provideraccount.Env{Now: o.Clock.Now, Version: c.Version, Unknown: func(what string) { unknown = append(unknown, what) }})
	}
	all, err := open()
	if err != nil {
		return nil, err
	}
	again, err := open()
	if err != nil {
		return nil, err
	}
	var slugs []string
	for i, p := range all {
		slugs = append(slugs, p.Slug)
		if p.Slug != slug {
			continue
		}
		results = provideraccount.Check(ctx, p.Machines, again[i].Machines, func(k id.Kind) id.ID { return o.IDs.New(k) }, o.Clock.Now)
		seen := map[string]bool{}
		for _, what := range unknown {
			if !seen[what] {
				results = append(results, provideraccount.Result{What: "answers have no unknown fields", Verdict: provideraccount.Differs, Detail: what})
			}
			seen[what] = true
		}
		return results, nil
	}
	return nil, fmt.Errorf("there is no provider %.80q; there are: %s", slug, strings.Join(slugs, ", "))
}
