package account

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Limits are how many calls of each class a key may make in a minute.
type Limits struct {
	Read   int `json:"read" doc:"Reads a minute."`
	Write  int `json:"write" doc:"Writes a minute."`
	Deploy int `json:"deploy" doc:"Deploys a minute."`
}

// DefaultLimits hold for every key to which the operator gave no others.
var DefaultLimits = Limits{Read: 60, Write: 20, Deploy: 5}

// Scope is one thing that a key may do.
type Scope string

// The scopes.
const (
	ReadOffers       Scope = "offers:read"
	ReadDeployments  Scope = "deployments:read"
	WriteDeployments Scope = "deployments:write"
	ReadSSHKeys      Scope = "ssh-keys:read"
	WriteSSHKeys     Scope = "ssh-keys:write"
	ReadVolumes      Scope = "volumes:read"
	WriteVolumes     Scope = "volumes:write"
	ReadWallet       Scope = "wallet:read"
	ReadWebhooks     Scope = "webhooks:read"
	WriteWebhooks    Scope = "webhooks:write"
)

// The operator's scopes: they reach across accounts, and only the operator gives them, never a tenant.
const (
	ReadOperator  Scope = "operator:read"
	WriteOperator Scope = "operator:write"
)

// OperatorScopes returns the scopes that AllScopes leaves out.
func OperatorScopes() []Scope { return []Scope{ReadOperator, WriteOperator} }

// AllScopes returns every scope, in the order in which keys list theirs.
func AllScopes() []Scope {
	return []Scope{ReadOffers, ReadDeployments, WriteDeployments, ReadSSHKeys, WriteSSHKeys, ReadVolumes, WriteVolumes, ReadWallet, ReadWebhooks, WriteWebhooks}
}

// Enum lists every scope, those of roles and of the operator included.
func (Scope) Enum() []Scope { return append(Owner.Scopes(), OperatorScopes()...) }

// Bounds of a key's settings.
const (
	// MaxNetworks is the most allowed networks of one key.
	MaxNetworks = 32
	// MaxKeys is how many API keys that can still be used its users may make in an account.
	MaxKeys = 100
	// MaxLimit is the most calls per minute that a key can be given.
	MaxLimit = 1_000_000
)

// Key is an API key, without its secret.
type Key struct {
	ID      id.ID   `json:"id" doc:"Id of the key, key_…; not the secret."`
	Account id.ID   `json:"-"`
	Name    string  `json:"name" doc:"What it is called."`
	Scopes  []Scope `json:"scopes" doc:"What it may do."`
	// Prefix is the secret's beginning and an ellipsis, "pk_live_ab12…", to recognise it by.
	Prefix string `json:"prefix" doc:"The beginning of the secret, to recognise it by."`
	Limits Limits `json:"limits" doc:"How many calls of each kind it may make in a minute."`
	// AllowedNetworks are addresses and CIDR networks; where there are none the key works from anywhere.
	AllowedNetworks []string   `json:"allowedNetworks" doc:"Addresses and CIDR networks from which it works; anywhere where there are none."`
	ExpiresAt       *time.Time `json:"expiresAt" doc:"When it ceases to work; null for never."`
	RevokedAt       *time.Time `json:"revokedAt" doc:"When it was revoked; null while it is not."`
	// LastUsedAt may lag behind by as long as FlushLastUse is not called.
	LastUsedAt *time.Time `json:"lastUsedAt" doc:"When it was last used, up to a minute behind; null for never."`
	CreatedAt  time.Time  `json:"createdAt" doc:"When it was made."`
	// CreatedBy is nil for a key that the operator made.
	CreatedBy *Creator `json:"createdBy" doc:"Who made it; null for the operator. When that user leaves the account, or may make no keys there any more, the key is revoked."`
}

// Creator is the user who made something.
type Creator struct {
	ID    id.ID  `json:"id" doc:"Id of the user, usr_…"`
	Email string `json:"email" doc:"Their e-mail address."`
}

// Allows tells whether the key has the scope.
func (k Key) Allows(s Scope) bool { return slices.Contains(k.Scopes, s) }

// LimitOverrides are limits of 1 to 1,000,000 per minute; nil leaves the default. They
// are the operator's to give, never the tenant's.
type LimitOverrides struct{ Read, Write, Deploy *int }

// KeyRequest says what a new key shall be.
type KeyRequest struct {
	Name string
	// Scopes is nil for all of them.
	Scopes []Scope
	// ExpiresAt must be in the future; nil is never.
	ExpiresAt *time.Time
	// AllowedNetworks are at most 32 addresses or CIDR networks; none is from anywhere.
	AllowedNetworks []string
	Limits          LimitOverrides
	// ByOperator tells that the operator makes the key, who may give it OperatorScopes.
	ByOperator bool
	// CreatedBy is nil where the operator makes the key.
	CreatedBy *Creator
}

