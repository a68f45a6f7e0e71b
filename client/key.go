package client

import (
	"context"
	"net/http"
	"time"
)

// Scope is a permission of an API key.
type Scope string

// The scopes. An API key of a tenant cannot have those of members, API keys, the audit log and
// operators.
const (
	// ScopeReadOffers reads offers.
	ScopeReadOffers Scope = "offers:read"
	// ScopeReadDeployments reads deployments, ScopeWriteDeployments changes them.
	ScopeReadDeployments  Scope = "deployments:read"
	ScopeWriteDeployments Scope = "deployments:write"
	// ScopeReadSSHKeys reads SSH keys, ScopeWriteSSHKeys changes them.
	ScopeReadSSHKeys  Scope = "ssh-keys:read"
	ScopeWriteSSHKeys Scope = "ssh-keys:write"
	// ScopeReadVolumes reads volumes, ScopeWriteVolumes changes them.
	ScopeReadVolumes  Scope = "volumes:read"
	ScopeWriteVolumes Scope = "volumes:write"
	// ScopeReadWallet reads the wallet, ScopeWriteWallet changes it.
	ScopeReadWallet  Scope = "wallet:read"
	ScopeWriteWallet Scope = "wallet:write"
	// ScopeReadWebhooks reads webhooks and their deliveries, ScopeWriteWebhooks changes them.
	ScopeReadWebhooks  Scope = "webhooks:read"
	ScopeWriteWebhooks Scope = "webhooks:write"
	// ScopeReadAPIKeys and ScopeWriteAPIKeys are a user's, as are those of members and of the
	// audit.
	ScopeReadAPIKeys  Scope = "api-keys:read"
	ScopeWriteAPIKeys Scope = "api-keys:write"
	ScopeReadMembers  Scope = "members:read"
	ScopeWriteMembers Scope = "members:write"
	ScopeReadAudit    Scope = "audit:read"
	// ScopeReadOperator and ScopeWriteOperator are who runs the cloud.
	ScopeReadOperator  Scope = "operator:read"
	ScopeWriteOperator Scope = "operator:write"
)

// SpendingLimits limit the spending of an API key. Nil means no limit. A running deployment counts
// until its auto-terminate time, or indefinitely without one.
type SpendingLimits struct {
	// MaxHourlyPrice limits the price of one deployment per hour.
	MaxHourlyPrice *Money `json:"maxHourlyPrice"`
	// MaxSpendPerDay and MaxSpendPerMonth limit the cost of hours that start on one day, or in one
	// month, in UTC.
	MaxSpendPerDay   *Money `json:"maxSpendPerDay"`
	MaxSpendPerMonth *Money `json:"maxSpendPerMonth"`
	// MaxDeployments limits the concurrent deployments of the key.
	MaxDeployments *int `json:"maxDeployments"`
	// GPUTypes are the types that the key may deploy; empty means all.
	GPUTypes []string `json:"gpuTypes"`
}

// Spent is how much of its limits a key has used.
type Spent struct {
	// CommittedToday and CommittedThisMonth are the costs of hours that start today, or in this
	// month, in UTC, including future ones until the auto-terminate times.
	CommittedToday     Money `json:"committedToday"`
	CommittedThisMonth Money `json:"committedThisMonth"`
	// Deployments is the current number of deployments of the key.
	Deployments int `json:"deployments"`
}

// KeyAccount is the account of an API key.
type KeyAccount struct {
	// ID has the form acc_….
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Key describes an API key, without its secret.
type Key struct {
	// ID has the form key_….
	ID   string `json:"id"`
	Name string `json:"name"`
	// Account is the account of the key.
	Account KeyAccount `json:"account"`
	// Scopes are the permissions of the key.
	Scopes []Scope `json:"scopes"`
	// Project is the project that the key is bound to: it sees only that project's deployments and
	// volumes, and what it creates is in it. nil for a key of the whole account.
	Project *string `json:"project"`
	// AllowedNetworks is the IP allowlist, addresses and CIDR networks; empty means any.
	AllowedNetworks []string `json:"allowedNetworks"`
	// ExpiresAt is when the key expires; nil means never.
	ExpiresAt *time.Time `json:"expiresAt"`
	// CreatedAt is when the key was created.
	CreatedAt time.Time `json:"createdAt"`
	// Spending are the spending limits, Spent how much of them is used; both are nil if there are
	// none.
	Spending *SpendingLimits `json:"spendingLimits"`
	Spent    *Spent          `json:"spent"`
}

// KeyService describes the client's API key.
type KeyService struct{ c *Client }

// Get returns the key that makes the call. It needs no scope.
func (s *KeyService) Get(ctx context.Context, options ...CallOption) (*Key, error) {
	return one[Key](ctx, s.c, request{method: http.MethodGet, path: "/key"}, options)
}
