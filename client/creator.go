package client

// CreatorType is the kind of caller that made a resource.
type CreatorType string

// The kinds of creators.
const (
	// CreatedByMember is a user of the account.
	CreatedByMember CreatorType = "member"
	// CreatedByAPIKey is an API key.
	CreatedByAPIKey CreatorType = "api_key"
	// CreatedByOperator is an operator of the server.
	CreatedByOperator CreatorType = "operator"
)

// Creator is who made a resource.
type Creator struct {
	// Type is the kind of caller.
	Type CreatorType `json:"type"`
	// ID has the form usr_… or key_…; empty for an operator.
	ID string `json:"id"`
	// Name is the name of the user or key when the resource was made.
	Name string `json:"name"`
}
