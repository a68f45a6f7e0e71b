package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/spendlimit"
)

// apiKeys are an account's API keys.
type apiKeys struct {
	db       *db.DB
	clock    clock.Clock
	accounts *account.Service
}

func (h apiKeys) routes(r *rest.Router) {
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/key", ID: "getCurrentApiKey", Tag: tagAccount, Auth: rest.APIKeyOnly,
		Summary: "Get the current API key",
		Description: "The key that makes this call: its scopes, its account, its spending limits and how much of " +
			"them is used. The secret is not shown.",
	}, h.current)

	const all, one = AccountBase + "/api-keys", AccountBase + "/api-keys/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listApiKeys", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.ReadAPIKeys), Summary: "List API keys",
		Description: "Newest first by default, including revoked ones, without their secrets.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createApiKey", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.WriteAPIKeys), Status: http.StatusCreated, Summary: "Create an API key",
		Description: "The response has the secret, which is not stored. Repeated with its Idempotency-Key in the " +
			"same session, the call " +
			"shows it again within 24 hours; in another session it is a CONFLICT.",
		Errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, h.create)
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getApiKey", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.ReadAPIKeys), Summary: "Get an API key",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "updateApiKey", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.WriteAPIKeys), Summary: "Update an API key",
		Description: "Only the operator can change its rate limits.", Errors: []apierr.Code{apierr.Conflict},
	}, h.update)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "revokeApiKey", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.WriteAPIKeys), Summary: "Revoke an API key",
		Description: "Immediate and permanent. The key stays in the list.",
	}, h.revoke)
}

// keyScope is a scope that tenants give to API keys.
type keyScope account.Scope

// Enum lists the scopes.
func (keyScope) Enum() []account.Scope { return account.KeyScopes() }

func scopes(list []keyScope) []account.Scope {
	var out []account.Scope
	for _, s := range list {
		out = append(out, account.Scope(s))
	}
	return out
}

type apiKeyPath struct {
	ID id.ID `path:"id" doc:"Id of the key, key_…"`
}

type createAPIKey struct {
	Body struct {
		Name            string          `json:"name" minLength:"1" maxLength:"64" example:"ci"`
		Scopes          []keyScope      `json:"scopes,omitempty" minItems:"1" maxItems:"11" doc:"Scopes of the key; all but wallet:write if omitted."`
		ExpiresAt       *time.Time      `json:"expiresAt,omitempty" doc:"When the key expires, in the future; never if omitted."`
		AllowedNetworks []string        `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"IP addresses and CIDR networks from which the key works; any address if omitted."`
		SpendingLimits  *wantedSpending `json:"spendingLimits,omitempty" doc:"Spending limits of the key; none if omitted."`
		Project         string          `json:"project,omitempty" maxLength:"64" example:"llm-pretraining" doc:"Binds the key to a project: it sees only that project's deployments and volumes, and what it creates is in it. Its scopes are at most those for offers, deployments, volumes and SSH keys."`
	}
}

type updateAPIKey struct {
	apiKeyPath
	Body struct {
		Name            *string                   `json:"name,omitempty" minLength:"1" maxLength:"64"`
		Scopes          *[]keyScope               `json:"scopes,omitempty" minItems:"1" maxItems:"11"`
		ExpiresAt       rest.SetOrNull[time.Time] `json:"expiresAt,omitempty" doc:"null means never."`
		AllowedNetworks *[]string                 `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"An empty list allows any address."`
		SpendingLimits  *wantedSpending           `json:"spendingLimits,omitempty" doc:"Replaces all spending limits; an empty object removes them."`
	}
}

// Check refuses an update without a field.
func (in *updateAPIKey) Check() []apierr.FieldError {
	b := &in.Body
	return someField(
		b.Name != nil || b.Scopes != nil || b.ExpiresAt.Given || b.AllowedNetworks != nil || b.SpendingLimits != nil,
	)
}