// KeyUpdate says what of a key shall change; nil leaves as it is.
type KeyUpdate struct {
	Name            *string
	Scopes          *[]Scope
	AllowedNetworks *[]string
	// SetExpiry tells that ExpiresAt counts: a time in the future, or nil for never.
	SetExpiry bool
	ExpiresAt *time.Time
}

// CreateKey makes a key and returns its secret, which nobody can learn again. It answers INVALID_REQUEST with all faults at
// once, INSUFFICIENT_SCOPE where CreatedBy may make none in the account, or not any more, and LIMIT_REACHED where CreatedBy would make more than MaxKeys.
func (s *Service) CreateKey(ctx context.Context, tx *db.Tx, account id.ID, req KeyRequest) (Key, string, error) {
	var c checker
	c.add(apierr.CheckName("name", req.Name))
	if req.Scopes == nil {
		req.Scopes = AllScopes()
	}
	k := Key{
		ID: s.c.IDs.New(id.APIKey), Account: account, Name: req.Name, Scopes: c.scopes(req.Scopes, req.ByOperator), AllowedNetworks: c.networks(req.AllowedNetworks),
		ExpiresAt: c.expiry(req.ExpiresAt, tx.Now), Limits: c.limits(req.Limits), CreatedAt: tx.Now,
		CreatedBy: req.CreatedBy,
	}
	if err := apierr.Invalid(c.faults).OrNil(); err != nil {
		return Key{}, "", err
	}
	if req.CreatedBy != nil {
		if err := mayMakeKeys(ctx, tx, account, req.CreatedBy.ID); err != nil { // which holds the account, so that of two at once both are counted
			return Key{}, "", err
		}
		n, err := countKeys(ctx, tx, account)
		if err == nil && n >= MaxKeys {
			err = apierr.Full("apiKeys", MaxKeys, "This account has %d API keys, and %d is the most. Revoke one that is not needed first.", n, MaxKeys)
		}
		if err != nil {
			return Key{}, "", err
		}
	}
	secret, err := newSecret(s.c.Rand)
	if err != nil {
		return Key{}, "", err
	}
	k.Prefix = secret[:shownLength] + "…"
	if err := insertKey(ctx, tx, k, hashOf(secret), req.Limits); err != nil {
		return Key{}, "", err
	}
	return k, secret, nil
}

// mayMakeKeys holds the account, as every change of its people does: a key comes either before its maker has to go, and is
// revoked with the others, or not at all.
func mayMakeKeys(ctx context.Context, tx *db.Tx, account, user id.ID) error {
	if err := holdAccount(ctx, tx, account); err != nil {
		return err
	}
	role, _, err := roleIn(ctx, tx, account, user)
	if err == nil && !role.Allows(WriteAPIKeys) {
		err = apierr.New(apierr.InsufficientScope, "You may not make API keys in this account. Ask an owner or admin of the account.")
	}
	return err
}

// ListKeys returns a page of the account's keys, revoked ones too, in that order, and how many there are.
func (s *Service) ListKeys(ctx context.Context, r db.Reader, account id.ID, o db.Order, p db.Page) ([]Key, db.Listed, error) {
	return listKeys(ctx, r, account, o, p)
}

// GetKey returns one key, or NOT_FOUND, also where it is another account's.
func (s *Service) GetKey(ctx context.Context, r db.Reader, account, key id.ID) (Key, error) {
	return foundKey(keyByID(ctx, r, account, key))
}

// UpdateKey changes a key. It answers INVALID_REQUEST with all faults at once, NOT_FOUND, and
// CONFLICT for a revoked key.
func (s *Service) UpdateKey(ctx context.Context, tx *db.Tx, account, key id.ID, u KeyUpdate) (Key, error) {
	var c checker
	if u.Name != nil {
		c.add(apierr.CheckName("name", *u.Name))
	}
	if u.Scopes != nil {
		checked := c.scopes(*u.Scopes, false)
		u.Scopes = &checked
	}
	if u.AllowedNetworks != nil {
		checked := c.networks(*u.AllowedNetworks)
		u.AllowedNetworks = &checked
	}
	u.ExpiresAt = c.expiry(u.ExpiresAt, tx.Now)
	if err := apierr.Invalid(c.faults).OrNil(); err != nil {
		return Key{}, err
	}
	tx.AfterCommit(s.remembered.forget)
	k, changed, err := updateKey(ctx, tx, account, key, u)
	if err != nil || changed {
		return k, err
	}
	if _, err := s.GetKey(ctx, tx, account, key); err != nil {
		return Key{}, err
	}
	return Key{}, apierr.New(apierr.Conflict, "This API key is revoked for good and cannot be changed. Make a new one.")
}

