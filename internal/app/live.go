package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/racks"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/volume"
)

const (
	// accountsEvery is how often a server looks for changes of provider accounts by others.
	accountsEvery = 3 * time.Second
	// tryLimit is how long a cloud may take to answer a key that is tried.
	tryLimit = 30 * time.Second
	// unusedFirst is how long a provider must be paused or draining before its account can be
	// removed: by then every server knows of it, and no deploy from before is still on its way.
	unusedFirst = rest.RequestTimeout + 5*accountsEvery
)

// liveProviders keeps the providers of a running server as the database has them.
type liveProviders struct {
	app    *App
	fixed  []provider.Provider        // simulated ones, and those of tests
	inFile []provideraccount.Provider // of --providers-file, which is read when the server starts
	flag   map[string]int64           // --markup

	mu      sync.Mutex // one load at a time
	version int64
	racks   []provider.Provider // the operator's own servers, if there are any
	opened  []provideraccount.Opened
	// unstarted are the providers whose periodic jobs are to be enqueued.
	unstarted map[string]bool

	failures atomic.Pointer[map[string]error]
}

// load opens what has changed since the last load, and publishes all of it at once. An account that
// cannot be opened is logged and not used: its machines and volumes are kept, and their jobs wait.
func (l *liveProviders) load(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.app
	version, err := a.ProviderAccounts.Version(ctx, a.DB)
	if err != nil {
		return err
	}
	own, err := a.ownRacks(ctx)
	if err != nil || version == l.version && len(own) == len(l.racks) {
		return err
	}
	if len(own) == len(l.racks) {
		own = l.racks // its jobs keep their times
	}
	first := l.version == 0
	opened, err := a.openAccounts(ctx, l.inFile, l.opened)
	if err != nil {
		return err
	}
	uses, failures := map[string]provider.Use{}, map[string]error{}
	for _, p := range opened {
		uses[p.Slug] = p.Use()
		if p.Err == nil {
			continue
		}
		if e := (realCloudError{}); first && errors.As(p.Err, &e) {
			return e // the server does not start
		}
		failures[p.Slug] = p.Err
		a.cfg.Log.ErrorContext(ctx, "a provider account cannot be opened: its machines and volumes are kept, but "+
			"neither reconciled nor terminated until it is corrected", "provider", p.Slug, "error", p.Err)
	}
	a.services.markups.set(markups(l.flag, opened))
	a.services.providers.ReplaceAll(merge(append(slices.Clone(l.fixed), own...), opened), uses)
	a.beginProviders()
	l.failures.Store(&failures)
	l.begin(opened)
	if len(own) > len(l.racks) {
		l.unstarted[racks.Slug] = true
	}
	l.opened, l.racks = opened, own
	if err := a.services.catalog.Load(ctx); err != nil {
		return err
	}
	if !first { // what starts the server starts the jobs of the first providers, too
		a.cfg.Log.InfoContext(ctx, "provider accounts changed", "accounts", len(opened))
		if slugs := slices.Sorted(maps.Keys(l.unstarted)); len(slugs) > 0 {
			if err := a.startProviderJobs(ctx, slugs...); err != nil {
				return err
			}
		}
	}
	l.version, l.unstarted = version, nil
	return nil
}

// begin notes the providers with another adapter than before. The jobs of the others keep their
// times and their backoff.
func (l *liveProviders) begin(opened []provideraccount.Opened) {
	before := map[string]provider.Provider{}
	for _, p := range l.opened {
		before[p.Slug] = p.Machines
	}
	if l.unstarted == nil {
		l.unstarted = map[string]bool{}
	}
	for _, p := range opened {
		if p.Err == nil && before[p.Slug] != p.Machines {
			l.unstarted[p.Slug] = true
		}
	}
}

// startProviderJobs enqueues the periodic jobs of all providers, or of those with the slugs.
func (a *App) startProviderJobs(ctx context.Context, slugs ...string) error {
	s := a.services
	return errors.Join(s.catalog.Start(ctx, slugs...), s.deployments.StartWatching(ctx, slugs...),
		s.volumes.StartWatching(ctx, slugs...))
}

// failed returns why accounts cannot be opened, by slug.
func (l *liveProviders) failed() map[string]error {
	if f := l.failures.Load(); f != nil {
		return *f
	}
	return nil
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
		Failed:    l.failed,
		Brake:     a.brake,
		Changed:   l.load,
		Remove:    a.removeProvider,
		Simulated: a.cfg.Sim,
	}
}

