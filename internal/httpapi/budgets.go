package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/spendlimit"
)

// budgets are what an account wants to spend at most.
type budgets struct {
	db  *db.DB
	svc *budget.Service
}

func (h budgets) routes(r *rest.Router) {
	const all, one = Base + "/budgets", Base + "/budgets/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listBudgets", Tag: tagWallet, Scope: string(account.ReadWallet),
		Summary: "List budgets", Description: "Newest first, with the spend of the current period.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createBudget", Tag: tagWallet,
		Scope: string(account.WriteDeployments), Status: http.StatusCreated, Summary: "Create a budget",
		Description: "Counts charges of the current day or month (UTC) or in total, and holds. Each threshold is " +
			"reported once per period, as the event account.budget_reached and by email. An account can have 50 " +
			"budgets. A key that is bound to a project or has spending limits cannot change budgets.",
		Errors: []apierr.Code{apierr.LimitReached, apierr.AccountSuspended, apierr.KeyLimitReached},
	}, h.create)
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getBudget", Tag: tagWallet, Scope: string(account.ReadWallet),
		Summary: "Get a budget",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "updateBudget", Tag: tagWallet,
		Scope: string(account.WriteDeployments), Summary: "Update a budget",
		Description: "Applies to the current period at once. Machines that the budget terminated stay terminated.",
		Errors:      []apierr.Code{apierr.KeyLimitReached},
	}, h.update)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "deleteBudget", Tag: tagWallet,
		Scope: string(account.WriteDeployments), Summary: "Delete a budget", Description: "Returns the deleted budget.",
		Errors: []apierr.Code{apierr.KeyLimitReached},
	}, h.delete)
}

type budgetPath struct {
	ID id.ID `path:"id" doc:"Id of the budget, bud_…"`
}

// wantedBudgetScope is the scope of a budget in a request: a schema of its own, which takes nothing
// else, while answers may get more fields.
type wantedBudgetScope struct {
	Project  *string `json:"project,omitempty" minLength:"1" maxLength:"64" doc:"Deployments and volumes of this project."`
	Tag      *string `json:"tag,omitempty" minLength:"1" maxLength:"64" doc:"Deployments with this tag."`
	APIKeyID *id.ID  `json:"apiKeyId,omitempty" minLength:"1" maxLength:"40" doc:"Deployments and volumes that this API key created."`
}

func (s *wantedBudgetScope) scope() *budget.BudgetScope {
	if s == nil {
		return nil
	}
	return &budget.BudgetScope{Project: s.Project, Tag: s.Tag, APIKeyID: s.APIKeyID}
}

type createBudget struct {
	Body struct {
		Name       string            `json:"name" minLength:"1" maxLength:"64" example:"research"`
		Scope      wantedBudgetScope `json:"scope,omitempty" doc:"What counts: one of project, tag and apiKeyId; everything of the account if omitted or empty."`
		Period     budget.Period     `json:"period" example:"month" doc:"day or month (UTC), or total for all that was ever charged."`
		Amount     money.Micros      `json:"amount" example:"5000" doc:"US dollars for each period, more than 0."`
		Thresholds *[]int            `json:"thresholds,omitempty" maxItems:"10" doc:"Percentages from 1 to 100 that are reported; 50, 80 and 100 if omitted."`
		Mode       budget.Mode       `json:"mode,omitempty" example:"block" doc:"alert reports, block also refuses new deployments and volumes, terminate also ends deployments before an hour that would exceed the amount begins; alert if omitted."`
	}
}

type updateBudget struct {
	budgetPath
	Body struct {
		Name       *string            `json:"name,omitempty" minLength:"1" maxLength:"64"`
		Scope      *wantedBudgetScope `json:"scope,omitempty" doc:"Replaces the scope; an empty object is the whole account."`
		Period     *budget.Period     `json:"period,omitempty"`
		Amount     *money.Micros      `json:"amount,omitempty" doc:"US dollars for each period."`
		Thresholds *[]int             `json:"thresholds,omitempty" maxItems:"10" doc:"Replaces all thresholds."`
		Mode       *budget.Mode       `json:"mode,omitempty"`
	}
}

// Check refuses an update without a field.
func (in *updateBudget) Check() []apierr.FieldError {
	b := &in.Body
	return someField(b.Name != nil || b.Scope != nil || b.Period != nil || b.Amount != nil || b.Thresholds != nil ||
		b.Mode != nil)
}

// mayChangeBudgets refuses API keys that are limited themselves: a program that may spend little
// does not lift what its account set.
func mayChangeBudgets(ctx context.Context, tx *db.Tx, c *rest.Call) error {
	if c.Caller.Project != "" {
		return apierr.New(apierr.InsufficientScope,
			"This API key is bound to a project. Change budgets with a key of the whole account.")
	}
	return unlimitedKey(ctx, tx, c, "change budgets")
}

// unlimitedKey refuses API keys that have spending limits.
func unlimitedKey(ctx context.Context, tx *db.Tx, c *rest.Call, do string) error {
	if c.Caller.Key == "" {
		return nil
	}
	limits, err := spendlimit.Of(ctx, tx, []id.ID{c.Caller.Key})
	if _, limited := limits[c.Caller.Key]; err == nil && limited {
		err = apierr.New(apierr.KeyLimitReached,
			"This API key has spending limits, so it cannot %s. Use a key without limits, or sign in.", do)
	}
	return err
}

func (h budgets) list(
	ctx context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) (out []budget.Budget, of db.Listed, err error) {
	err = h.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		out, of, err = h.svc.List(ctx, tx, c.Caller.Account, p)
		return err
	})
	return out, of, err
}

func (h budgets) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createBudget) (budget.Budget, error) {
	if err := mayChangeBudgets(ctx, tx, c); err != nil {
		return budget.Budget{}, err
	}
	b := &in.Body
	s := budget.Settings{
		Name: b.Name, Scope: *b.Scope.scope(), Period: b.Period, Amount: b.Amount, Thresholds: budget.DefaultThresholds,
		Mode: b.Mode,
	}
	if b.Thresholds != nil {
		s.Thresholds = *b.Thresholds
	}
	if s.Mode == "" {
		s.Mode = budget.Alert
	}
	made, err := h.svc.Create(ctx, tx, c.Caller.Account, creatorOf(c), s)
	c.Created(made.ID)
	return made, err
}

func (h budgets) get(ctx context.Context, r db.Reader, c *rest.Call, in *budgetPath) (budget.Budget, error) {
	return h.svc.Get(ctx, r, c.Caller.Account, in.ID)
}

func (h budgets) update(ctx context.Context, tx *db.Tx, c *rest.Call, in *updateBudget) (budget.Budget, error) {
	if err := mayChangeBudgets(ctx, tx, c); err != nil {
		return budget.Budget{}, err
	}
	b := &in.Body
	return h.svc.Update(ctx, tx, c.Caller.Account, in.ID, budget.Update{
		Name: b.Name, Scope: b.Scope.scope(), Period: b.Period, Amount: b.Amount, Thresholds: b.Thresholds,
		Mode: b.Mode,
	})
}

func (h budgets) delete(ctx context.Context, tx *db.Tx, c *rest.Call, in *budgetPath) (budget.Budget, error) {
	if err := mayChangeBudgets(ctx, tx, c); err != nil {
		return budget.Budget{}, err
	}
	return h.svc.Delete(ctx, tx, c.Caller.Account, in.ID)
}
