package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/billet"
	"github.com/billetcloud/billet/internal/provider/ironic"
	"github.com/billetcloud/billet/internal/provider/lambda"
	"github.com/billetcloud/billet/internal/provider/latitude"
	"github.com/billetcloud/billet/internal/provider/shadeform"
	"github.com/billetcloud/billet/internal/provider/spheron"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/voltagepark"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/volume"
)

// kinds returns the clouds that have an adapter. This is the only place where an adapter is
// registered.
func kinds() []provideraccount.Kind {
	return []provideraccount.Kind{
		{Word: "voltage-park", Name: "Voltage Park", Open: opened(voltagepark.New), Settings: map[string]string{
			"products": "What to sell, with commas: bare-metal, vm. Both without this.",
			"vm-user":  "Who logs in to a virtual machine whose image does not say; user without this.",
			"region-names": "Slugs of your own for locations: <location id>=dallas-usa-5, with commas. Set it " +
				"once: an offer is known by its region.",
			"storage-regions": "Slugs of the regions whose machines reach the storage, with commas; all of them " +
				"without this.",

			"requests-per-minute": "How many requests the account may send; 54 without this.",
		}},
		{Word: "spheron", Name: "Spheron", Open: opened(spheron.New), Settings: map[string]string{
			"team":                    "Id of the team that pays; the current one of the key without this.",
			"requests-per-15-minutes": "How many requests the cloud allows the account; 100 without this.",
			"creates-per-15-minutes":  "How many new machines the cloud allows the account; 10 without this.",
		}},
		{Word: "shadeform", Name: "Shadeform", Open: opened(shadeform.New),
			Settings: map[string]string{"bare-metal-only": "true to leave virtual machines out."}},
		{Word: "latitude", Name: "Latitude.sh", Open: opened(latitude.New),
			Settings: map[string]string{"project": "Id or slug of the project that machines are made in; required."}},
		{Word: "lambda", Name: "Lambda", Open: opened(lambda.New), Settings: map[string]string{}},
		{Word: "ironic", Name: "Ironic", Open: opened(ironic.New), Settings: map[string]string{
			"images": "The operating systems to install, with semicolons: Ubuntu 24.04 = <URL> sha256:<checksum> " +
				"user:<login user>; required.",
		}},
		{Word: "billet", Name: "Billet", Open: opened(billet.New),
			Settings: map[string]string{"reads-per-minute": "How many reads a minute the key has; 60 without this.",
				"writes-per-minute": "How many writes; 20 without this."}},
	}
}

// opened is a constructor of an adapter as all of them are kept.
func opened[P provider.Provider](open func(upstream.Account) (P, error)) func(upstream.Account) (provider.Provider,
	error) {
	return func(a upstream.Account) (provider.Provider, error) { return open(a) }
}

// openAccounts opens the configured provider accounts. Those that have not changed keep their
// adapters. A real cloud beside a simulated clock has an error.
func (a *App) openAccounts(
	ctx context.Context, inFile []provideraccount.Provider, before []provideraccount.Opened,
) ([]provideraccount.Opened, error) {
	all, err := a.ProviderAccounts.Open(ctx, a.DB, inFile,
		provideraccount.Env{Log: a.cfg.Log, Now: a.Clock.Now, Version: a.cfg.Version}, before...)
	if err != nil || !a.cfg.Sim {
		return all, err
	}
	for i, p := range all {
		if p.Err == nil && !p.Local() {
			all[i] = provideraccount.Opened{Provider: p.Provider, Err: realCloudError{p.Slug}}
		}
	}
	return all, nil
}

// realCloudError refuses a real cloud beside a simulated clock.
type realCloudError struct{ slug string }

func (e realCloudError) Error() string {
	return "provider " + e.slug + " is a real cloud, but --sim has a clock that can be moved, so tenants would " +
		"pay for hours that never passed. Serve without --sim, or without that provider"
}

