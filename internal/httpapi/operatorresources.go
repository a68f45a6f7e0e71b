package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/volume"
)

// operatorResources are the deployments and volumes of all accounts, for the operator.
type operatorResources struct {
	db  *db.DB
	svc *operator.Service
}

func (h operatorResources) routes(r *rest.Router) {
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: OperatorBase + "/deployments", ID: "listAllDeployments", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.ReadOperator), Summary: "List all deployments",
		Description: "Deployments of all accounts, newest first, including ended ones.",
	}, h.listDeployments)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: OperatorBase + "/deployments/{id}/terminate", ID: "terminateAnyDeployment",
		Tag: tagOperator, Auth: rest.OperatorOnly, Scope: string(account.WriteOperator),
		Summary: "Terminate a deployment of any account",
		Description: "Ends the deployment and its bill at once, whatever its minimum runtime or termination " +
			"protection, with the refund that its tenant would get. The tenant reads the reason as statusReason " +
			"and in the event. Terminating an ended deployment succeeds and changes nothing.",
	}, h.terminate)
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: OperatorBase + "/volumes", ID: "listAllVolumes", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.ReadOperator), Summary: "List all volumes",
		Description: "Volumes of all accounts, newest first. Deleted ones only with `status=deleted`.",
	}, h.listVolumes)
}

type allDeploymentsQuery struct {
	rest.Paging
	Status   []deployment.Status `query:"status" doc:"One or more statuses."`
	Provider string              `query:"provider" maxLength:"100" doc:"Slug of the provider."`
	Account  id.ID               `query:"account" maxLength:"40" doc:"Id of the account, acc_…."`
	GPUType  string              `query:"gpuType" maxLength:"100" doc:"GPU type, such as NVIDIA B200."`
	Search   string              `query:"search" maxLength:"64" doc:"The id of a deployment or account, an IP address, or part of the name of a deployment or its account, case-insensitive."`
}

// Check finds parameters that contradict each other, and an account that cannot be one.
func (q allDeploymentsQuery) Check() []apierr.FieldError {
	return append(q.Paging.Check(), checkAccountFilter(q.Account)...)
}

// checkAccountFilter refuses what is not the id of an account: it would find nothing.
func checkAccountFilter(account id.ID) []apierr.FieldError {
	if account == "" || account.Valid(id.Account) {
		return nil
	}
	return []apierr.FieldError{{
		Field: "query.account", Message: "must be the id of an account, acc_…; use search for its name.",
	}}
}

func (h operatorResources) listDeployments(
	ctx context.Context, _ *rest.Call, in *allDeploymentsQuery, p db.Page,
) ([]operator.Deployment, db.Listed, error) {
	return h.svc.Deployments(ctx, h.db, deployment.FilterAll{
		Statuses: in.Status, Provider: in.Provider, Account: in.Account, GPUType: in.GPUType, Search: in.Search,
	}, p)
}

type allVolumesQuery struct {
	rest.Paging
	Status   []volume.Status `query:"status" doc:"One or more statuses; all but deleted if omitted."`
	Provider string          `query:"provider" maxLength:"100" doc:"Slug of the provider."`
	Account  id.ID           `query:"account" maxLength:"40" doc:"Id of the account, acc_…."`
	Search   string          `query:"search" maxLength:"64" doc:"The id of a volume, deployment or account, or part of the name of a volume or its account, case-insensitive."`
}

// Check finds parameters that contradict each other, and an account that cannot be one.
func (q allVolumesQuery) Check() []apierr.FieldError {
	return append(q.Paging.Check(), checkAccountFilter(q.Account)...)
}

func (h operatorResources) listVolumes(
	ctx context.Context, _ *rest.Call, in *allVolumesQuery, p db.Page,
) ([]operator.Volume, db.Listed, error) {
	return h.svc.Volumes(ctx, h.db, volume.FilterAll{
		Statuses: in.Status, Provider: in.Provider, Account: in.Account, Search: in.Search,
	}, p)
}

type operatorTermination struct {
	deploymentPath
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" example:"Abuse report 2028-114: the machine scans networks." doc:"Reason for the termination, shown to the account."`
	}
}

func (h operatorResources) terminate(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *operatorTermination,
) (operator.Deployment, error) {
	d, changed, err := h.svc.TerminateDeployment(ctx, tx, in.ID, in.Body.Reason)
	c.Change.Account, c.Change.None = d.AccountID, !changed
	return d, err
}
