package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// BulkAction is what a bulk action does with each deployment.
type BulkAction string

// The bulk actions.
const (
	// BulkTerminate terminates deployments.
	BulkTerminate BulkAction = "terminate"
	// BulkAddTags and BulkRemoveTags change their tags.
	BulkAddTags    BulkAction = "addTags"
	BulkRemoveTags BulkAction = "removeTags"
	// BulkSetAutoTerminate sets or removes their auto-terminate time.
	BulkSetAutoTerminate BulkAction = "setAutoTerminate"
)

// When is when a termination takes place.
type When string

// The times of a termination.
const (
	// WhenNow rejects a termination before the minimum runtime.
	WhenNow When = "now"
	// WhenEarliest schedules it for when the minimum runtime is met.
	WhenEarliest When = "earliest"
)

// BulkFilter matches deployments by all fields that are set, of which there must be at least one.
type BulkFilter struct {
	// Status are the accepted statuses; empty means those that have not ended.
	Status []DeploymentStatus `json:"status,omitempty"`
	// Provider and Region are slugs.
	Provider string `json:"provider,omitempty"`
	Region   string `json:"region,omitempty"`
	// GPUType is the GPU type.
	GPUType string `json:"gpuType,omitempty"`
	// Tag is a tag of the deployment, Project its project.
	Tag     string `json:"tag,omitempty"`
	Project string `json:"project,omitempty"`
	// CreatedBy is the id of the user or API key that created it.
	CreatedBy string `json:"createdBy,omitempty"`
	// Search is part of the name, a tag, the address or the id, in any case.
	Search string `json:"search,omitempty"`
}

// BulkDeployments is one action on up to 500 deployments. Action is required, and either IDs or
// Filter.
type BulkDeployments struct {
	// Action is the action.
	Action BulkAction `json:"action"`
	// IDs are the deployments; or Filter matches them.
	IDs    []string    `json:"ids,omitempty"`
	Filter *BulkFilter `json:"filter,omitempty"`
	// When is WhenEarliest to schedule terminations that come before the minimum runtime; "" means
	// WhenNow.
	When When `json:"when,omitempty"`
	// Tags are those to add or remove.
	Tags []string `json:"tags,omitempty"`
	// AutoTerminateAt sets the auto-terminate time; Clear removes it.
	AutoTerminateAt Change[time.Time] `json:"autoTerminateAt,omitzero"`
	// DryRun changes nothing and returns the results, with the refunds of a terminate.
	DryRun bool `json:"dryRun,omitempty"`
}

// BulkError is why an action was rejected for a deployment.
type BulkError struct {
	// Code is that of the single operation, such as ErrConflict.
	Code string `json:"code"`
	// Message is the text for users.
	Message string `json:"message"`
	// Details has more data by name; nil if there is none.
	Details json.RawMessage `json:"details,omitempty"`
}

// BulkResult is the result of a bulk action for one deployment.
type BulkResult struct {
	// ID is the deployment. Name is empty if there is none with this id.
	ID   string `json:"id"`
	Name string `json:"name"`
	// OK reports whether the action was done, or had been done before. Error is why not; nil if OK.
	OK    bool       `json:"ok"`
	Error *BulkError `json:"error"`
	// Queued reports that the deployment terminates once its minimum runtime is met.
	Queued bool `json:"queued"`
	// Refund is the part of the current hour that is refunded, Release the hold that is released.
	Refund  Money `json:"refund"`
	Release Money `json:"release"`
}

// BulkResults are the results of a bulk action.
type BulkResults struct {
	// Results has a result for each deployment, in the order of the ids, or else newest first.
	Results []BulkResult `json:"results"`
}

// Bulk does one action with many deployments, as one write. What is rejected for one deployment
// does not keep the action from the others; see the results. All changes are made together.
func (s *DeploymentService) Bulk(ctx context.Context, in BulkDeployments, options ...CallOption) (*BulkResults, error) {
	return one[BulkResults](ctx, s.c, request{method: http.MethodPost, path: "/deployments/bulk", body: in}, options)
}
