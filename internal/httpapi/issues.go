package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
)

type issuePath struct {
	ID id.ID `path:"id" doc:"Id of the issue, iss_…"`
}

type issuesQuery struct {
	page
	State    string `query:"state" enum:"open,ended,dismissed,settled" doc:"All if left out."`
	Kind     string `query:"kind" enum:"orphaned_machine,undead_machine,duplicate_machine,unmanaged_machine,lost_machine,stuck_termination,orphaned_volume" doc:"All if left out."`
	Provider string `query:"provider" maxLength:"100" doc:"Slug of the provider."`
}

type dismissIssue struct {
	issuePath
	Body struct {
		Note string `json:"note,omitempty" maxLength:"500" example:"the old cluster, kept until May" doc:"Why it is all right."`
	}
}

func (s *server) addIssues() {
	at := OperatorBase + "/issues"
	list(s, spec{
		method: http.MethodGet, path: at, id: "listIssues", tag: tagOperator, door: doorOperator, scope: account.ReadOperator,
		summary: "What providers have and nobody owns", text: "Newest first. Found by comparing each provider's lists with our records for ever.",
	}, func(ctx context.Context, _ *call, in *issuesQuery, p db.Page) ([]issue.Issue, db.Listed, error) {
		return s.c.Issues.List(ctx, s.c.DB, issue.Filter{State: issue.State(in.State), Kind: issue.Kind(in.Kind), Provider: in.Provider}, p)
	})

	read(s, spec{
		method: http.MethodGet, path: at + "/{id}", id: "getIssue", tag: tagOperator, door: doorOperator, scope: account.ReadOperator, summary: "Get a issue",
	}, func(ctx context.Context, _ *call, in *issuePath) (issue.Issue, error) {
		return s.c.Issues.Get(ctx, s.c.DB, in.ID)
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/{id}/end", id: "endIssue", tag: tagOperator, door: doorOperator, scope: account.WriteOperator,
		status: http.StatusAccepted, summary: "Have the machine or volume ended",
		text:   "Answers 202 at once; the provider is asked until it is gone, and the issue is `ended` then. A volume's data is gone with it. What is not `endable` is a CONFLICT that says what to do instead.",
		errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, _ *call, in *issuePath) (issue.Issue, error) {
		return s.c.Issues.End(ctx, tx, in.ID)
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/{id}/dismiss", id: "dismissIssue", tag: tagOperator, door: doorOperator, scope: account.WriteOperator,
		summary: "Say that it is all right", text: "It is not raised again while it is there.", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, _ *call, in *dismissIssue) (issue.Issue, error) {
		return s.c.Issues.Dismiss(ctx, tx, in.ID, in.Body.Note)
	})
}