// RevokeKey ends a key for good and returns it. To revoke it again succeeds and keeps the first
// time. It answers NOT_FOUND for a key that is not the account's.
func (s *Service) RevokeKey(ctx context.Context, tx *db.Tx, account, key id.ID) (Key, error) {
	tx.AfterCommit(s.remembered.forget)
	return foundKey(revokeKey(ctx, tx, account, key))
}

// SetLimits gives a key other limits, nil meaning the default. It is for the operator. It
// answers INVALID_REQUEST with all faults at once, or NOT_FOUND.
func (s *Service) SetLimits(ctx context.Context, tx *db.Tx, account, key id.ID, o LimitOverrides) (Key, error) {
	var c checker
	c.limits(o)
	if err := apierr.Invalid(c.faults).OrNil(); err != nil {
		return Key{}, err
	}
	tx.AfterCommit(s.remembered.forget)
	return foundKey(setLimits(ctx, tx, account, key, o))
}

func foundKey(k Key, found bool, err error) (Key, error) {
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no API key with this id.")
	}
	return k, err
}

// checker collects every fault of a request while it makes the values canonical.
type checker struct{ faults []apierr.FieldError }

func (c *checker) add(f []apierr.FieldError) { c.faults = append(c.faults, f...) }

func (c *checker) fault(field, format string, args ...any) {
	c.faults = append(c.faults, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// scopes returns each scope once, in the order of AllScopes and then OperatorScopes.
func (c *checker) scopes(given []Scope, byOperator bool) []Scope {
	all := AllScopes()
	if byOperator {
		all = append(all, OperatorScopes()...)
	}
	switch {
	case len(given) == 0:
		c.fault("scopes", "is empty, so that the key could do nothing. Give at least one of: %s.", join(all, ", "))
		return nil
	case len(given) > 4*len(all):
		c.fault("scopes", "has %d entries, and there are only %d scopes.", len(given), len(all))
		return nil
	}
	for i, s := range given {
		if !slices.Contains(all, s) {
			c.fault(fmt.Sprintf("scopes[%d]", i), "is not a scope. The scopes are: %s.", join(all, ", "))
		}
	}
	return slices.DeleteFunc(all, func(s Scope) bool { return !slices.Contains(given, s) })
}

func join(scopes []Scope, separator string) string {
	var words []string
	for _, s := range scopes {
		words = append(words, string(s))
	}
	return strings.Join(words, separator)
}

// networks returns each network once, in canonical form.
func (c *checker) networks(given []string) []string {
	out := []string{}
	if len(given) > MaxNetworks {
		c.fault("allowedNetworks", "has %d entries; at most %d are allowed.", len(given), MaxNetworks)
		return out
	}
	for i, text := range given {
		p, ok := ParseNetwork(text)
		if !ok {
			c.fault(fmt.Sprintf("allowedNetworks[%d]", i), "is neither an IP address nor a network such as 203.0.113.0/24 or 2001:db8::/48.")
			continue
		}
		canonical := p.String()
		if p.IsSingleIP() {
			canonical = p.Addr().String()
		}
		if !slices.Contains(out, canonical) {
			out = append(out, canonical)
		}
	}
	return out
}

// ParseNetwork reads an address or a network, such as 203.0.113.7 or 2001:db8::/48, and is false for anything else. Bits beyond
// the network's are dropped, and an IPv4 one in the clothes of IPv6 becomes IPv4, as callers' addresses do. A zone is refused: callers'
// addresses have none, so it would promise what is not kept.
func ParseNetwork(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func (c *checker) expiry(at *time.Time, now time.Time) *time.Time {
	if at == nil {
		return nil
	}
	t := at.UTC().Truncate(time.Microsecond)
	if !t.After(now) {
		c.fault("expiresAt", "is not in the future.")
	}
	if t.Year() > 9999 {
		c.fault("expiresAt", "is beyond the year 9999. Leave it out for a key that does not expire.")
	}
	return &t
}

func (c *checker) limits(o LimitOverrides) Limits {
	one := func(field string, given *int, standard int) int {
		if given == nil {
			return standard
		}
		if *given < 1 || *given > MaxLimit {
			c.fault("limits."+field, "must be from 1 to 1,000,000 calls per minute.")
		}
		return *given
	}
	return Limits{
		Read: one("read", o.Read, DefaultLimits.Read), Write: one("write", o.Write, DefaultLimits.Write),
		Deploy: one("deploy", o.Deploy, DefaultLimits.Deploy),
	}
}
