package account

import (
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
)

// Role is the role of a user in an account.
type Role string

// The roles.
const (
	Owner   Role = "owner"
	Admin   Role = "admin"
	Member  Role = "member"
	Viewer  Role = "viewer"
	Billing Role = "billing"
)

// Roles lists every role, the most powerful first.
var Roles = []Role{Owner, Admin, Member, Viewer, Billing}

// Enum lists every role.
func (Role) Enum() []Role { return Roles }

// The scopes that roles have and API keys cannot have.
const (
	ReadAPIKeys  Scope = "api-keys:read"
	WriteAPIKeys Scope = "api-keys:write"
	ReadMembers  Scope = "members:read"
	WriteMembers Scope = "members:write"
	ReadAudit    Scope = "audit:read"
)

// Scopes returns the scopes of the role, none for an unknown role. A role that may create API keys
// has every scope that a key can have, so no key does what its creator's role denies.
func (r Role) Scopes() []Scope {
	switch r {
	case Owner, Admin:
		return append(KeyScopes(), ReadAPIKeys, WriteAPIKeys, ReadMembers, WriteMembers, ReadAudit)
	case Member:
		return append(AllScopes(), ReadAPIKeys, WriteAPIKeys)
	case Viewer:
		return []Scope{ReadOffers, ReadDeployments, ReadSSHKeys, ReadVolumes, ReadWallet, ReadWebhooks}
	case Billing:
		return []Scope{ReadOffers, ReadDeployments, ReadVolumes, ReadWallet, WriteWallet}
	default:
		return nil
	}
}

// Allows reports whether the role has the scope.
func (r Role) Allows(s Scope) bool { return slices.Contains(r.Scopes(), s) }

// RolesWith returns the roles that have the scope.
func RolesWith(s Scope) []Role {
	return slices.DeleteFunc(slices.Clone(Roles), func(r Role) bool { return !r.Allows(s) })
}

func checkRole(r Role) []apierr.FieldError {
	if slices.Contains(Roles, r) {
		return nil
	}
	var words []string
	for _, known := range Roles {
		words = append(words, string(known))
	}
	return []apierr.FieldError{{Field: "role", Message: "must be one of: " + strings.Join(words, ", ") + "."}}
}

// mayGive reports whether a member with the role may change another member's role from and to the
// other roles.
func (r Role) mayGive(roles ...Role) bool {
	return r == Owner || (r.Allows(WriteMembers) && !slices.Contains(roles, Owner))
}

var errOwnersOnly = &apierr.Error{
	Code: apierr.InsufficientScope, Message: "Only an owner can add or remove owners. Ask an owner of this account.",
	Details: map[string]any{"roles": []Role{Owner}},
}
