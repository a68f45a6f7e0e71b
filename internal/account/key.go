package account

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Limits are the requests of each class that a key may make per minute.
type Limits struct {
	Read   int `json:"read" doc:"Reads per minute."`
	Write  int `json:"write" doc:"Writes per minute."`
	Deploy int `json:"deploy" doc:"Deploys per minute."`
}

// DefaultLimits are the limits of a key without overrides.
var DefaultLimits = Limits{Read: 60, Write: 20, Deploy: 5}

// Scope is one permission of a key or role.
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
	WriteWallet      Scope = "wallet:write"
	ReadWebhooks     Scope = "webhooks:read"
	WriteWebhooks    Scope = "webhooks:write"
)

// The operator scopes reach across accounts. Only an operator can grant them.
const (
	ReadOperator  Scope = "operator:read"
	WriteOperator Scope = "operator:write"
)

// OperatorScopes returns the scopes that AllScopes leaves out.
func OperatorScopes() []Scope { return []Scope{ReadOperator, WriteOperator} }

// KeyScopes returns every scope that a tenant's key can have, in the order in which keys list them.
// WriteWallet is the only one that no key gets unasked, and that only who has it can give.
func KeyScopes() []Scope { return append(AllScopes(), WriteWallet) }

// AllScopes returns the scopes that a tenant's key has if none are named.
func AllScopes() []Scope {
	return []Scope{
		ReadOffers, ReadDeployments, WriteDeployments, ReadSSHKeys, WriteSSHKeys, ReadVolumes, WriteVolumes,
		ReadWallet, ReadWebhooks,
		WriteWebhooks,
	}
}

// ProjectScopes returns the scopes that a key can have that is bound to a project. The others show
// or change what belongs to the whole account.
func ProjectScopes() []Scope {
	return []Scope{
		ReadOffers, ReadDeployments, WriteDeployments, ReadSSHKeys, WriteSSHKeys, ReadVolumes, WriteVolumes,
	}
}

// Enum lists every scope, those of roles and of operators included.
func (Scope) Enum() []Scope { return append(Owner.Scopes(), OperatorScopes()...) }

// Limits of a key's settings.
const (
	// MaxNetworks is the most allowed networks of a key.
	MaxNetworks = 32
	// MaxKeys is the most usable API keys of an account.
	MaxKeys = 100
	// MaxLimit is the highest number of requests per minute.
	MaxLimit = 1_000_000
)

// Key is an API key, without its secret.
type Key struct {
	ID      id.ID   `json:"id" doc:"Id of the key, key_…; not the secret."`
	Account id.ID   `json:"-"`
	Name    string  `json:"name" doc:"Name."`
	Scopes  []Scope `json:"scopes" doc:"Scopes of the key."`
	// Prefix is the beginning of the secret, such as "pk_live_ab12…".
	Prefix string `json:"prefix" doc:"Beginning of the secret."`
	Limits Limits `json:"limits" doc:"Requests of each class per minute."`
	// AllowedNetworks are IP addresses and CIDR networks. With none the key works from any address.
	AllowedNetworks []string   `json:"allowedNetworks" doc:"IP addresses and CIDR networks from which it works; empty for any address."`
	ExpiresAt       *time.Time `json:"expiresAt" doc:"When it expires; null for never."`
	RevokedAt       *time.Time `json:"revokedAt" doc:"When it was revoked; null if it was not."`
	// LastUsedAt is that of the last FlushLastUse.
	LastUsedAt *time.Time `json:"lastUsedAt" doc:"When it was last used, with a delay of up to a minute; null for never."`
	CreatedAt  time.Time  `json:"createdAt" doc:"When it was created."`
	// Project is the only project that the key sees, and that its resources get; nil for all.
	Project   *string         `json:"project" doc:"Project that the key is bound to: it sees only that project's deployments and volumes, and what it creates is in it; null for a key of the whole account."`
	CreatedBy creator.Creator `json:"createdBy" doc:"Who created it. If a user who created it leaves the account or loses the right to create keys there, the key is revoked."`
}

// Creator is the user who created something.
type Creator struct {
	ID    id.ID  `json:"id" doc:"Id of the user, usr_…"`
	Email string `json:"email" doc:"Email address."`
	// Name is what the user is called; "" for the email address.
	Name string `json:"-"`
}

// creator is the user as the creator of a resource, an operator for nil.
func (c *Creator) creator() creator.Creator {
	if c == nil {
		return creator.ByOperator
	}
	return creator.Creator{Type: creator.Member, ID: c.ID, Name: cmp.Or(c.Name, c.Email)}
}

