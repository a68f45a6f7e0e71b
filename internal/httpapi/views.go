package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/rest"
)

// views let an operator read an account as a viewer of it.
type views struct {
	db       *db.DB
	svc      *operator.Service
	accounts *account.Service
}

func (h views) routes(r *rest.Router) {
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: OperatorBase + "/accounts/{id}/view", ID: "startAccountView", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator),
		Summary: "View an account read-only",
		Description: "Until the view ends, the operator's session reads the account as a member with the role viewer " +
			"does, and every change is refused, also those of the operator console. The account's audit log shows " +
			"the start and the end, with the operator's name and the reason. Needs a session: an API key is refused.",
		Errors: []apierr.Code{apierr.NotFound, apierr.Conflict, apierr.SignInRequired},
	}, h.start)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: AccountBase + "/view", ID: "endAccountView", Tag: tagAccount,
		Auth: rest.SessionOnly, Summary: "Leave the view of an account",
		Description: "Ends the session's read-only view, so that it works in the operator's own account again.",
		Errors:      []apierr.Code{apierr.NotFound},
	}, h.end)
}

type startAccountView struct {
	accountPath
	Body struct {
		Reason  string `json:"reason" minLength:"1" maxLength:"500" example:"Support request 2028-114." doc:"Reason for the view, shown to the account."`
		Minutes *int64 `json:"minutes,omitempty" minimum:"1" maximum:"60" doc:"How long the view lasts; 30 if omitted."`
	}
}

// Check refuses a reason that cannot be shown.
func (in *startAccountView) Check() []apierr.FieldError {
	return apierr.CheckText("reason", in.Body.Reason, 500)
}

// accountView is a view of an account that goes on.
type accountView struct {
	AccountID   id.ID     `json:"accountId" doc:"Id of the account, acc_…."`
	AccountName string    `json:"accountName" doc:"Name of the account."`
	Reason      string    `json:"reason" doc:"Reason that the operator gave."`
	StartedAt   time.Time `json:"startedAt" doc:"When it began."`
	EndsAt      time.Time `json:"endsAt" doc:"When it ends at the latest."`
}

func viewOf(v account.View, a account.Account) accountView {
	return accountView{a.ID, a.Name, v.Reason, v.StartedAt, v.EndsAt}
}

// whileViewing are the changes that are possible during a view: those that end it.
var whileViewing = []string{"endAccountView", "signOut"}

// checkView refuses every other change during a view.
func checkView(c *rest.Call) error {
	who := callerOf(c)
	if who.session == nil || who.session.View == nil || slices.Contains(whileViewing, c.Route.ID) ||
		c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead {
		return nil
	}
	return apierr.New(apierr.InsufficientScope,
		"You view this account read-only. Leave the view (DELETE "+AccountBase+"/view) to change something.")
}

func sourceOf(c *rest.Call) operator.Source {
	return operator.Source{Address: c.Address().String(), Request: c.ID}
}

func (h views) start(ctx context.Context, tx *db.Tx, c *rest.Call, in *startAccountView) (accountView, error) {
	who := callerOf(c)
	if who.session == nil {
		return accountView{}, apierr.New(apierr.SignInRequired, "A view needs the session of a signed-in operator. "+
			"With an API key, read the account below %s/accounts/%s.", OperatorBase, in.ID)
	}
	c.Change.None = true // it has entries of its own
	length := time.Duration(*cmp.Or(in.Body.Minutes, new(int64(operator.ViewTime/time.Minute)))) * time.Minute
	v, err := h.svc.StartView(ctx, tx, *who.session, in.ID, in.Body.Reason, length, sourceOf(c))
	if err != nil {
		return accountView{}, err
	}
	a, err := h.accounts.Get(ctx, tx, in.ID)
	return viewOf(v, a), err
}

func (h views) end(ctx context.Context, tx *db.Tx, c *rest.Call, _ *rest.NoInput) (changed, error) {
	c.Change.None = true
	v := callerOf(c).session.View
	if v == nil { // or its time is over, which is recorded as such
		return changed{}, apierr.New(apierr.NotFound, "Your session is not viewing an account.")
	}
	_, err := h.svc.EndView(ctx, tx, v.Session, "", sourceOf(c))
	return changed{true}, err
}
