package account

import (
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
)

// Role is what a user may do in one account.
type Role string

// The roles.
const (
	Owner   Role = "owner"
	Admin   Role = "admin"
	Member  Role = "member"
	Viewer  Role = "viewer"
	Billing Role = "billing"
)

// Roles are all of them, from the one that may do most.
var Roles = []Role{Owner, Admin, Member, Viewer, Billing}

// Enum lists every role.
func (Role) Enum() []Role { return Roles }

// The scopes that no API key has: what they allow is for people.
const (
	WriteWallet  Scope = "wallet:write"
	ReadAPIKeys  Scope = "api-keys:read"
	WriteAPIKeys Scope = "api-keys:write"
	ReadPeople   Scope = "people:read"
	WritePeople  Scope = "people:write"
	ReadAudit    Scope = "audit:read"
)

// Scopes returns what the role allows, none for a word that is no role. No role that may make API keys has less than
// a key can have, so nobody gets by a key what their role denies.
func (r Role) Scopes() []Scope {
	switch r {
	case Owner, Admin:
		return append(AllScopes(), WriteWallet, ReadAPIKeys, WriteAPIKeys, ReadPeople, WritePeople, ReadAudit)
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

// Allows tells whether the role has the scope.
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
	return []apierr.FieldError{{Field: "role", Message: "is not a role. The roles are: " + strings.Join(words, ", ") + "."}}
}

// mayGive tells whether a user with the role may make somebody, or somebody who was, the other role.
func (r Role) mayGive(roles ...Role) bool {
	return r == Owner || (r.Allows(WritePeople) && !slices.Contains(roles, Owner))
}

var errOwnersOnly = &apierr.Error{
	Code: apierr.InsufficientScope, Message: "Only an owner can make or remove owners. Ask an owner of this account.",
	Details: map[string]any{"roles": []Role{Owner}},
}
