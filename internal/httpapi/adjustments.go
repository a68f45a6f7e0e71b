package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
)

// adjustments are what operators add to and remove from wallets.
type adjustments struct {
	db  *db.DB
	svc *adjustment.Service
}

func (h adjustments) routes(r *rest.Router) {
	const all, one = OperatorBase + "/adjustments", OperatorBase + "/adjustments/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listAdjustments", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "List adjustments",
		Description: "Credit that operators have added or removed, or asked to, newest first.",
	}, h.list)
	decide := func(what, id, summary, description string) rest.Operation {
		return rest.Operation{
			Method: http.MethodPost, Path: one + "/" + what, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly,
			Scope: string(account.WriteOperator), Summary: summary, Description: description,
			Errors: []apierr.Code{apierr.Conflict},
		}
	}
	rest.Write(r, decide("approve", "approveAdjustment", "Approve an adjustment",
		"Books it. The operator who asked for it cannot approve it. An API key that was made on the server's host "+
			"approves nothing: sign in."), h.approve)
	rest.Write(r, decide("reject", "rejectAdjustment", "Reject an adjustment",
		"Nothing is booked. The operator who asked for it cannot reject it, and withdraws it instead."), h.reject)
	rest.Write(r, decide("withdraw", "withdrawAdjustment", "Withdraw an adjustment",
		"Nothing is booked. Only the operator who asked for it can withdraw it."), h.withdraw)
}

type adjustmentsQuery struct {
	rest.Paging
	Account id.ID            `query:"account" maxLength:"40" doc:"Id of the account, acc_…"`
	State   adjustment.State `query:"state" doc:"Adjustments in this state."`
}

// Check refuses what is not the id of an account.
func (q adjustmentsQuery) Check() []apierr.FieldError {
	return append(q.Paging.Check(), checkAccountFilter(q.Account)...)
}

type adjustmentPath struct {
	ID id.ID `path:"id" doc:"Id of the adjustment, adj_…"`
}

type decideAdjustment struct {
	adjustmentPath
	Body struct {
		Comment string `json:"comment,omitempty" maxLength:"500" doc:"Comment, which operators read."`
	}
}

// adjusterOf is the operator who calls.
func adjusterOf(c *rest.Call) adjustment.By {
	by := adjustment.By{Creator: creatorOf(c)}
	switch who := callerOf(c); {
	case who.user != nil:
		by.User = who.user.ID
	case who.key != nil && who.key.CreatedBy.Type == creator.Member:
		by.User = who.key.CreatedBy.ID
	}
	return by
}

func (h adjustments) list(
	ctx context.Context, _ *rest.Call, in *adjustmentsQuery, p db.Page,
) ([]adjustment.Adjustment, db.Listed, error) {
	return h.svc.List(ctx, h.db, in.Account, in.State, p)
}

func (h adjustments) approve(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *decideAdjustment,
) (adjustment.Adjustment, error) {
	a, err := h.svc.Approve(ctx, tx, in.ID, in.Body.Comment, adjusterOf(c))
	c.Change.Account = a.Account
	return a, err
}

func (h adjustments) reject(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *decideAdjustment,
) (adjustment.Adjustment, error) {
	return h.svc.Reject(ctx, tx, in.ID, in.Body.Comment, adjusterOf(c))
}

func (h adjustments) withdraw(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *adjustmentPath,
) (adjustment.Adjustment, error) {
	return h.svc.Withdraw(ctx, tx, in.ID, adjusterOf(c))
}
