package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
)

type apiKeyPath struct {
	ID id.ID `path:"id" doc:"Id of the key, key_…"`
}

type createAPIKey struct {
	Body struct {
		Name            string          `json:"name" minLength:"1" maxLength:"64" example:"ci"`
		Scopes          []account.Scope `json:"scopes,omitempty" minItems:"1" maxItems:"10" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write" doc:"What the key may do; everything if left out."`
		ExpiresAt       *time.Time      `json:"expiresAt,omitempty" doc:"In the future; never if left out."`
		AllowedNetworks []string        `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"Addresses and CIDR networks from which the key works; anywhere if left out."`
		Spending        *wantedSpending `json:"spendingLimits,omitempty" doc:"What the key may spend; whatever the account has if left out."`
	}
}

type updateAPIKey struct {
	apiKeyPath
	Body struct {
		Name            *string              `json:"name,omitempty" minLength:"1" maxLength:"64"`
		Scopes          *[]account.Scope     `json:"scopes,omitempty" minItems:"1" maxItems:"10" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write"`
		ExpiresAt       setOrNull[time.Time] `json:"expiresAt,omitempty" doc:"null for never."`
		AllowedNetworks *[]string            `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"An empty list for anywhere."`
		Spending        *wantedSpending      `json:"spendingLimits,omitempty" doc:"Takes the place of all limits on what the key may spend; an empty object takes them away."`
	}
}

func (in *updateAPIKey) check() []apierr.FieldError {
	b := &in.Body
	return anything(b.Name != nil || b.Scopes != nil || b.ExpiresAt.Given || b.AllowedNetworks != nil || b.Spending != nil)
}

// wantedSpending are limits as a request gives them.
type wantedSpending struct {
	MaxHourlyPrice   *money.Micros `json:"maxHourlyPrice,omitempty" minimum:"0" doc:"US dollars an hour that one deployment may cost at most."`
	MaxSpendPerDay   *money.Micros `json:"maxSpendPerDay,omitempty" minimum:"0" doc:"US dollars for hours that begin on one day (UTC). What is begun counts until its planned end, and without one for ever: a program with such a key gives each deploy an autoTerminateAt."`
	MaxSpendPerMonth *money.Micros `json:"maxSpendPerMonth,omitempty" minimum:"0" doc:"US dollars for hours that begin in one month (UTC), counted alike."`
	MaxDeployments   *int64        `json:"maxDeployments,omitempty" minimum:"0" maximum:"1000000" doc:"How many deployments of the key may be there at a time."`
	GPUTypes         []string      `json:"gpuTypes,omitempty" maxItems:"50" maxLength:"100" doc:"Which GPU types it may deploy, such as NVIDIA B200; all if left out."`
}

func (s *wantedSpending) limits() spendlimit.SpendingLimits {
	return spendlimit.SpendingLimits{MaxHourlyPrice: s.MaxHourlyPrice, MaxSpendPerDay: s.MaxSpendPerDay, MaxSpendPerMonth: s.MaxSpendPerMonth, MaxDeployments: s.MaxDeployments, GPUTypes: s.GPUTypes}
}

// APIKey is a key with what it may spend.
type APIKey struct {
	account.Key
	Spending *spendlimit.SpendingLimits `json:"spendingLimits" doc:"What the key may spend; null where only the account's money bounds it."`
}

