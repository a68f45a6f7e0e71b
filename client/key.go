package client

import (
	"context"
	"net/http"
	"time"
)

// Scope is something that an API key may do.
type Scope string

// The scopes. Those of people and operators are no tenant's key's.
const (
	// ScopeReadOffers sees what can be deployed.
	ScopeReadOffers Scope = "offers:read"
	// ScopeReadDeployments sees deployments, ScopeWriteDeployments makes, changes and ends them.
	ScopeReadDeployments  Scope = "deployments:read"
	ScopeWriteDeployments Scope = "deployments:write"
	// ScopeReadSSHKeys sees SSH keys, ScopeWriteSSHKeys changes them.
	ScopeReadSSHKeys  Scope = "ssh-keys:read"
	ScopeWriteSSHKeys Scope = "ssh-keys:write"
	// ScopeReadVolumes sees volumes, ScopeWriteVolumes makes, changes and deletes them.
	ScopeReadVolumes  Scope = "volumes:read"
	ScopeWriteVolumes Scope = "volumes:write"
	// ScopeReadWallet sees the money, ScopeWriteWallet is a user's.
	ScopeReadWallet  Scope = "wallet:read"
	ScopeWriteWallet Scope = "wallet:write"
	// ScopeReadWebhooks sees webhooks and their deliveries, ScopeWriteWebhooks makes, changes and deletes them.
	ScopeReadWebhooks  Scope = "webhooks:read"
	ScopeWriteWebhooks Scope = "webhooks:write"
	// ScopeReadAPIKeys and ScopeWriteAPIKeys are a user's, as are those of people and of the audit.
	ScopeReadAPIKeys  Scope = "api-keys:read"
	ScopeWriteAPIKeys Scope = "api-keys:write"
	ScopeReadPeople   Scope = "people:read"
	ScopeWritePeople  Scope = "people:write"
	ScopeReadAudit    Scope = "audit:read"
	// ScopeReadOperator and ScopeWriteOperator are who runs the cloud.
	ScopeReadOperator  Scope = "operator:read"
	ScopeWriteOperator Scope = "operator:write"
)

// SpendingLimits are what an API key may spend. Nil is no limit. What is begun counts until its planned end, and without one for ever.
type SpendingLimits struct {
	// MaxHourlyPrice is what one deployment may cost in an hour.
	MaxHourlyPrice *Money `json:"maxHourlyPrice"`
	// MaxSpendPerDay and MaxSpendPerMonth are for hours that begin on one day, or in one month, in UTC.
	MaxSpendPerDay   *Money `json:"maxSpendPerDay"`
	MaxSpendPerMonth *Money `json:"maxSpendPerMonth"`
	// MaxDeployments is how many deployments of the key may be there at a time.
	MaxDeployments *int `json:"maxDeployments"`
	// GPUTypes are the types that it may deploy; all where there are none.
	GPUTypes []string `json:"gpuTypes"`
}

// Spent is what of its limits a key has used.
type Spent struct {
	// CommittedToday and CommittedThisMonth are for hours that begin today, or in this month, in UTC, also those that are still to come until the planned ends.
	CommittedToday     Money `json:"committedToday"`
	CommittedThisMonth Money `json:"committedThisMonth"`
	// Deployments is how many deployments of the key are there now.
	Deployments int `json:"deployments"`
}

// KeyAccount is whose an API key is.
type KeyAccount struct {
	// ID is acc_…, Name what it is called.
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Key is the API key that a client uses. Its secret is not in it.
type Key struct {
	// ID is key_…, Name what it is called.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Account is whose money it spends.
	Account KeyAccount `json:"account"`
	// Scopes are what it may do.
	Scopes []Scope `json:"scopes"`
	// AllowedNetworks are addresses and CIDR networks from which it works; anywhere where there are none.
	AllowedNetworks []string `json:"allowedNetworks"`
	// ExpiresAt is when it ceases to work; nil for never.
	ExpiresAt *time.Time `json:"expiresAt"`
	// CreatedAt is when it was made.
	CreatedAt time.Time `json:"createdAt"`
	// Spending is what it may spend, Spent what of that is used; both are nil where only the account's money bounds it.
	Spending *SpendingLimits `json:"spendingLimits"`
	Spent    *Spent          `json:"spent"`
}

// KeyService tells about the client's own API key.
type KeyService struct{ c *Client }

// Get returns the key that makes the call. It needs no scope.
func (s *KeyService) Get(ctx context.Context, options ...CallOption) (*Key, error) {
	return one[Key](ctx, s.c, request{method: http.MethodGet, path: "/key"}, options)
}
