package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/rest"
)

// issues are what an operator must see at providers: orphaned resources, duplicates, stuck
// terminations.
type issues struct {
	db  *db.DB
	svc *issue.Service
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
