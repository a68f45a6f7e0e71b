package creator

import "github.com/billetcloud/billet/internal/id"

// Type is what kind of caller made a resource.
type Type string

// The types.
const (
	Member   Type = "member"
	APIKey   Type = "api_key"
	Operator Type = "operator"
)

// Enum lists every type.
func (Type) Enum() []Type { return []Type{Member, APIKey, Operator} }

// Creator is who made a resource.
type Creator struct {
	Type Type `json:"type" doc:"member, api_key or operator."`
	// ID is "" for an operator: tenants do not learn which one.
	ID   id.ID  `json:"id" doc:"Id of the user (usr_…) or of the API key (key_…); empty for an operator."`
	Name string `json:"name" doc:"Name or email address of the user, or name of the key, when the resource was made."`
}

// ByOperator is the creator of what an operator made.
var ByOperator = Creator{Type: Operator, Name: "operator"}