func (s *server) withSpending(ctx context.Context, r db.Reader, keys []account.Key) ([]APIKey, error) {
	ids := make([]id.ID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	limits, err := spendlimit.Of(ctx, r, ids)
	out := make([]APIKey, len(keys))
	for i, k := range keys {
		out[i].Key = k
		if l, limited := limits[k.ID]; limited {
			out[i].Spending = &l
		}
	}
	return out, err
}

// spendingOf makes of a key and its error what is answered.
func (s *server) spendingOf(ctx context.Context, r db.Reader, k account.Key, err error) (APIKey, error) {
	if err != nil {
		return APIKey{}, err
	}
	out, err := s.withSpending(ctx, r, []account.Key{k})
	return out[0], err
}

// setSpending gives the key limits, where the request has any.
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

// newAPIKey is a key with its secret, which is shown this once.
type newAPIKey struct {
	account.Key
	Spending *spendlimit.SpendingLimits `json:"spendingLimits" doc:"What the key may spend; null where only the account's money bounds it."`
	Secret   string                     `json:"key" doc:"Send it as Authorization: Bearer. It is shown this once; keep it."`
}

// callingKey is a key as its holder sees it: without what only people of the account need to know.
type callingKey struct {
	ID              id.ID                      `json:"id" doc:"Id of the key, key_…; not the secret."`
	Name            string                     `json:"name" doc:"What it is called."`
	Account         keyAccount                 `json:"account" doc:"Whose key it is, and whose money it spends."`
	Scopes          []account.Scope            `json:"scopes" doc:"What it may do."`
	AllowedNetworks []string                   `json:"allowedNetworks" doc:"Addresses and CIDR networks from which it works; anywhere where there are none."`
	ExpiresAt       *time.Time                 `json:"expiresAt" doc:"When it ceases to work; null for never."`
	CreatedAt       time.Time                  `json:"createdAt" doc:"When it was made."`
	Spending        *spendlimit.SpendingLimits `json:"spendingLimits" doc:"What the key may spend; null where only the account's money bounds it."`
	Spent           *spendlimit.Spent          `json:"spent" doc:"What of that is used; null for a key without limits, whose use is not counted."`
}

type keyAccount struct {
	ID   id.ID  `json:"id" doc:"Id of the account, acc_…"`
	Name string `json:"name" doc:"What it is called."`
}

func (s *server) callingKey(ctx context.Context, r db.Reader, k account.Key) (callingKey, error) {
	out := callingKey{ID: k.ID, Name: k.Name, Scopes: k.Scopes, AllowedNetworks: k.AllowedNetworks, ExpiresAt: k.ExpiresAt, CreatedAt: k.CreatedAt}
	a, err := s.c.Accounts.Get(ctx, r, k.Account)
	if err != nil {
		return out, err
	}
	out.Account = keyAccount{a.ID, a.Name}
	limits, err := spendlimit.Of(ctx, r, []id.ID{k.ID})
	if l, limited := limits[k.ID]; err == nil && limited {
		var spent spendlimit.Spent
		spent, err = spendlimit.Used(ctx, r, k.ID, s.c.Clock.Now())
		out.Spending, out.Spent = &l, &spent
	}
	return out, err
}

func (s *server) addAPIKeys() {
	read(s, spec{
		method: http.MethodGet, path: Base + "/key", id: "getKey", tag: tagAccount, door: doorAnyKey, summary: "The API key that makes this call",
		text: "What a program has to know of itself: what its key may do and spend, what of that is used, and whose it is. The secret is not shown.",
	}, func(ctx context.Context, c *call, _ *none) (callingKey, error) {
		return s.callingKey(ctx, s.c.DB, *c.key)
	})

	keys := AccountBase + "/api-keys"
	list(s, spec{
		method: http.MethodGet, path: keys, id: "listApiKeys", tag: tagAccount, door: doorUser, scope: account.ReadAPIKeys,
		summary: "List API keys", text: "Newest first if no sort is given; revoked ones too, without their secrets.",
	}, func(ctx context.Context, c *call, in *listQuery, p db.Page) ([]APIKey, db.Listed, error) {
		keys, total, err := s.c.Accounts.ListKeys(ctx, s.c.DB, c.account, in.order(), p)
		if err != nil {
			return nil, db.Listed{}, err
		}
		out, err := s.withSpending(ctx, s.c.DB, keys)
		return out, total, err
	})

	write(s, spec{
		method: http.MethodPost, path: keys, id: "createApiKey", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys, status: http.StatusCreated,
		summary: "Make an API key", text: "The answer has the secret, which nobody can learn again. Repeated with its Idempotency-Key in the same session it shows it again within 24 hours; in another session it is a CONFLICT.",
		errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createAPIKey) (newAPIKey, error) {
		b := &in.Body
		k, secret, err := s.c.Accounts.CreateKey(ctx, tx, c.account, account.KeyRequest{
			Name: b.Name, Scopes: b.Scopes, ExpiresAt: b.ExpiresAt, AllowedNetworks: b.AllowedNetworks,
			CreatedBy: &account.Creator{ID: c.user.ID, Email: c.user.Email},
		})
		if err != nil {
			return newAPIKey{}, err
		}
		c.created(k.ID)
		if err := setSpending(ctx, tx, k.ID, b.Spending); err != nil {
			return newAPIKey{}, err
		}
		shown, err := s.spendingOf(ctx, tx, k, nil)
		return newAPIKey{shown.Key, shown.Spending, secret}, err
	})

	read(s, spec{
		method: http.MethodGet, path: keys + "/{id}", id: "getApiKey", tag: tagAccount, door: doorUser, scope: account.ReadAPIKeys, summary: "Get an API key",
	}, func(ctx context.Context, c *call, in *apiKeyPath) (APIKey, error) {
		k, err := s.c.Accounts.GetKey(ctx, s.c.DB, c.account, in.ID)
		return s.spendingOf(ctx, s.c.DB, k, err)
	})

	write(s, spec{
		method: http.MethodPatch, path: keys + "/{id}", id: "updateApiKey", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys,
		summary: "Change an API key", text: "Its limits are the operator's to change.", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *updateAPIKey) (APIKey, error) {
		b := &in.Body
		k, err := s.c.Accounts.UpdateKey(ctx, tx, c.account, in.ID, account.KeyUpdate{
			Name: b.Name, Scopes: b.Scopes, AllowedNetworks: b.AllowedNetworks, SetExpiry: b.ExpiresAt.Given, ExpiresAt: b.ExpiresAt.Value,
		})
		if err == nil {
			err = setSpending(ctx, tx, k.ID, b.Spending)
		}
		return s.spendingOf(ctx, tx, k, err)
	})

	write(s, spec{
		method: http.MethodDelete, path: keys + "/{id}", id: "revokeApiKey", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys,
		summary: "Revoke an API key", text: "At once and for good. It stays in the list.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *apiKeyPath) (APIKey, error) {
		k, err := s.c.Accounts.RevokeKey(ctx, tx, c.account, in.ID)
		return s.spendingOf(ctx, tx, k, err)
	})
}
