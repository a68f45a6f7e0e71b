package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/rest"
)

// credits are what was given to an account.
type credits struct {
	db       *db.DB
	svc      *credit.Service
	operator *operator.Service
}

func (h credits) routes(r *rest.Router) {
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/wallet/credits", ID: "listCredits", Tag: tagWallet,
		Scope: string(account.ReadWallet), Summary: "List credits",
		Description: "What was given to the account, newest first. Credits that expire are spent before other money, " +
			"the one that expires soonest first. Money on hold counts as spent.",
	}, h.list)
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: OperatorBase + "/accounts/{id}/credits", ID: "listAccountCredits",
		Tag: tagOperator, Auth: rest.OperatorOnly, Scope: string(account.ReadOperator),
		Summary: "List an account's credits", Description: "Newest first.",
	}, h.listOf)
}

type creditsQuery struct {
	rest.Paging
	State credit.State `query:"state" doc:"Credits in this state."`
}

type accountCreditsQuery struct {
	accountPath
	creditsQuery
}

func (h credits) list(
	ctx context.Context, c *rest.Call, in *creditsQuery, p db.Page,
) (all []credit.Credit, of db.Listed, err error) {
	err = h.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		all, of, err = h.svc.List(ctx, tx, c.Caller.Account, in.State, p)
		return err
	})
	return all, of, err
}

func (h credits) listOf(
	ctx context.Context, _ *rest.Call, in *accountCreditsQuery, p db.Page,
) (all []credit.Credit, of db.Listed, err error) {
	err = h.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if _, err := h.operator.Account(ctx, tx, in.ID); err != nil {
			return err
		}
		all, of, err = h.svc.List(ctx, tx, in.ID, in.State, p)
		return err
	})
	return all, of, err
}
