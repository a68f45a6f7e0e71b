package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// BudgetPeriod is the time that the amount of a budget is for. Days and months are those of UTC.
type BudgetPeriod string

// The periods of budgets.
const (
	BudgetDay   BudgetPeriod = "day"
	BudgetMonth BudgetPeriod = "month"
	// BudgetTotal counts all that was ever charged.
	BudgetTotal BudgetPeriod = "total"
)

// BudgetMode is what a budget does.
type BudgetMode string

// The modes of budgets.
const (
	// BudgetAlert reports thresholds.
	BudgetAlert BudgetMode = "alert"
	// BudgetBlock also rejects new deployments and volumes that would pass the amount.
	BudgetBlock BudgetMode = "block"
	// BudgetTerminate also terminates deployments before an hour begins that would pass the amount.
	BudgetTerminate BudgetMode = "terminate"
)

// BudgetScope is what counts toward a budget: everything of the account, or what has the one field
// that is set.
type BudgetScope struct {
	// Project counts deployments and volumes of a project.
	Project *string `json:"project,omitempty"`
	// Tag counts deployments with a tag.
	Tag *string `json:"tag,omitempty"`
	// APIKeyID counts what an API key created.
	APIKeyID *string `json:"apiKeyId,omitempty"`
}

// Budget is an amount that the account does not want to exceed.
type Budget struct {
	// ID has the form bud_….
	ID string `json:"id"`
	// Name is 1 to 64 characters.
	Name string `json:"name"`
	// Scope is what counts, Amount what it may cost in each Period.
	Scope  BudgetScope  `json:"scope"`
	Period BudgetPeriod `json:"period"`
	Amount Money        `json:"amount"`
	// Thresholds are percentages of Amount that are reported once for each period.
	Thresholds []int `json:"thresholds"`
	// Mode is what else happens.
	Mode BudgetMode `json:"mode"`
	// Spent was charged in the current period; Committed is on hold for what has not started.
	Spent     Money `json:"spent"`
	Committed Money `json:"committed"`
	// ResetsAt is the end of the current period; nil for BudgetTotal.
	ResetsAt *time.Time `json:"resetsAt"`
	// CreatedBy is who created it, CreatedAt when.
	CreatedBy Creator   `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`
}

// CreateBudget is a budget to create. Name, Period and Amount are required.
type CreateBudget struct {
	// Name is 1 to 64 characters.
	Name string `json:"name"`
	// Scope is everything of the account if it is zero.
	Scope BudgetScope `json:"scope,omitzero"`
	// Amount is what may be spent in each Period.
	Period BudgetPeriod `json:"period"`
	Amount Money        `json:"amount"`
	// Thresholds are percentages; 50, 80 and 100 if nil.
	Thresholds []int `json:"thresholds,omitzero"`
	// Mode is BudgetAlert if "".
	Mode BudgetMode `json:"mode,omitempty"`
}

// UpdateBudget has the changes to a budget. Zero values change nothing.
type UpdateBudget struct {
	// Name is 1 to 64 characters.
	Name string `json:"name,omitempty"`
	// Scope replaces the scope.
	Scope *BudgetScope `json:"scope,omitempty"`
	// Period and Amount apply to the current period at once.
	Period BudgetPeriod `json:"period,omitempty"`
	Amount *Money       `json:"amount,omitempty"`
	// Thresholds replace all thresholds; an empty, non-nil list removes them.
	Thresholds []int `json:"thresholds,omitzero"`
	// Mode is what the budget does.
	Mode BudgetMode `json:"mode,omitempty"`
}

// BudgetService manages budgets. Reading needs the scope wallet:read; changes need
// deployments:write, and a key without a project and without spending limits.
type BudgetService struct{ c *Client }

func budget(method, id string, body any) request {
	return request{method: method, path: "/budgets/" + id, id: id, field: "path.id", body: body}
}

// List returns one page of budgets, newest first.
func (s *BudgetService) List(ctx context.Context, q Paging, options ...CallOption) (*Page[Budget], error) {
	return list[Budget](ctx, s.c, request{path: "/budgets", query: queryOf(q)}, options)
}

// All iterates over all budgets.
func (s *BudgetService) All(ctx context.Context, options ...CallOption) iter.Seq2[Budget, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Budget], error) {
		return s.List(ctx, at, options...)
	}, func(b Budget) string { return b.ID })
}

// Get returns a budget. The error is ErrNotFound if there is none.
func (s *BudgetService) Get(ctx context.Context, id string, options ...CallOption) (*Budget, error) {
	return one[Budget](ctx, s.c, budget(http.MethodGet, id, nil), options)
}

// Create creates a budget. An account can have 50; the error is ErrLimitReached for one more.
func (s *BudgetService) Create(ctx context.Context, in CreateBudget, options ...CallOption) (*Budget, error) {
	return one[Budget](ctx, s.c, request{method: http.MethodPost, path: "/budgets", body: in}, options)
}

// Update changes a budget. What it terminated stays terminated.
func (s *BudgetService) Update(
	ctx context.Context, id string, in UpdateBudget, options ...CallOption,
) (*Budget, error) {
	return one[Budget](ctx, s.c, budget(http.MethodPatch, id, in), options)
}

// Delete deletes a budget. The error is ErrNotFound if there is none, except in a retry after a
// lost response, which means that the budget was deleted.
func (s *BudgetService) Delete(ctx context.Context, id string, options ...CallOption) error {
	r := budget(http.MethodDelete, id, nil)
	r.goneIsDone = true
	return s.c.do(ctx, r, options, func(body []byte) error {
		_, err := open[Budget](body)
		return err
	})
}