// warnOrphanedProviders logs the providers that still have machines or volumes but are no longer
// configured: these resources cost money, but are neither reconciled nor terminated.
func (a *App) warnOrphanedProviders(ctx context.Context, set *provider.Registry) error {
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
		_, known := set.Get(slug)
		if _, failed := a.live.failed()[slug]; !known && !failed { // a failed account is logged already
			a.cfg.Log.ErrorContext(ctx,
				"a provider is no longer configured but still has resources, which cannot be reconciled or "+
					"terminated; add it again with its slug",
				"provider", slug, "deployments", machines[slug], "volumes", volumes[slug])
		}
	}
	return nil
}

// merge returns the simulated and the configured providers. A configured one replaces a simulated
// one with the same slug.
func merge(simulated []provider.Provider, configured []provideraccount.Opened) []provider.Provider {
	taken := map[string]bool{}
	for _, p := range configured {
		taken[p.Slug] = true // also if it cannot be opened: its machines are not the simulated one's
	}
	var out []provider.Provider
	for _, p := range simulated {
		if !taken[p.Info().Slug] {
			out = append(out, p)
		}
	}
	for _, p := range configured {
		if p.Err == nil {
			out = append(out, p.Machines)
		}
	}
	return out
}

// markups returns the markup of a provider in basis points: its own, or else --markup.
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

// AddProvider stores a provider account. A running server uses it within seconds.
func (o *Operator) AddProvider(ctx context.Context, p provideraccount.Provider,
	key string) (added provideraccount.Provider, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		added, err = o.ProviderAccounts.Add(ctx, tx, p, key)
		return err
	})
	return added, err
}

// ChangeProviderKey replaces the API key of a provider account. Without force it returns CONFLICT
// for a key that shows none of the machines that Billet has there.
func (o *Operator) ChangeProviderKey(
	ctx context.Context, slug, key string, force bool,
) (p provideraccount.Provider, err error) {
	if !force {
		if err := o.brake(ctx, slug, provideraccount.Update{Credential: key}); err != nil {
			return p, err
		}
	}
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		p, err = o.ProviderAccounts.ChangeKey(ctx, tx, slug, key)
		return err
	})
	return p, err
}

// ChangeProviderMarkup sets a provider's markup; nil for the server's.
func (o *Operator) ChangeProviderMarkup(ctx context.Context, slug string, markup *int64) (p provideraccount.Provider,
	err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		p, err = o.ProviderAccounts.ChangeMarkup(ctx, tx, slug, markup)
		return err
	})
	return p, err
}

// SetProviderUse pauses, drains or resumes a provider.
func (o *Operator) SetProviderUse(
	ctx context.Context, slug string, use provider.Use,
) (p provideraccount.Provider, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		p, _, err = o.ProviderAccounts.SetUse(ctx, tx, slug, use)
		return err
	})
	return p, err
}

// RemoveProvider deletes a provider account. It returns CONFLICT while something needs the account,
// as the API does.
func (o *Operator) RemoveProvider(ctx context.Context, slug string) error {
	return o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := o.removeProvider(ctx, tx, slug)
		return err
	})
}

// CheckProvider sends a provider the requests that change nothing. It also reports the fields of
// the answers that the adapter does not know.
func (o *Operator) CheckProvider(ctx context.Context, c Config, slug string) (results []provideraccount.Result,
	err error) {
	var unknown []string
	inFile, err := o.ProviderAccounts.Read(c.ProvidersFile)
	if err != nil {
		return nil, err
	}
	open := func() ([]provideraccount.Opened, error) {
		return o.ProviderAccounts.Open(ctx, o.DB, inFile,
			provideraccount.Env{Now: o.Clock.Now, Version: c.Version,
				Unknown: func(what string) { unknown = append(unknown, what) }})
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
		if p.Err != nil {
			return nil, fmt.Errorf("provider %s: %w", slug, p.Err)
		}
		results = provideraccount.Check(ctx, p.Machines, again[i].Machines,
			func(k id.Kind) id.ID { return o.IDs.New(k) }, o.Clock.Now)
		seen := map[string]bool{}
		for _, what := range unknown {
			if !seen[what] {
				results = append(results, provideraccount.Result{What: "answers have no unknown fields",
					Verdict: provideraccount.Differs, Detail: what})
			}
			seen[what] = true
		}
		return results, nil
	}
	return nil, fmt.Errorf("unknown provider %.80q; the providers are: %s", slug, strings.Join(slugs, ", "))
}
