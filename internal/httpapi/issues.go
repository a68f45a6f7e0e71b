package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/rest"
)

// issues are what an operator must see at providers: orphaned resources, duplicates, stuck
// terminations.
type issues struct {
	db          *db.DB
	svc         *issue.Service
	accounts    *account.Service
	deployments *deployment.Service
}

func (h issues) routes(r *rest.Router) {
	const all, one = OperatorBase + "/issues", OperatorBase + "/issues/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listIssues", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "List issues",
		Description: "Orphaned resources and other issues at providers, found by comparing each provider's resources " +
			"with the server's " +
			"records. Newest first.",
	}, h.list)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getIssue", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "Get an issue",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/terminate", ID: "terminateIssueResource", Tag: tagOperator,
		Auth: rest.OperatorOnly,
		Scope: string(
			account.WriteOperator,
		), Status: http.StatusAccepted, Summary: "Terminate the resource of an issue",
		Description: "Returns 202 at once; the provider is called until the machine or volume is gone, and then the " +
			"issue is `ended`. A " +
			"volume's data is erased. An issue that is not `endable` is a CONFLICT that says what to do instead.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.terminate)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/adopt", ID: "adoptIssueMachine", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator),
		Summary: "Give the machine of an issue to an account",
		Description: "For a machine whose deployment the database has lost, such as after a restore from a backup. " +
			"The account gets a running deployment with the id that the machine has as its reference. It is billed " +
			"from now on as the given offer, also if that is sold out. The machine itself is not changed.",
		Errors: []apierr.Code{
			apierr.Conflict, apierr.InsufficientBalance, apierr.AccountSuspended,
		},
	}, h.adopt)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/dismiss", ID: "dismissIssue", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Dismiss an issue",
		Description: "It is not raised again while the resource exists.", Errors: []apierr.Code{apierr.Conflict},
	}, h.dismiss)
}

type issuePath struct {
	ID id.ID `path:"id" doc:"Id of the issue, iss_…"`
}

type issuesQuery struct {
	rest.Paging
	State    issue.State `query:"state" doc:"All if omitted."`
	Kind     issue.Kind  `query:"kind" doc:"All if omitted."`
	Provider string      `query:"provider" maxLength:"100" doc:"Slug of the provider."`
}

type dismissIssue struct {
	issuePath
	Body struct {
		Note string `json:"note,omitempty" maxLength:"500" example:"the old cluster, kept until May" doc:"Reason for dismissing the issue."`
	}
}

type adoptIssueMachine struct {
	issuePath
	Body struct {
		AccountID       id.ID   `json:"accountId" minLength:"1" maxLength:"40" doc:"Id of the account that gets the machine."`
		OfferID         id.ID   `json:"offerId" minLength:"1" maxLength:"40" doc:"Id of an offer of the machine's provider, as which it is billed."`
		OperatingSystem *string `json:"operatingSystem,omitempty" maxLength:"100" doc:"Required if the offer has several."`
		Name            string  `json:"name" minLength:"1" maxLength:"64" example:"training-7" doc:"Name of the deployment."`
	}
}

func (h issues) adopt(ctx context.Context, tx *db.Tx, c *rest.Call, in *adoptIssueMachine) (issue.Issue, error) {
	if err := apierr.Invalid(apierr.CheckName("name", in.Body.Name)).OrNil(); err != nil {
		return issue.Issue{}, err
	}
	i, err := h.svc.Orphan(ctx, tx, in.ID)
	if err != nil {
		return i, err
	}
	if _, err := h.accounts.Get(ctx, tx, in.Body.AccountID); err != nil {
		return i, err
	}
	d, err := h.deployments.Adopt(ctx, tx, deployment.AdoptRequest{
		Reference: id.ID(*i.Reference), Provider: i.Provider, MachineID: *i.UpstreamID, Account: in.Body.AccountID,
		OfferID: in.Body.OfferID, OperatingSystem: in.Body.OperatingSystem, Name: in.Body.Name,
	})
	if err != nil {
		return i, err
	}
	c.Change.Account, c.Change.Subject, c.Change.Name = in.Body.AccountID, d.ID, d.Name
	sighting := issue.Sighting{Kind: i.Kind, Reference: d.ID}
	if err := h.svc.Resolve(ctx, tx, i.Provider, sighting, "Adopted by "+string(in.Body.AccountID)+"."); err != nil {
		return i, err
	}
	return h.svc.Get(ctx, tx, in.ID)
}

func (h issues) list(
	ctx context.Context, _ *rest.Call, in *issuesQuery, p db.Page,
) ([]issue.Issue, db.Listed, error) {
	return h.svc.List(ctx, h.db, issue.Filter{State: in.State, Kind: in.Kind, Provider: in.Provider}, p)
}

func (h issues) get(ctx context.Context, _ *rest.Call, in *issuePath) (issue.Issue, error) {
	return h.svc.Get(ctx, h.db, in.ID)
}

func (h issues) terminate(ctx context.Context, tx *db.Tx, _ *rest.Call, in *issuePath) (issue.Issue, error) {
	return h.svc.End(ctx, tx, in.ID)
}

func (h issues) dismiss(ctx context.Context, tx *db.Tx, _ *rest.Call, in *dismissIssue) (issue.Issue, error) {
	return h.svc.Dismiss(ctx, tx, in.ID, in.Body.Note)
}
