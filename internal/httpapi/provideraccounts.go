package httpapi

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/volume"
)

// ProviderAccounts are the provider accounts of a running server.
type ProviderAccounts struct {
	Stored *provideraccount.Service
	// Check sends a provider the requests that change nothing.
	Check func(ctx context.Context, slug string) ([]provideraccount.Result, error)
	// Brake returns CONFLICT for a new key, or new settings, that show none of the machines that
	// Billet has.
	Brake func(ctx context.Context, slug string, u provideraccount.Update) error
	// Known reports whether the running server has a provider with that slug, which may be one of
	// --providers-file or the simulator that the database does not know.
	Known func(slug string) bool
	// Failed returns why accounts cannot be opened, by slug.
	Failed func() map[string]error
	// Changed makes this server use what has been stored; others do within seconds.
	Changed func(ctx context.Context) error
	// Remove deletes an account, or returns CONFLICT while something needs it.
	Remove func(ctx context.Context, tx *db.Tx, slug string) (provideraccount.Provider, error)
	// Simulated is whether the clock can be moved: then no real cloud is used.
	Simulated bool
}

// checkTime is how long the checks of a provider may take.
const checkTime = 2 * time.Minute

// providerAccounts are the operator's accounts at providers.
type providerAccounts struct {
	db          *db.DB
	live        *ProviderAccounts // nil where a test needs none
	catalog     *catalog.Catalog
	deployments *deployment.Service
}

func (h providerAccounts) routes(r *rest.Router) {
	const all, one = OperatorBase + "/provider-accounts", OperatorBase + "/provider-accounts/{id}"
	op := func(method, path, id, summary, description string, scope account.Scope) rest.Operation {
		return rest.Operation{
			Method: method, Path: path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly, Scope: string(scope),
			Summary: summary, Description: description,
		}
	}
	const read, write = account.ReadOperator, account.WriteOperator
	rest.List(r, op(http.MethodGet, all, "listProviderAccounts", "List provider accounts",
		"Status, offers and resources of each configured provider, in the order of the configuration.", read), h.list)
	rest.List(r, op(http.MethodGet, OperatorBase+"/provider-kinds", "listProviderKinds", "List kinds of providers",
		"The clouds that have an adapter, with the settings that an account there may have.", read), h.kinds)
	const live = "Every server uses it within seconds, without a restart. "
	create := op(http.MethodPost, all, "createProviderAccount", "Add a provider account",
		live+"The API key is encrypted and never shown. Check the account before you sell from it.", write)
	create.Status, create.Errors = http.StatusCreated, []apierr.Code{apierr.Conflict}
	rest.Write(r, create, h.create)
	// The next two ask a provider, which no transaction waits for.
	update := op(http.MethodPatch, one, "updateProviderAccount", "Update a provider account", live+
		"A new API key or new settings that show none of the machines that Billet has at the provider are refused, "+
		"unless `force` is true: they may be those of another account, and the machines could not be terminated. "+
		"A new markup applies "+
		"within seconds; existing deployments keep their prices.", write)
	update.ExtraTime, update.Errors = checkTime, []apierr.Code{apierr.NotFound, apierr.Conflict}
	rest.Unmanaged(r, update, h.update)
	check := op(http.MethodPost, one+"/check", "checkProviderAccount", "Check a provider account",
		"Sends read-only requests to the provider and compares the answers with what the adapter expects. Nothing is "+
			"launched or terminated. It takes as long as the provider does.", write)
	check.ExtraTime, check.Errors = checkTime, []apierr.Code{apierr.NotFound}
	rest.Unmanaged(r, check, h.check)
	rest.Write(r, op(http.MethodPost, one+"/pause", "pauseProviderAccount", "Pause a provider",
		"Its offers become unavailable, and no new deployment can choose it. Deployments that were accepted before, "+
			"also with it as a further candidate, continue, and are watched and terminated as before. Ends a drain.",
		write), h.pause)
	rest.Write(r, op(http.MethodPost, one+"/drain", "drainProviderAccount", "Drain a provider",
		"Its offers are not listed, and no new deployment can choose it. Deployments that were accepted before, also "+
			"with it as a further candidate, and volumes continue as before. `remaining` says how many are left; the "+
			"account can be removed when there are none. Ends a pause.", write), h.drain)
	rest.Write(r, op(http.MethodPost, one+"/resume", "resumeProviderAccount", "Resume a provider",
		"Ends a pause or a drain.", write), h.resume)
	remove := op(http.MethodDelete, one, "deleteProviderAccount", "Remove a provider account",
		"With its API key. Refused while deployments, further candidates of deployments or volumes need it, and until "+
			"it has been draining or paused for a few seconds.", write)
	remove.Errors = []apierr.Code{apierr.Conflict}
	rest.Write(r, remove, h.remove)
}