// wantedSpending are the spending limits of a request.
type wantedSpending struct {
	MaxHourlyPrice   *money.Micros `json:"maxHourlyPrice,omitempty" minimum:"0" doc:"Maximum price of one deployment, in US dollars per hour."`
	MaxSpendPerDay   *money.Micros `json:"maxSpendPerDay,omitempty" minimum:"0" doc:"Daily limit: US dollars for hours that begin on one day (UTC). A running deployment counts toward it until its autoTerminateAt, so set one on every deploy."`
	MaxSpendPerMonth *money.Micros `json:"maxSpendPerMonth,omitempty" minimum:"0" doc:"Monthly limit: US dollars for hours that begin in one month (UTC), counted in the same way."`
	MaxDeployments   *int64        `json:"maxDeployments,omitempty" minimum:"0" maximum:"1000000" doc:"Maximum number of concurrent deployments of the key."`
	GPUTypes         []string      `json:"gpuTypes,omitempty" maxItems:"50" maxLength:"100" doc:"GPU types that the key may deploy, such as NVIDIA B200; all if omitted."`
}

func (s *wantedSpending) limits() spendlimit.SpendingLimits {
	return spendlimit.SpendingLimits{
		MaxHourlyPrice: s.MaxHourlyPrice, MaxSpendPerDay: s.MaxSpendPerDay, MaxSpendPerMonth: s.MaxSpendPerMonth,
		MaxDeployments: s.MaxDeployments, GPUTypes: s.GPUTypes,
	}
}

// APIKey is a key with its spending limits.
type APIKey struct {
	account.Key
	SpendingLimits *spendlimit.SpendingLimits `json:"spendingLimits" doc:"Spending limits; null if there are none."`
}

// newAPIKey is a key with its secret, which is shown once.
type newAPIKey struct {
	account.Key
	SpendingLimits *spendlimit.SpendingLimits `json:"spendingLimits" doc:"Spending limits; null if there are none."`
	Secret         string                     `json:"key" doc:"The secret key. Send it as Authorization: Bearer. It is shown once; store it."`
}

// currentAPIKey is a key as its holder sees it: without what only members of the account need.
type currentAPIKey struct {
	ID              id.ID                      `json:"id" doc:"Id of the key, key_…; not the secret."`
	Name            string                     `json:"name" doc:"Name."`
	Account         keyAccount                 `json:"account" doc:"Account that the key belongs to and whose money it spends."`
	Scopes          []account.Scope            `json:"scopes" doc:"Scopes of the key."`
	Project         *string                    `json:"project" doc:"Project that the key is bound to; null for a key of the whole account."`
	AllowedNetworks []string                   `json:"allowedNetworks" doc:"IP addresses and CIDR networks from which the key works; any address if empty."`
	ExpiresAt       *time.Time                 `json:"expiresAt" doc:"When it expires; null means never."`
	CreatedAt       time.Time                  `json:"createdAt" doc:"When it was created."`
	SpendingLimits  *spendlimit.SpendingLimits `json:"spendingLimits" doc:"Spending limits; null if there are none."`
	Spent           *spendlimit.Spent          `json:"spent" doc:"Amount of the limits that is used; null for a key without limits, whose use is not counted."`
}

type keyAccount struct {
	ID   id.ID  `json:"id" doc:"Id of the account, acc_…"`
	Name string `json:"name" doc:"Name."`
}

func (h apiKeys) current(ctx context.Context, c *rest.Call, _ *rest.NoInput) (currentAPIKey, error) {
	k := callerOf(c).key
	out := currentAPIKey{
		ID: k.ID, Name: k.Name, Scopes: k.Scopes, AllowedNetworks: k.AllowedNetworks, ExpiresAt: k.ExpiresAt,
		CreatedAt: k.CreatedAt, Project: k.Project,
	}
	a, err := h.accounts.Get(ctx, h.db, k.Account)
	if err != nil {
		return out, err
	}
	out.Account = keyAccount{a.ID, a.Name}
	limits, err := spendlimit.Of(ctx, h.db, []id.ID{k.ID})
	if l, limited := limits[k.ID]; err == nil && limited {
		var spent spendlimit.Spent
		spent, err = spendlimit.Used(ctx, h.db, k.ID, h.clock.Now())
		out.SpendingLimits, out.Spent = &l, &spent
	}
	return out, err
}

