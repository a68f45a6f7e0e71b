package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/servicecredit"
)

// serviceCredits are what an account got for machines that did not work, and what the operator
// decides about.
type serviceCredits struct {
	db  *db.DB
	svc *servicecredit.Service
}

func (h serviceCredits) routes(r *rest.Router) {
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/wallet/service-credits", ID: "listServiceCredits", Tag: tagWallet,
		Scope: string(account.ReadWallet), Summary: "List service credits",
		Description: "What was credited for machines, or GPUs of machines, that did not work, newest first.",
	}, h.list)
	const all, one = OperatorBase + "/service-credits", OperatorBase + "/service-credits/{id}"
	op := func(method, path, id, scope, summary, description string) rest.Operation {
		return rest.Operation{
			Method: method, Path: path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly, Scope: scope,
			Summary: summary, Description: description,
		}
	}
	read, write := string(account.ReadOperator), string(account.WriteOperator)
	rest.List(r, op(http.MethodGet, all, "listAllServiceCredits", read, "List all service credits",
		"Service credits of all accounts, newest first."), h.listAll)
	create := op(http.MethodPost, all, "createServiceCredit", write, "Create a service credit",
		"Proposes a service credit for GPUs that failed, or for a whole machine. The amount follows from the "+
			"formula. It is booked when it is approved. CONFLICT if nothing is left to credit for that time. What "+
			"another operator must approve is not entered with an API key that was made on the server's host.")
	create.Status = http.StatusCreated
	create.Errors = []apierr.Code{apierr.NotFound, apierr.Conflict, apierr.LimitReached}
	rest.Write(r, create, h.create)
	rest.Read(r, op(http.MethodGet, one, "getAnyServiceCredit", read, "Get a service credit",
		"With the charged hours that it is computed from."), h.get)
	approve := op(http.MethodPost, one+"/approve", "approveServiceCredit", write, "Approve a service credit",
		"Adds the amount to the account's balance, once. If less is left to credit than was proposed, that is "+
			"added; CONFLICT if nothing is left, or if it was rejected. One of more than wallet.approvalAbove that an "+
			"operator entered is approved by another operator, who is signed in. Approving it again changes nothing.")
	approve.Errors = []apierr.Code{apierr.Conflict}
	rest.Write(r, approve, h.approve)
	reject := op(http.MethodPost, one+"/reject", "rejectServiceCredit", write, "Reject a service credit",
		"Nothing is credited. The account is not told. CONFLICT if it was approved. Rejecting it again changes "+
			"nothing.")
	reject.Errors = []apierr.Code{apierr.Conflict}
	rest.Write(r, reject, h.reject)
}

type serviceCreditPath struct {
	ID id.ID `path:"id" doc:"Id of the service credit, svc_…"`
}

type serviceCreditsQuery struct {
	rest.Paging
	DeploymentID id.ID `query:"deploymentId" maxLength:"40" doc:"Service credits for this deployment, dep_…"`
}

func (h serviceCredits) list(
	ctx context.Context, c *rest.Call, in *serviceCreditsQuery, p db.Page,
) ([]servicecredit.ServiceCredit, db.Listed, error) {
	return h.svc.List(ctx, h.db, c.Caller.Account, in.DeploymentID, p)
}

type allServiceCreditsQuery struct {
	rest.Paging
	State        servicecredit.State `query:"state" doc:"Service credits in this state."`
	Account      id.ID               `query:"account" maxLength:"40" doc:"Id of the account, acc_…"`
	DeploymentID id.ID               `query:"deploymentId" maxLength:"40" doc:"Id of the deployment, dep_…"`
}

// Check refuses what is not the id of an account.
func (q allServiceCreditsQuery) Check() []apierr.FieldError {
	return append(q.Paging.Check(), checkAccountFilter(q.Account)...)
}

func (h serviceCredits) listAll(
	ctx context.Context, _ *rest.Call, in *allServiceCreditsQuery, p db.Page,
) ([]servicecredit.OperatorServiceCredit, db.Listed, error) {
	return h.svc.ListAll(ctx, h.db, servicecredit.Filter{
		State: in.State, Account: in.Account, Deployment: in.DeploymentID,
	}, p)
}

// deciderOf is the operator who makes the call.
func deciderOf(c *rest.Call) servicecredit.By {
	by := adjusterOf(c)
	return servicecredit.By{User: by.User, Name: by.Name}
}

type createServiceCredit struct {
	Body servicecredit.ServiceCreditDraft
}

func (h serviceCredits) create(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *createServiceCredit,
) (servicecredit.ServiceCreditDetail, error) {
	made, err := h.svc.Create(ctx, tx, in.Body, deciderOf(c))
	if err == nil {
		c.Created(made.ID) // in the log of the operator's account: the tenant does not learn of proposals
	}
	return made, err
}

func (h serviceCredits) get(
	ctx context.Context, _ *rest.Call, in *serviceCreditPath,
) (servicecredit.ServiceCreditDetail, error) {
	return h.svc.Get(ctx, h.db, in.ID)
}

func (h serviceCredits) approve(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *serviceCreditPath,
) (servicecredit.OperatorServiceCredit, error) {
	made, changed, err := h.svc.Approve(ctx, tx, in.ID, deciderOf(c))
	c.Change.Account, c.Change.None = made.AccountID, !changed
	return made, err
}

type rejectServiceCredit struct {
	serviceCreditPath
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"200" example:"The tenant shut the machine down." doc:"Reason, for operators."`
	}
}

func (h serviceCredits) reject(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *rejectServiceCredit,
) (servicecredit.OperatorServiceCredit, error) {
	made, changed, err := h.svc.Reject(ctx, tx, in.ID, in.Body.Reason, deciderOf(c))
	c.Change.None = !changed // in the log of the operator's account: the tenant does not learn of rejections
	return made, err
}
