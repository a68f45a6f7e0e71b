package health

import (
	"maps"

	"github.com/billetcloud/billet/internal/id"
)

// Policy is what a check of an offer's machines is for.
type Policy string

// The policies.
const (
	// Off launches machines without a key of Billet, and checks none.
	Off Policy = "off"
	// Report checks each machine once SSH answers, and shows the verdict.
	Report Policy = "report"
	// Require starts no machine whose GPUs have not passed.
	Require Policy = "require"
)

// Enum lists every policy.
func (Policy) Enum() []Policy { return []Policy{Off, Report, Require} }

// Policies are the policies of all offers.
type Policies struct {
	// Default is for offers that nothing names; "" is Off.
	Default Policy
	// Named are the policies of providers, by slug, and of offers, by ID.
	Named map[string]Policy
}

// Of returns the policy of an offer: its own, or else its provider's, or else the default.
func (p Policies) Of(provider string, offer id.ID) Policy {
	for _, name := range []string{string(offer), provider} {
		if own, named := p.Named[name]; named {
			return own
		}
	}
	if p.Default == "" {
		return Off
	}
	return p.Default
}

// Equal reports whether the policies are the same.
func (p Policies) Equal(other Policies) bool {
	return p.Default == other.Default && maps.Equal(p.Named, other.Named)
}

// Access is how long Billet can log in to a machine to check it.
type Access string

// The kinds of access.
const (
	// AccessLaunch removes the key before the tenant gets the machine.
	AccessLaunch Access = "launch"
	// AccessKeep leaves it, for checks on request and every few hours.
	AccessKeep Access = "keep"
)

// Enum lists every access.
func (Access) Enum() []Access { return []Access{AccessLaunch, AccessKeep} }