func (h apiKeys) list(
	ctx context.Context, c *rest.Call, in *rest.ListQuery, p db.Page,
) ([]APIKey, db.Listed, error) {
	keys, total, err := h.accounts.ListKeys(ctx, h.db, c.Caller.Account, in.NameFilter(), in.Order(), p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	out, err := withSpending(ctx, h.db, keys)
	return out, total, err
}

func (h apiKeys) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createAPIKey) (newAPIKey, error) {
	b, user := &in.Body, callerOf(c).user
	k, secret, err := h.accounts.CreateKey(ctx, tx, c.Caller.Account, account.KeyRequest{
		Name: b.Name, Scopes: scopes(b.Scopes), ExpiresAt: b.ExpiresAt, AllowedNetworks: b.AllowedNetworks,
		CreatedBy: &account.Creator{ID: user.ID, Email: user.Email, Name: user.Name}, Project: b.Project,
	})
	if err != nil {
		return newAPIKey{}, err
	}
	c.Created(k.ID)
	if err := setSpending(ctx, tx, k.ID, b.SpendingLimits); err != nil {
		return newAPIKey{}, err
	}
	shown, err := h.spendingOf(ctx, tx, k, nil)
	return newAPIKey{shown.Key, shown.SpendingLimits, secret}, err
}

func (h apiKeys) get(ctx context.Context, r db.Reader, c *rest.Call, in *apiKeyPath) (APIKey, error) {
	k, err := h.accounts.GetKey(ctx, r, c.Caller.Account, in.ID)
	return h.spendingOf(ctx, r, k, err)
}

func (h apiKeys) update(ctx context.Context, tx *db.Tx, c *rest.Call, in *updateAPIKey) (APIKey, error) {
	b := &in.Body
	u := account.KeyUpdate{
		Name: b.Name, AllowedNetworks: b.AllowedNetworks, SetExpiry: b.ExpiresAt.Given, ExpiresAt: b.ExpiresAt.Value,
	}
	if b.Scopes != nil {
		list := scopes(*b.Scopes)
		if slices.Contains(list, account.WriteWallet) && !callerOf(c).session.Role.Allows(account.WriteWallet) {
			return APIKey{}, lacksScope(account.WriteWallet,
				"Your role lacks the scope wallet:write, so no key gets it from you. Ask an owner or admin of the "+
					"account.")
		}
		u.Scopes = &list
	}
	k, err := h.accounts.UpdateKey(ctx, tx, c.Caller.Account, in.ID, u)
	if err == nil {
		err = setSpending(ctx, tx, k.ID, b.SpendingLimits)
	}
	return h.spendingOf(ctx, tx, k, err)
}

func (h apiKeys) revoke(ctx context.Context, tx *db.Tx, c *rest.Call, in *apiKeyPath) (APIKey, error) {
	k, err := h.accounts.RevokeKey(ctx, tx, c.Caller.Account, in.ID)
	return h.spendingOf(ctx, tx, k, err)
}

func withSpending(ctx context.Context, r db.Reader, keys []account.Key) ([]APIKey, error) {
	ids := make([]id.ID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	limits, err := spendlimit.Of(ctx, r, ids)
	out := make([]APIKey, len(keys))
	for i, k := range keys {
		out[i].Key = k
		if l, limited := limits[k.ID]; limited {
			out[i].SpendingLimits = &l
		}
	}
	return out, err
}

// spendingOf makes a response of a key and its error.
func (apiKeys) spendingOf(ctx context.Context, r db.Reader, k account.Key, err error) (APIKey, error) {
	if err != nil {
		return APIKey{}, err
	}
	out, err := withSpending(ctx, r, []account.Key{k})
	return out[0], err
}

// setSpending sets the key's spending limits, if the request has any.
func setSpending(ctx context.Context, tx *db.Tx, key id.ID, want *wantedSpending) error {
	if want == nil {
		return nil
	}
	l := want.limits()
	if err := apierr.Invalid(l.Check("spendingLimits")).OrNil(); err != nil {
		return err
	}
	return spendlimit.Set(ctx, tx, key, l)
}