// Allows reports whether the key has the scope.
func (k Key) Allows(s Scope) bool { return slices.Contains(k.Scopes, s) }

// LimitOverrides are limits of 1 to 1,000,000 requests per minute; nil is the default. Only an
// operator can set them.
type LimitOverrides struct{ Read, Write, Deploy *int }

func (o LimitOverrides) limits() Limits {
	l := DefaultLimits
	for _, one := range []struct {
		limit    *int
		override *int
	}{{&l.Read, o.Read}, {&l.Write, o.Write}, {&l.Deploy, o.Deploy}} {
		if one.override != nil {
			*one.limit = *one.override
		}
	}
	return l
}

// KeyRequest describes a new key.
type KeyRequest struct {
	Name string
	// Scopes is nil for AllScopes, or ProjectScopes with a project.
	Scopes []Scope
	// ExpiresAt must be in the future; nil is never.
	ExpiresAt *time.Time
	// AllowedNetworks are at most MaxNetworks IP addresses or CIDR networks; none for any address.
	AllowedNetworks []string
	Limits          LimitOverrides
	// ByOperator allows OperatorScopes.
	ByOperator bool
	// CreatedBy is nil if an operator creates the key.
	CreatedBy *Creator
	// Project binds the key to a project; "" for none.
	Project string
}

// KeyUpdate describes a change of a key; nil keeps a setting.
type KeyUpdate struct {
	Name            *string
	Scopes          *[]Scope
	AllowedNetworks *[]string
	// SetExpiry sets ExpiresAt: a time in the future, or nil for never.
	SetExpiry bool
	ExpiresAt *time.Time
}

// CreateKey creates a key and returns its secret, which is not stored. It returns INVALID_REQUEST
// with every invalid field, INSUFFICIENT_SCOPE if CreatedBy may not create keys in the account, and
// LIMIT_REACHED if the account has MaxKeys. An operator's key counts like any other.
func (s *Service) CreateKey(ctx context.Context, tx *db.Tx, account id.ID, req KeyRequest) (Key, string, error) {
	var c checker
	c.add(apierr.CheckName("name", req.Name))
	switch {
	case req.Scopes == nil && req.Project != "":
		req.Scopes = ProjectScopes()
	case req.Scopes == nil:
		req.Scopes = AllScopes()
	}
	k := Key{
		ID: s.cfg.IDs.New(id.APIKey), Account: account, Name: req.Name,
		Scopes: c.scopes(req.Scopes, req.ByOperator), AllowedNetworks: c.networks(req.AllowedNetworks),
		ExpiresAt: c.expiry(req.ExpiresAt, tx.Now), Limits: c.limits(req.Limits), CreatedAt: tx.Now,
		CreatedBy: req.CreatedBy.creator(),
	}
	if req.Project != "" {
		c.add(apierr.CheckName("project", req.Project))
		k.Project = &req.Project
		c.projectScopes(k.Scopes)
	}
	if err := apierr.Invalid(c.faults).OrNil(); err != nil {
		return Key{}, "", err
	}
	if err := checkMayCreateKey(ctx, tx, account, req.CreatedBy, k.Scopes); err != nil {
		return Key{}, "", err
	}
	secret, err := newSecret(s.cfg.Rand)
	if err != nil {
		return Key{}, "", err
	}
	k.Prefix = secret[:shownLength] + "…"
	if err := insertKey(ctx, tx, k, req.CreatedBy, hashOf(secret), req.Limits); err != nil {
		return Key{}, "", err
	}
	return k, secret, nil
}

// checkMayCreateKey locks the account, as every change of its members does. So concurrent keys do
// not exceed the maximum, and a key is created either before its creator is removed, and revoked
// then, or not at all.
func checkMayCreateKey(ctx context.Context, tx *db.Tx, account id.ID, by *Creator, scopes []Scope) error {
	if err := lockAccount(ctx, tx, account); err != nil {
		return err
	}
	if by != nil {
		role, _, err := roleIn(ctx, tx, account, by.ID)
		switch {
		case err != nil:
		case !role.Allows(WriteAPIKeys):
			err = apierr.New(apierr.InsufficientScope,
				"You may not create API keys in this account. Ask an owner or admin of the account.")
		case slices.Contains(scopes, WriteWallet) && !role.Allows(WriteWallet):
			err = apierr.New(apierr.InsufficientScope, "You may not create API keys with the scope wallet:write, "+
				"because your role lacks it. Ask an owner or admin of the account.")
		}
		if err != nil {
			return err
		}
	}
	n, err := countKeys(ctx, tx, account)
	if err == nil && n >= MaxKeys {
		err = apierr.Full("apiKeys", MaxKeys,
			"This account has %d API keys; the maximum is %d. Revoke one first.", n, MaxKeys)
	}
	return err
}

