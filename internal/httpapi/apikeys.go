package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/fault"
	"github.com/billetcloud/billet/internal/id"
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
	}
}

type updateAPIKey struct {
	apiKeyPath
	Body struct {
		Name            *string              `json:"name,omitempty" minLength:"1" maxLength:"64"`
		Scopes          *[]account.Scope     `json:"scopes,omitempty" minItems:"1" maxItems:"10" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write"`
		ExpiresAt       setOrNull[time.Time] `json:"expiresAt,omitempty" doc:"null for never."`
		AllowedNetworks *[]string            `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"An empty list for anywhere."`
	}
}

func (in *updateAPIKey) check() []fault.Field {
	b := &in.Body
	return anything(b.Name != nil || b.Scopes != nil || b.ExpiresAt.Given || b.AllowedNetworks != nil)
}

// newAPIKey is a key with its secret, which is shown this once.
type newAPIKey struct {
	account.Key
	Secret string `json:"key" doc:"Send it as Authorization: Bearer. It is shown this once; keep it."`
}

func (s *server) addAPIKeys() {
	keys := AccountBase + "/api-keys"
	list(s, spec{
		method: http.MethodGet, path: keys, id: "listApiKeys", tag: tagAccount, door: doorPerson, scope: account.ReadAPIKeys,
		summary: "List API keys", text: "Newest first if no sort is given; revoked ones too, without their secrets.",
	}, func(ctx context.Context, c *call, in *listQuery, p db.Page) ([]account.Key, int, error) {
		return s.c.Accounts.ListKeys(ctx, s.c.DB, c.account, in.order(), p)
	})

	write(s, spec{
		method: http.MethodPost, path: keys, id: "createApiKey", tag: tagAccount, door: doorPerson, scope: account.WriteAPIKeys, status: http.StatusCreated,
		summary: "Make an API key", text: "The answer has the secret, which nobody can learn again. Repeated with its Idempotency-Key in the same session it shows it again within 24 hours; in another session it is a CONFLICT.",
		errors: []fault.Code{fault.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createAPIKey) (newAPIKey, error) {
		b := &in.Body
		k, secret, err := s.c.Accounts.CreateKey(ctx, tx, c.account, account.KeyRequest{
			Name: b.Name, Scopes: b.Scopes, ExpiresAt: b.ExpiresAt, AllowedNetworks: b.AllowedNetworks,
			CreatedBy: &account.Creator{ID: c.person.ID, Email: c.person.Email},
		})
		c.created(k.ID)
		return newAPIKey{k, secret}, err
	})

	read(s, spec{
		method: http.MethodGet, path: keys + "/{id}", id: "getApiKey", tag: tagAccount, door: doorPerson, scope: account.ReadAPIKeys, summary: "Get an API key",
	}, func(ctx context.Context, c *call, in *apiKeyPath) (account.Key, error) {
		return s.c.Accounts.GetKey(ctx, s.c.DB, c.account, in.ID)
	})

	write(s, spec{
		method: http.MethodPatch, path: keys + "/{id}", id: "updateApiKey", tag: tagAccount, door: doorPerson, scope: account.WriteAPIKeys,
		summary: "Change an API key", text: "Its limits are the operator's to change.", errors: []fault.Code{fault.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *updateAPIKey) (account.Key, error) {
		b := &in.Body
		return s.c.Accounts.UpdateKey(ctx, tx, c.account, in.ID, account.KeyUpdate{
			Name: b.Name, Scopes: b.Scopes, AllowedNetworks: b.AllowedNetworks, SetExpiry: b.ExpiresAt.Given, ExpiresAt: b.ExpiresAt.Value,
		})
	})

	write(s, spec{
		method: http.MethodDelete, path: keys + "/{id}", id: "revokeApiKey", tag: tagAccount, door: doorPerson, scope: account.WriteAPIKeys,
		summary: "Revoke an API key", text: "At once and for good. It stays in the list.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *apiKeyPath) (account.Key, error) {
		return s.c.Accounts.RevokeKey(ctx, tx, c.account, in.ID)
	})
}