// providerAccount is a provider as the operator sees it.
type providerAccount struct {
	Slug                string         `json:"slug" doc:"Slug of the provider, as in filters and deploys."`
	Name                string         `json:"name" doc:"Name of the provider."`
	Status              catalog.Status `json:"status" doc:"up, degraded (its data is old) or down."`
	LastSyncAt          *time.Time     `json:"lastSyncAt" doc:"Last successful sync of its offers; null if there was none."`
	LastError           *string        `json:"lastError" doc:"Error of the last sync; null if it succeeded."`
	ConsecutiveFailures int64          `json:"consecutiveFailures" doc:"Number of failed syncs in a row."`
	Stale               bool           `json:"stale" doc:"Whether its offers may be out of date."`
	Offers              int            `json:"offers" doc:"Number of its offers."`
	Available           int            `json:"available" doc:"Number of available offers."`
	Machines            int64          `json:"machines" doc:"Machines that it has created and whose termination it has not confirmed."`
	Deployments         int64          `json:"deployments" doc:"Deployments that have not ended."`
	Volumes             int64          `json:"volumes" doc:"Volumes that may exist there."`
	Candidates          int64          `json:"candidates" doc:"Deployments that have not started and have it as a further candidate."`
	Remaining           int64          `json:"remaining" doc:"Deployments, ended or not, that may have a machine there, plus volumes and candidates. The account can be removed when there are none."`
	MarkupPercent       percent        `json:"markupPercent" doc:"Markup on its prices in percent: its own, or the server's if it has none."`
	// The rest is of accounts in the database.
	State        accountState      `json:"state" doc:"active, paused, draining, or error: the account cannot be opened, so that its machines and volumes are kept but not managed. lastError says why."`
	Stored       bool              `json:"stored" doc:"Whether the account is stored in the database and can be changed here; false for a simulated one and for one of --providers-file."`
	Kind         *string           `json:"kind" doc:"Kind of the cloud; null if not stored."`
	BaseURL      *string           `json:"baseUrl" doc:"URL of its API; null if it is the cloud's own, or not stored."`
	Settings     map[string]string `json:"settings" doc:"Settings of the account; empty if not stored."`
	OwnMarkup    *percent          `json:"ownMarkupPercent" doc:"Markup of its own in percent; null if the server's applies, or not stored."`
	KeyChangedAt *time.Time        `json:"keyChangedAt" doc:"When its API key was set; null if not stored."`
	PausedAt     *time.Time        `json:"pausedAt" doc:"Since when its offers are unavailable; null if it is not paused."`
	DrainingAt   *time.Time        `json:"drainingAt" doc:"Since when its offers are not listed; null if it is not draining."`
}

// accountState is what happens with a provider account.
type accountState string

const (
	stateActive accountState = "active"
	stateError  accountState = "error"
)

// Enum lists every state.
func (accountState) Enum() []accountState {
	return []accountState{
		stateActive, accountState(provider.Paused), accountState(provider.Draining), stateError,
	}
}

// stateOf is the state of an account that can be opened.
func stateOf(p provideraccount.Provider) accountState {
	return cmp.Or(accountState(p.Use()), stateActive)
}

// add adds what is stored of the account.
func (a *providerAccount) add(p provideraccount.Provider) {
	a.Stored, a.Kind, a.KeyChangedAt, a.PausedAt = true, &p.Kind, &p.KeyChangedAt, p.PausedAt
	a.DrainingAt, a.State, a.OwnMarkup = p.DrainingAt, stateOf(p), (*percent)(p.Markup)
	maps.Copy(a.Settings, p.Settings)
	if p.BaseURL != "" {
		a.BaseURL = &p.BaseURL
	}
}