// ListKeys returns a page of the account's keys that the filter selects, including revoked ones, in
// that order.
func (s *Service) ListKeys(
	ctx context.Context, r db.Reader, account id.ID, f db.NameFilter, o db.Order, p db.Page,
) ([]Key, db.Listed, error) {
	return listKeys(ctx, r, account, f, o, p)
}

// GetKey returns one key. It returns NOT_FOUND for an unknown key, and for one of another account.
func (s *Service) GetKey(ctx context.Context, r db.Reader, account, key id.ID) (Key, error) {
	return foundKey(keyByID(ctx, r, account, key))
}

// UpdateKey changes a key. It returns INVALID_REQUEST with every invalid field, NOT_FOUND, and
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
	if err == nil && changed && k.Project != nil {
		c.projectScopes(k.Scopes)
		err = apierr.Invalid(c.faults).OrNil()
	}
	if err != nil || changed {
		return k, err
	}
	if _, err := s.GetKey(ctx, tx, account, key); err != nil {
		return Key{}, err
	}
	return Key{}, apierr.New(apierr.Conflict, "This API key is revoked and cannot be changed. Create a new one.")
}

// RevokeKey revokes a key permanently and returns it. To revoke it again succeeds and keeps the
// first time. It returns NOT_FOUND for a key that is not the account's.
func (s *Service) RevokeKey(ctx context.Context, tx *db.Tx, account, key id.ID) (Key, error) {
	tx.AfterCommit(s.remembered.forget)
	return foundKey(revokeKey(ctx, tx, account, key))
}

// SetLimits replaces a key's limits. It is for operators. It returns INVALID_REQUEST with every
// invalid field, or NOT_FOUND.
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

// checker collects every invalid field of a request while it normalizes the values.
type checker struct{ faults []apierr.FieldError }

func (c *checker) add(f []apierr.FieldError) { c.faults = append(c.faults, f...) }

func (c *checker) fault(field, format string, args ...any) {
	c.faults = append(c.faults, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// scopes returns each scope once, in the order of KeyScopes and then OperatorScopes.
func (c *checker) scopes(given []Scope, byOperator bool) []Scope {
	all := KeyScopes()
	if byOperator {
		all = append(all, OperatorScopes()...)
	}
	switch {
	case len(given) == 0:
		c.fault("scopes", "is empty; give at least one of: %s.", join(all, ", "))
		return nil
	case len(given) > 4*len(all):
		c.fault("scopes", "has %d entries, but there are only %d scopes.", len(given), len(all))
		return nil
	}
	for i, s := range given {
		if !slices.Contains(all, s) {
			c.fault(fmt.Sprintf("scopes[%d]", i), "is not a scope. The scopes are: %s.", join(all, ", "))
		}
	}
	return slices.DeleteFunc(all, func(s Scope) bool { return !slices.Contains(given, s) })
}

// projectScopes refuses scopes that a key of a project cannot have.
func (c *checker) projectScopes(given []Scope) {
	for _, s := range given {
		if !slices.Contains(ProjectScopes(), s) {
			c.fault("scopes", "cannot contain %s for a key that is bound to a project, because it is about the whole "+
				"account. Choose among: %s.", s, join(ProjectScopes(), ", "))
			return
		}
	}
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
			c.fault(fmt.Sprintf("allowedNetworks[%d]", i),
				"must be an IP address or a network such as 203.0.113.0/24 or 2001:db8::/48.")
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

// ParseNetwork parses an IP address or network, such as 203.0.113.7 or 2001:db8::/48, and returns
// false for anything else. It clears the bits beyond the network's, and turns an IPv4-mapped IPv6
// address into IPv4, as for callers' addresses. It refuses a zone, because callers' addresses have
// none.
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
		c.fault("expiresAt", "must be in the future.")
	}
	if t.Year() > 9999 {
		c.fault("expiresAt", "is after the year 9999; omit it for a key that does not expire.")
	}
	return &t
}

func (c *checker) limits(o LimitOverrides) Limits {
	check := func(field string, limit int) {
		if limit < 1 || limit > MaxLimit {
			c.fault("limits."+field, "must be from 1 to 1,000,000 requests per minute.")
		}
	}
	l := o.limits()
	check("read", l.Read)
	check("write", l.Write)
	check("deploy", l.Deploy)
	return l
}