// brake returns CONFLICT if an account shows none of the machines and volumes that Billet has there
// once its key or its settings are changed: it is another account then, or another part of it, and
// nothing could be watched or ended.
func (o *Operator) brake(ctx context.Context, slug string, u provideraccount.Update) error {
	stored, err := o.ProviderAccounts.Get(ctx, o.DB, slug)
	if err != nil || u.Credential == "" && (u.Settings == nil || maps.Equal(u.Settings, stored.Settings)) {
		return err
	}
	machines, err := o.services.deployments.MachinesAt(ctx, o.DB, slug)
	if err != nil {
		return err
	}
	volumes, err := o.services.volumes.At(ctx, o.DB, slug)
	if err != nil || len(machines)+len(volumes) == 0 {
		return err
	}
	p, err := o.ProviderAccounts.Try(ctx, o.DB, slug, u, provideraccount.Env{Now: o.Clock.Now})
	if err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	shown, err := shows(ask, p, machines, volumes)
	if err != nil {
		return apierr.New(
			apierr.Conflict,
			"With the new key or settings, the account's machines and volumes cannot be listed (%.300s). Billet has "+
				"%d machines and %d volumes there. Correct the change, or set force to make it anyway.",
			apierr.Visible(err.Error()), len(machines), len(volumes),
		)
	}
	if shown {
		return nil
	}
	return apierr.New(
		apierr.Conflict,
		"The new key or settings show none of the %d machines and %d volumes that Billet has, or may have, at %s: "+
			"they may be those of another account, and nothing could be watched or terminated. Correct the change, or "+
			"set force to make it anyway.",
		len(machines),
		len(volumes),
		slug,
	)
}

// shows reports whether the provider lists one of the machines or volumes.
func shows(ctx context.Context, p provider.Provider, machines, volumes []id.ID) (bool, error) {
	if len(machines) > 0 {
		listed, err := p.Machines(ctx)
		if err != nil {
			return false, err
		}
		for _, m := range listed {
			if slices.Contains(machines, m.Reference) {
				return true, nil
			}
		}
	}
	if v, has := p.(provider.VolumeProvider); has && len(volumes) > 0 {
		listed, err := v.Volumes(ctx)
		if err != nil {
			return false, err
		}
		for _, one := range listed {
			if slices.Contains(volumes, one.Reference) {
				return true, nil
			}
		}
	}
	return false, nil
}

// removeProvider deletes an account and the periodic jobs of its provider, and withdraws what was
// for sale there. It returns CONFLICT while something needs the account.
func (o *Operator) removeProvider(ctx context.Context, tx *db.Tx, slug string) (provideraccount.Provider, error) {
	p, err := o.ProviderAccounts.GetToChange(ctx, tx, slug)
	if err != nil {
		return p, err
	}
	if err := o.stillUsed(ctx, tx, slug); err != nil {
		return p, err
	}
	since, unused := p.UnusedSince()
	if !unused || tx.Now.Sub(since) < unusedFirst {
		return p, apierr.New(
			apierr.Conflict,
			"Drain or pause %s first, and remove it %d seconds later at the earliest: a deploy may still be on its "+
				"way.",
			slug,
			int(unusedFirst.Seconds()),
		)
	}
	for _, kind := range []job.Kind{catalog.KindSync, deployment.KindWatch, volume.KindWatch} {
		if err := o.Jobs.Cancel(ctx, tx, kind, job.Subject("provider", slug)); err != nil {
			return p, err
		}
	}
	if err := o.services.catalog.Forget(ctx, tx, slug); err != nil {
		return p, err
	}
	return p, o.ProviderAccounts.Remove(ctx, tx, slug)
}

// stillUsed returns CONFLICT while the provider has, or may get, resources of ours, which could not
// be ended without its account.
func (o *Operator) stillUsed(ctx context.Context, tx *db.Tx, slug string) error {
	counts, err := o.services.deployments.ResourceCounts(ctx, tx)
	if err != nil {
		return err
	}
	volumes, err := volume.CountByProvider(ctx, tx)
	if err != nil {
		return err
	}
	if orphans, err := o.Issues.Open(ctx, tx, slug, issue.Orphans); err != nil {
		return err
	} else if orphans {
		return apierr.New(apierr.Conflict, "%s still has machines or volumes that no account has, and that could not "+
			"be terminated without it. Terminate them, or dismiss their issues.", slug)
	}
	n := counts[slug]
	if n.Unreleased+n.Candidates+int64(volumes[slug]) == 0 {
		return nil
	}
	return apierr.New(apierr.Conflict, "%s still has %d deployments and %d volumes, and is a further candidate of %d "+
		"deployments that have not started. Terminate and delete them first.",
		slug, n.Unreleased, volumes[slug], n.Candidates)
}