// stored returns the accounts of the database by slug.
func (h providerAccounts) stored(ctx context.Context, r db.Reader) (map[string]provideraccount.Provider, error) {
	out := map[string]provideraccount.Provider{}
	if h.live == nil {
		return out, nil
	}
	all, err := h.live.Stored.List(ctx, r)
	for _, p := range all {
		out[p.Slug] = p
	}
	return out, err
}

func (h providerAccounts) list(
	ctx context.Context, _ *rest.Call, _ *rest.Paging, p db.Page,
) ([]providerAccount, db.Listed, error) {
	facets := map[string]catalog.ProviderFacet{}
	for _, f := range h.catalog.Default().Providers() {
		facets[f.Slug] = f
	}
	stored, err := h.stored(ctx, h.db)
	if err != nil {
		return nil, db.Listed{}, err
	}
	all := []providerAccount{}
	for _, health := range h.catalog.Health() {
		f := facets[health.Provider]
		one := providerAccount{
			Slug: health.Provider, Name: f.Name, Status: health.Status, LastSyncAt: health.LastSuccessAt,
			ConsecutiveFailures: health.Failures, Stale: health.Status != catalog.StatusUp,
			Offers: f.Offers, Available: f.AvailableOffers, State: stateActive, Settings: map[string]string{},
			MarkupPercent: percent(h.catalog.Markup(health.Provider)),
		}
		if health.Failures > 0 {
			one.LastError = &health.LastError
		}
		if p, is := stored[one.Slug]; is {
			one.add(p)
		}
		all = append(all, one)
	}
	all = append(all, h.failed(stored)...)
	if err := h.count(ctx, all); err != nil {
		return nil, db.Listed{}, err
	}
	return rest.Slice(all, func(o providerAccount) string { return o.Slug }, p)
}

// failed returns the accounts that cannot be opened, by slug.
func (h providerAccounts) failed(stored map[string]provideraccount.Provider) (all []providerAccount) {
	if h.live == nil {
		return nil
	}
	failed := h.live.Failed()
	for _, slug := range slices.Sorted(maps.Keys(failed)) {
		message := apierr.Visible(failed[slug].Error())
		one := providerAccount{
			Slug: slug, Name: slug, Status: catalog.StatusDown, Stale: true, LastError: &message,
			Settings: map[string]string{}, MarkupPercent: percent(h.catalog.Markup(slug)),
		}
		if p, is := stored[slug]; is {
			one.add(p)
			one.Name = p.Name
		}
		one.State = stateError
		all = append(all, one)
	}
	return all
}

// count adds what each provider has of Billet's.
func (h providerAccounts) count(ctx context.Context, all []providerAccount) error {
	counts, err := h.deployments.ResourceCounts(ctx, h.db)
	if err != nil {
		return err
	}
	volumes, err := volume.CountByProvider(ctx, h.db)
	for i := range all {
		n, one := counts[all[i].Slug], &all[i]
		one.Machines, one.Deployments, one.Candidates = n.Machines, n.Deployments, n.Candidates
		one.Volumes = int64(volumes[one.Slug])
		one.Remaining = n.Unreleased + n.Candidates + one.Volumes
	}
	return err
}

// storedAccount is a provider account as it is stored.
type storedAccount struct {
	Slug          string            `json:"slug" doc:"Slug of the provider, as in filters and deploys."`
	Kind          string            `json:"kind" doc:"Kind of the cloud."`
	Name          string            `json:"name" doc:"Name of the provider."`
	BaseURL       *string           `json:"baseUrl" doc:"URL of its API; null for the cloud's own."`
	Settings      map[string]string `json:"settings" doc:"Settings of the account."`
	MarkupPercent *percent          `json:"markupPercent" doc:"Its own markup in percent; null means the server's."`
	CreatedAt     time.Time         `json:"createdAt" doc:"When it was added."`
	KeyChangedAt  time.Time         `json:"keyChangedAt" doc:"When its API key was set."`
	State         accountState      `json:"state" doc:"active, paused or draining."`
	PausedAt      *time.Time        `json:"pausedAt" doc:"Since when its offers are unavailable; null if it is not paused."`
	DrainingAt    *time.Time        `json:"drainingAt" doc:"Since when its offers are not listed; null if it is not draining."`
}

