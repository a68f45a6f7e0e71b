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

type findingPath struct {
	ID id.ID `path:"id" doc:"Id of the finding, fnd_…"`
}

type findingsQuery struct {
	page
	State    string `query:"state" enum:"open,ended,dismissed,settled" doc:"All if left out."`
	Kind     string `query:"kind" enum:"unowned_machine,outlived_machine,double_machine,foreign_machine,lost_machine,stuck_terminate,unowned_volume" doc:"All if left out."`
	Provider string `query:"provider" maxLength:"100" doc:"Slug of the provider."`
}

type dismissFinding struct {
	findingPath
	Body struct {
		Note string `json:"note,omitempty" maxLength:"500" example:"the old cluster, kept until May" doc:"Why it is all right."`
	}
}

func (s *server) addFindings() {
	at := OperatorBase + "/findings"
	list(s, spec{
		method: http.MethodGet, path: at, id: "listFindings", tag: tagOperator, door: doorOperator, scope: account.ReadOperator,
		summary: "What providers have and nobody owns", text: "Newest first. Found by comparing each provider's lists with our records for ever.",
	}, func(ctx context.Context, _ *call, in *findingsQuery, p db.Page) ([]issue.Finding, db.Listed, error) {
		return s.c.Findings.List(ctx, s.c.DB, issue.Filter{State: issue.State(in.State), Kind: issue.Kind(in.Kind), Provider: in.Provider}, p)
	})

	read(s, spec{
		method: http.MethodGet, path: at + "/{id}", id: "getFinding", tag: tagOperator, door: doorOperator, scope: account.ReadOperator, summary: "Get a finding",
	}, func(ctx context.Context, _ *call, in *findingPath) (issue.Finding, error) {
		return s.c.Findings.Get(ctx, s.c.DB, in.ID)
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/{id}/end", id: "endFinding", tag: tagOperator, door: doorOperator, scope: account.WriteOperator,
		status: http.StatusAccepted, summary: "Have the machine or volume ended",
		text:   "Answers 202 at once; the provider is asked until it is gone, and the finding is `ended` then. A volume's data is gone with it. What is not `endable` is a CONFLICT that says what to do instead.",
		errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, _ *call, in *findingPath) (issue.Finding, error) {
		return s.c.Findings.End(ctx, tx, in.ID)
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/{id}/dismiss", id: "dismissFinding", tag: tagOperator, door: doorOperator, scope: account.WriteOperator,
		summary: "Say that it is all right", text: "It is not raised again while it is there.", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, _ *call, in *dismissFinding) (issue.Finding, error) {
		return s.c.Findings.Dismiss(ctx, tx, in.ID, in.Body.Note)
	})
}
