package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
)

func (h deployments) bulkRoute(r *rest.Router) {
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: Base + "/deployments/bulk", ID: "bulkUpdateDeployments", Tag: tagDeployments,
		Scope: string(account.WriteDeployments), Summary: "Terminate or update many deployments",
		Description: "Does one action with up to 500 deployments, named by `ids` or matched by `filter`. It " +
			"counts as " +
			"one write. Each deployment has a result, in the order of `ids`, or else newest first: what is " +
			"refused for " +
			"one does not keep the action from the others. All changes are committed together. With `dryRun` nothing " +
			"is changed, and the results show what would be refunded.",
	}, h.bulk)
}

// bulkFilter matches deployments as the list's parameters do.
type bulkFilter struct {
	Status    []deployment.Status `json:"status,omitempty" maxItems:"8" doc:"One or more statuses of deployments that have not ended; all of these if omitted."`
	Provider  string              `json:"provider,omitempty" minLength:"1" maxLength:"100" doc:"Slug of the provider."`
	Region    string              `json:"region,omitempty" minLength:"1" maxLength:"100" doc:"Slug of the region."`
	GPUType   string              `json:"gpuType,omitempty" minLength:"1" maxLength:"100" doc:"GPU type, such as NVIDIA B200."`
	Tag       string              `json:"tag,omitempty" minLength:"1" maxLength:"64" doc:"A tag that the deployment has."`
	Project   string              `json:"project,omitempty" minLength:"1" maxLength:"64" doc:"Project of the deployment."`
	CreatedBy id.ID               `json:"createdBy,omitempty" minLength:"1" maxLength:"40" doc:"Id of the user or API key that created the deployment."`
	Search    string              `json:"search,omitempty" minLength:"1" maxLength:"64" doc:"Part of the name, a tag, the address or the id, case-insensitive."`
}

type bulkDeployments struct {
	Body struct {
		Action          deployment.BulkAction     `json:"action" example:"terminate" doc:"terminate, addTags, removeTags or setAutoTerminate."`
		IDs             []id.ID                   `json:"ids,omitempty" minItems:"1" maxItems:"500" maxLength:"40" doc:"Ids of the deployments. Give ids or filter."`
		Filter          *bulkFilter               `json:"filter,omitempty" doc:"Deployments that match all of its fields, of which it has at least one."`
		When            string                    `json:"when,omitempty" enum:"now,earliest" doc:"For terminate: earliest schedules terminations that come before the minimum runtime. now if omitted."`
		Tags            []string                  `json:"tags,omitempty" maxItems:"20" doc:"For addTags and removeTags."`
		AutoTerminateAt rest.SetOrNull[time.Time] `json:"autoTerminateAt,omitempty" doc:"For setAutoTerminate; null cancels the auto-termination."`
		DryRun          bool                      `json:"dryRun,omitempty" example:"true" doc:"Change nothing; show the results."`
	}
}

// Check finds fields that contradict each other.
func (in *bulkDeployments) Check() (invalid []apierr.FieldError) {
	b := &in.Body
	add := func(field, message string) {
		invalid = append(invalid, apierr.FieldError{Field: field, Message: message})
	}
	switch {
	case len(b.IDs) > 0 && b.Filter != nil:
		add("filter", "contradicts ids; give one of them.")
	case len(b.IDs) == 0 && b.Filter == nil:
		add("ids", "is required, or filter: name the deployments.")
	case b.Filter != nil && b.Filter.empty():
		add("filter", "must have at least one field.")
	}
	if b.Filter != nil {
		b.Filter.checkStatus(add)
	}
	seen := map[id.ID]bool{}
	for _, x := range b.IDs {
		if seen[x] {
			add("ids", "names "+string(x)+" twice. Name it once.")
			break
		}
		seen[x] = true
	}
	tagging := b.Action == deployment.BulkAddTags || b.Action == deployment.BulkRemoveTags
	if b.When != "" && b.Action != deployment.BulkTerminate {
		add("when", "is for terminate only.")
	}
	if len(b.Tags) > 0 && !tagging {
		add("tags", "are for addTags and removeTags only.")
	}
	if sets := b.Action == deployment.BulkSetAutoTerminate; b.AutoTerminateAt.Given && !sets {
		add("autoTerminateAt", "is for setAutoTerminate only.")
	} else if sets && !b.AutoTerminateAt.Given {
		add("autoTerminateAt", "is required: a time, or null to cancel the auto-termination.")
	}
	return invalid
}

func (f *bulkFilter) checkStatus(add func(field, message string)) {
	if f.Status != nil && len(f.Status) == 0 {
		add("filter.status", "is empty, and would match every active deployment. Leave it out, or name statuses.")
	}
	if slices.ContainsFunc(f.Status, deployment.Status.Final) {
		add("filter.status", "must be statuses of deployments that have not ended. Name ended ones in ids.")
	}
}

func (f *bulkFilter) empty() bool {
	return len(f.Status) == 0 && f.Provider == "" && f.Region == "" && f.GPUType == "" && f.Tag == "" &&
		f.Project == "" && f.CreatedBy == "" && f.Search == ""
}

// bulkResults are the results of a bulk action.
type bulkResults struct {
	Results []deployment.BulkResult `json:"results" doc:"A result for each deployment."`
}

func (h deployments) bulk(ctx context.Context, tx *db.Tx, c *rest.Call, in *bulkDeployments) (bulkResults, error) {
	b := &in.Body
	req := deployment.BulkRequest{
		Key: c.Caller.Key, Action: b.Action, IDs: b.IDs, Within: c.Caller.Project, Earliest: b.When == "earliest",
		Tags: b.Tags, AutoTerminateAt: b.AutoTerminateAt.Value, DryRun: b.DryRun,
	}
	if f := b.Filter; f != nil {
		req.Filter = &deployment.Filter{
			Statuses: f.Status, Provider: f.Provider, Region: f.Region, GPUType: f.GPUType, Tag: f.Tag,
			Project: f.Project, CreatedBy: f.CreatedBy, Search: f.Search,
		}
		if len(f.Status) == 0 {
			req.Filter.Statuses = deployment.Unended
		}
	}
	results, changed, err := h.svc.Bulk(ctx, tx, c.Caller.Account, req)
	c.Change.None, c.Change.Subjects = len(changed) == 0, changed
	return bulkResults{results}, err
}