func storedOf(p provideraccount.Provider) storedAccount {
	out := storedAccount{
		Slug: p.Slug, Kind: p.Kind, Name: p.Name, Settings: map[string]string{}, MarkupPercent: (*percent)(p.Markup),
		CreatedAt: p.CreatedAt, KeyChangedAt: p.KeyChangedAt, State: stateOf(p), PausedAt: p.PausedAt,
		DrainingAt: p.DrainingAt,
	}
	maps.Copy(out.Settings, p.Settings)
	if p.BaseURL != "" {
		out.BaseURL = &p.BaseURL
	}
	return out
}

type providerPath struct {
	ID id.ID `path:"id" form:"slug" doc:"Slug of the provider."`
}

type createProviderAccount struct {
	Body struct {
		Kind          string            `json:"kind" minLength:"1" maxLength:"64" example:"voltage-park" doc:"Kind of the cloud; see the provider kinds."`
		Slug          string            `json:"slug,omitempty" maxLength:"64" doc:"Slug of the provider; the kind if omitted. It cannot be changed."`
		Name          string            `json:"name,omitempty" maxLength:"64" doc:"Name of the provider; that of the cloud if omitted."`
		BaseURL       string            `json:"baseUrl,omitempty" maxLength:"8000" doc:"URL of its API; the cloud's own if omitted. It cannot be changed."`
		Settings      map[string]string `json:"settings,omitempty" doc:"Settings, by name; see the provider kinds."`
		MarkupPercent *percent          `json:"markupPercent,omitempty" minimum:"0" maximum:"1000" doc:"Markup on its prices in percent; the server's if omitted."`
		APIKey        string            `json:"apiKey" minLength:"1" maxLength:"8000" doc:"API key of the account. It is encrypted and never shown."`
	}
}

type updateProviderAccount struct {
	providerPath
	Body struct {
		Name          *string                 `json:"name,omitempty" minLength:"1" maxLength:"64"`
		Settings      map[string]string       `json:"settings,omitempty" doc:"Replaces all settings."`
		MarkupPercent rest.SetOrNull[percent] `json:"markupPercent,omitempty" minimum:"0" maximum:"1000" doc:"Markup on its prices in percent; null means the server's."`
		APIKey        string                  `json:"apiKey,omitempty" maxLength:"8000" doc:"New API key. It is encrypted and never shown."`
		Force         bool                    `json:"force,omitempty" doc:"Use the new API key and settings even if they show none of the machines that Billet has there."`
	}
}

// Check refuses a name that cannot be shown.
func (in *createProviderAccount) Check() []apierr.FieldError {
	if in.Body.Name == "" {
		return nil
	}
	return apierr.CheckName("name", in.Body.Name)
}

// Check refuses an update without a field, and a name that cannot be shown.
func (in *updateProviderAccount) Check() []apierr.FieldError {
	b := &in.Body
	if b.Name != nil {
		return apierr.CheckName("name", *b.Name)
	}
	return someField(b.Settings != nil || b.MarkupPercent.Given || b.APIKey != "")
}

// accountError gives an error of a provider account its code.
func accountError(err error) error {
	switch {
	case errors.Is(err, provideraccount.ErrUnknown):
		return apierr.New(apierr.NotFound, "No stored provider account has this slug. Simulated ones and those of "+
			"--providers-file cannot be changed here.")
	case errors.Is(err, provideraccount.ErrTaken):
		return apierr.New(apierr.Conflict, "Another provider account has this slug. Choose another slug, or update "+
			"that account.")
	}
	if invalid, is := errors.AsType[provideraccount.Invalid](err); is {
		return apierr.Invalid([]apierr.FieldError{{Field: "body", Message: apierr.Visible(invalid.Error())}})
	}
	return err
}

// changed makes this server use a change once it is committed. If that fails, it does so within
// seconds, as other servers do.
func (h providerAccounts) changed(c *rest.Call, tx *db.Tx) {
	ctx := context.WithoutCancel(c.Request.Context()) // not the one of the transaction
	tx.AfterCommit(func() { _ = h.live.Changed(ctx) })
}

func (h providerAccounts) kinds(
	_ context.Context, _ *rest.Call, _ *rest.Paging, p db.Page,
) ([]provideraccount.Kind, db.Listed, error) {
	all := slices.Clone(h.live.Stored.Kinds())
	for i := range all {
		settings := maps.Clone(provideraccount.Common)
		maps.Copy(settings, all[i].Settings)
		all[i].Settings = settings
	}
	return rest.Slice(all, func(k provideraccount.Kind) string { return k.Word }, p)
}

