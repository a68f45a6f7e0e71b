package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/volume"
)

const (
	// accountsEvery is how often a server looks for changes of provider accounts by others.
	accountsEvery = 3 * time.Second
	// tryLimit is how long a cloud may take to answer a key that is tried.
	tryLimit = 30 * time.Second
	// pausedFirst is how long a provider must be paused before its account can be removed: by then
	// every server knows of the pause, and no deploy from before is still on its way.
	pausedFirst = 3 * accountsEvery
)

// liveProviders keeps the providers of a running server as the database has them.
type liveProviders struct {
	app   *App
	fixed []provider.Provider // simulated ones, and those of tests
	flag  map[string]int64    // --markup

	mu      sync.Mutex // one load at a time
	version int64
	opened  []provideraccount.Opened
}

// load opens what has changed since the last load, and publishes all of it at once. After an error
// everything stays as it was. While the server runs, an account that cannot be opened is logged,
// and is no fault of the server, which goes on with the providers that it has and tries again.
func (l *liveProviders) load(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.app
	version, err := a.ProviderAccounts.Version(ctx, a.DB)
	if err != nil || version == l.version {
		return err
	}
	first := l.version == 0
	opened, err := a.openAccounts(ctx, l.opened...)
	if err != nil && !first && ctx.Err() == nil {
		a.cfg.Log.ErrorContext(ctx, "provider accounts stay as they were, because one cannot be opened; correct or "+
			"remove it", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	paused := map[string]bool{}
	for _, p := range opened {
		paused[p.Slug] = p.PausedAt != nil
	}
	a.services.markups.set(markups(l.flag, opened))
	a.services.providers.ReplaceAll(merge(l.fixed, opened), paused)
	l.opened = opened
	if err := a.services.catalog.Load(ctx); err != nil {
		return err
	}
	if !first { // what starts the server starts the jobs of the first providers, too
		a.cfg.Log.InfoContext(ctx, "provider accounts changed", "accounts", len(opened))
		err = errors.Join(a.services.catalog.Start(ctx), a.services.deployments.StartWatching(ctx),
			a.services.volumes.StartWatching(ctx))
	}
	if err == nil {
		l.version = version
	}
	return err
}

// forAPI returns what the API does with provider accounts beside storing them.
func (l *liveProviders) forAPI() *httpapi.ProviderAccounts {
	a := l.app
	return &httpapi.ProviderAccounts{
		Stored: a.ProviderAccounts,
		Check: func(ctx context.Context, slug string) ([]provideraccount.Result, error) {
			return a.CheckProvider(ctx, a.cfg, slug)
		},
		Known:     func(slug string) bool { _, known := a.services.providers.Get(slug); return known },
		Brake:     a.brake,
		Changed:   l.load,
		Removable: a.removable,
		Simulated: a.cfg.Sim,
	}
}

// brake returns CONFLICT if an account shows none of the machines that Billet has there once its
// key or its settings are changed: it is another account then, or another part of it, and no
// machine could be watched or ended.
func (o *Operator) brake(ctx context.Context, slug string, u provideraccount.Update) error {
	stored, err := o.ProviderAccounts.Get(ctx, o.DB, slug)
	if err != nil || u.Credential == "" && (u.Settings == nil || maps.Equal(u.Settings, stored.Settings)) {
		return err
	}
	ours, err := o.services.deployments.MachinesAt(ctx, o.DB, slug)
	if err != nil || len(ours) == 0 {
		return err
	}
	p, err := o.ProviderAccounts.Try(ctx, o.DB, slug, u, provideraccount.Env{Now: o.Clock.Now})
	if err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	machines, err := p.Machines(ask)
	if err != nil {
		return apierr.New(
			apierr.Conflict,
			"With the new key or settings, the account's machines cannot be listed (%.300s). Billet has %d machines "+
				"there. Correct the change, or set force to make it anyway.",
			apierr.Visible(err.Error()),
			len(ours),
		)
	}
	for _, m := range machines {
		if ours[m.Reference] {
			return nil
		}
	}
	return apierr.New(
		apierr.Conflict,
		"The new key or settings show none of the %d machines that Billet has at %s: they may be those of "+
			"another account, and these machines could not be watched or terminated. Correct the change, or set "+
			"force to make it anyway.",
		len(ours),
		slug,
	)
}

// removable returns CONFLICT while something needs the account.
func (a *App) removable(ctx context.Context, tx *db.Tx, p provideraccount.Provider) error {
	if err := stillUsed(ctx, tx, p.Slug); err != nil {
		return err
	}
	if p.PausedAt == nil || tx.Now.Sub(*p.PausedAt) < pausedFirst {
		return apierr.New(
			apierr.Conflict,
			"Pause %s first, and remove it %d seconds later at the earliest: a deploy may "+
				"still be on its way.",
			p.Slug,
			int(pausedFirst.Seconds()),
		)
	}
	return nil
}

// stillUsed returns CONFLICT while the provider may have resources of ours, which could not be
// ended without its account.
func stillUsed(ctx context.Context, tx *db.Tx, slug string) error {
	machines, err := deployment.CountByProvider(ctx, tx)
	if err != nil {
		return err
	}
	volumes, err := volume.CountByProvider(ctx, tx)
	if err != nil {
		return err
	}
	if machines[slug]+volumes[slug] > 0 {
		return apierr.New(apierr.Conflict, "%s", fmt.Sprintf(
			"%s still has %d deployments and %d volumes; terminate and delete them first", slug, machines[slug],
			volumes[slug]))
	}
	return nil
}