func (h providerAccounts) create(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *createProviderAccount,
) (storedAccount, error) {
	b := &in.Body
	p := provideraccount.Provider{
		Slug: b.Slug, Kind: b.Kind, Name: b.Name, BaseURL: b.BaseURL,
		Settings: b.Settings, Markup: (*int64)(b.MarkupPercent),
	}
	if h.live.Simulated && !p.Local() {
		return storedAccount{}, apierr.New(
			apierr.Conflict,
			"This server simulates its clock, so that tenants would pay a "+
				"real cloud for hours that never passed. Add the provider to a server without --sim.",
		)
	}
	if slug := cmp.Or(p.Slug, p.Kind); h.live.Known(slug) {
		return storedAccount{}, accountError(provideraccount.ErrTaken)
	}
	p, err := h.live.Stored.Add(ctx, tx, p, b.APIKey)
	if err != nil {
		return storedAccount{}, accountError(err)
	}
	c.Created(id.ID(p.Slug))
	h.changed(c, tx)
	return storedOf(p), nil
}

func (h providerAccounts) update(ctx context.Context, c *rest.Call, in *updateProviderAccount) (storedAccount, error) {
	b, slug := &in.Body, string(in.ID)
	change := provideraccount.Update{
		Name: b.Name, Settings: b.Settings, Credential: b.APIKey, Markup: (*int64)(b.MarkupPercent.Value),
		ClearMarkup: b.MarkupPercent.Given && b.MarkupPercent.Value == nil,
	}
	if !b.Force {
		if err := h.live.Brake(ctx, slug, change); err != nil {
			return storedAccount{}, accountError(err)
		}
	}
	var p provideraccount.Provider
	err := c.Commit(ctx, in.ID, func(ctx context.Context, tx *db.Tx) (err error) {
		p, err = h.live.Stored.Update(ctx, tx, slug, change)
		h.changed(c, tx)
		return err
	})
	if err != nil {
		return storedAccount{}, accountError(err)
	}
	return storedOf(p), nil
}

// checkResults are the results of the checks of a provider.
type checkResults struct {
	Passed bool                     `json:"passed" doc:"Whether no check failed or differs."`
	Checks []provideraccount.Result `json:"checks" doc:"Results in the order of the checks."`
}

func (h providerAccounts) check(ctx context.Context, _ *rest.Call, in *providerPath) (checkResults, error) {
	if _, err := h.live.Stored.Get(ctx, h.db, string(in.ID)); err != nil {
		return checkResults{}, accountError(err)
	}
	checks, err := h.live.Check(ctx, string(in.ID))
	if err != nil {
		return checkResults{}, accountError(err)
	}
	out := checkResults{Passed: true, Checks: checks}
	for _, one := range checks {
		if one.Verdict == provideraccount.Failed || one.Verdict == provideraccount.Differs {
			out.Passed = false
		}
	}
	return out, nil
}

func (h providerAccounts) pause(ctx context.Context, tx *db.Tx, c *rest.Call, in *providerPath) (storedAccount, error) {
	return h.setUse(ctx, tx, c, in, provider.Paused)
}

func (h providerAccounts) drain(ctx context.Context, tx *db.Tx, c *rest.Call, in *providerPath) (storedAccount, error) {
	return h.setUse(ctx, tx, c, in, provider.Draining)
}

func (h providerAccounts) resume(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *providerPath,
) (storedAccount, error) {
	return h.setUse(ctx, tx, c, in, provider.Sells)
}

func (h providerAccounts) setUse(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *providerPath, use provider.Use,
) (storedAccount, error) {
	p, changed, err := h.live.Stored.SetUse(ctx, tx, string(in.ID), use)
	c.Change.Subject, c.Change.None = in.ID, !changed
	h.changed(c, tx)
	return storedOf(p), accountError(err)
}

func (h providerAccounts) remove(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *providerPath,
) (storedAccount, error) {
	p, err := h.live.Remove(ctx, tx, string(in.ID))
	if err != nil {
		return storedAccount{}, accountError(err)
	}
	c.Change.Subject = in.ID
	h.changed(c, tx)
	return storedOf(p), nil
}
