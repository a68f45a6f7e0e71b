package httpapi

import (
	"cmp"
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/volume"
)

// volumes are a tenant's storage.
type volumes struct {
	db          *db.DB
	svc         *volume.Service
	deployments *deployment.Service
	catalog     *catalog.Catalog
}

func (h volumes) routes(r *rest.Router) {
	const all, one = Base + "/volumes", Base + "/volumes/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listVolumes", Tag: tagVolumes, Scope: string(account.ReadVolumes),
		Summary: "List volumes", Description: "Newest first by default.",
	}, h.list)
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all + "/pricing", ID: "listVolumePricing", Tag: tagVolumes,
		Scope:   string(account.ReadVolumes),
		Summary: "List volume prices", Description: "Providers and regions with volumes, and their price per GB " +
			"and hour.",
	}, h.pricing)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createVolume", Tag: tagVolumes, Scope: string(account.WriteVolumes),
		Status: http.StatusCreated, Summary: "Create a volume",
		Description: "Billed hourly once it is `available`, attached or not. A volume that fails to be created costs " +
			"nothing.",
		Errors: []apierr.Code{
			apierr.InsufficientBalance, apierr.QuotaExceeded, apierr.BudgetExceeded,
			apierr.AccountSuspended, apierr.Conflict,
		},
	}, h.create)
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getVolume", Tag: tagVolumes, Scope: string(account.ReadVolumes),
		ExtraTime: longestWait, Summary: "Get a volume",
		Description: "With waitFor it is a long poll, and counts as one read.",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "updateVolume", Tag: tagVolumes, Scope: string(account.WriteVolumes),
		Summary: "Update a volume", Description: "Renames it, moves it to another project, or resizes it.",
		Errors: []apierr.Code{
			apierr.Conflict, apierr.InsufficientBalance, apierr.QuotaExceeded, apierr.BudgetExceeded,
			apierr.AccountSuspended,
		},
	}, h.update)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "deleteVolume", Tag: tagVolumes, Scope: string(account.WriteVolumes),
		Summary: "Delete a volume",
		Description: "Erases all of its files. An attached volume is a CONFLICT: detach it first. Deleting a deleted " +
			"volume succeeds " +
			"and changes nothing.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.delete)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/attach", ID: "attachVolume", Tag: tagVolumes,
		Scope:  string(account.WriteVolumes),
		Status: http.StatusAccepted, Summary: "Attach a volume",
		Description: "Returns 202 at once; `status` is attached when it is done, and `mountPath` is where the files " +
			"are. Volume and " +
			"deployment must have the same provider and region.",
		Errors: []apierr.Code{apierr.Conflict, apierr.Unsupported},
	}, h.attach)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: one + "/detach", ID: "detachVolume", Tag: tagVolumes,
		Scope:  string(account.WriteVolumes),
		Status: http.StatusAccepted, Summary: "Detach a volume",
		Description: "Returns 202 at once; `status` is available when it is done.",
		Errors:      []apierr.Code{apierr.Conflict, apierr.Unsupported},
	}, h.detach)
}

type volumePath struct {
	ID id.ID `path:"id" doc:"Id of the volume, vol_…"`
}

type createVolume struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64" example:"datasets"`
		SizeGB   int64  `json:"sizeGb" minimum:"1" maximum:"1000000000" example:"500" aka:"sizeInGb" doc:"Size in decimal GB; GET /volumes/pricing has the limits."`
		Provider string `json:"provider" minLength:"1" maxLength:"100" example:"voltage-park"`
		Region   string `json:"region" minLength:"1" maxLength:"100" example:"dallas-usa-5"`
		Project  string `json:"project,omitempty" maxLength:"64" example:"llm-pretraining" doc:"Project of the volume, 1 to 64 characters; none if omitted, or that of the API key."`
	}
}

type updateVolume struct {
	volumePath
	Body struct {
		Name    *string                `json:"name,omitempty" minLength:"1" maxLength:"64"`
		SizeGB  *int64                 `json:"sizeGb,omitempty" minimum:"1" maximum:"1000000000" aka:"sizeInGb" doc:"New size in decimal GB, larger than before: a volume cannot shrink."`
		Project rest.SetOrNull[string] `json:"project,omitempty" maxLength:"64" doc:"Project of the volume; null for none."`
	}
}

// Check refuses an update without a field.
func (in *updateVolume) Check() []apierr.FieldError {
	return someField(in.Body.Name != nil || in.Body.SizeGB != nil || in.Body.Project.Given)
}

type attachVolume struct {
	volumePath
	Body struct {
		DeploymentID id.ID `json:"deploymentId" minLength:"1" maxLength:"40" example:"dep_01jd0000000000000000000000"`
	}
}

type detachVolume struct {
	volumePath
	Body struct {
		DeploymentID *id.ID `json:"deploymentId,omitempty" minLength:"1" maxLength:"40" doc:"If given, it must be the deployment that has the volume."`
	}
}

type volumesQuery struct {
	rest.ListQuery
	Project   string `query:"project" maxLength:"64" doc:"Project of the volume."`
	CreatedBy id.ID  `query:"createdBy" maxLength:"40" doc:"Id of the user or API key that created the volume."`
}

func (h volumes) list(
	ctx context.Context, c *rest.Call, in *volumesQuery, p db.Page,
) ([]volume.Volume, db.Listed, error) {
	if in.Project != "" && c.Caller.Project != "" && in.Project != c.Caller.Project {
		return nil, db.Listed{Exact: true}, nil
	}
	return h.svc.List(ctx, h.db, c.Caller.Account, volume.Filter{
		NameFilter: in.NameFilter(), Project: cmp.Or(c.Caller.Project, in.Project), CreatedBy: in.CreatedBy,
		Order: in.Order(),
	}, p)
}

func (h volumes) pricing(
	_ context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]catalog.VolumePrice, db.Listed, error) {
	key := func(v catalog.VolumePrice) string { return v.Provider + "/" + v.Region }
	return rest.Slice(h.catalog.For(c.Caller.Account).VolumePricing(), key, p)
}

func (h volumes) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createVolume) (volume.Volume, error) {
	b := &in.Body
	project, err := projectOf(c, b.Project)
	if err != nil {
		return volume.Volume{}, err
	}
	v, err := h.svc.Create(ctx, tx, c.Caller.Account, volume.CreateRequest{
		Key: c.Caller.Key, By: creatorOf(c), Project: project, Within: c.Caller.Project, Name: b.Name, SizeGB: b.SizeGB,
		Provider: b.Provider, Region: b.Region,
	})
	c.Created(v.ID)
	return v, err
}

type getVolume struct {
	volumePath
	WaitFor        volume.Status `query:"waitFor" doc:"Return when the volume has this status, has a final one, or the timeout is over, whichever is first."`
	TimeoutSeconds *int          `query:"timeoutSeconds" minimum:"1" maximum:"60" doc:"Timeout of waitFor; 25 if omitted. More than 50 counts as 50, because proxies give up after 60."`
}

// Check finds parameters that have no meaning without another.
func (in getVolume) Check() []apierr.FieldError {
	return checkWait(in.TimeoutSeconds, in.WaitFor != "")
}

func (h volumes) get(ctx context.Context, r db.Reader, c *rest.Call, in *getVolume) (volume.Volume, error) {
	if in.WaitFor == "" {
		return h.svc.Get(ctx, r, c.Caller.Account, in.ID)
	}
	c.Wait()
	return h.svc.Wait(ctx, c.Caller.Account, in.ID, in.WaitFor, waitTime(in.TimeoutSeconds))
}

func (h volumes) update(ctx context.Context, tx *db.Tx, c *rest.Call, in *updateVolume) (volume.Volume, error) {
	project, err := newProjectOf(c, in.Body.Project)
	if err != nil {
		return volume.Volume{}, err
	}
	return h.svc.Update(ctx, tx, c.Caller.Account, in.ID, volume.UpdateRequest{
		Key: c.Caller.Key, Within: c.Caller.Project, Name: in.Body.Name, SizeGB: in.Body.SizeGB, Project: project,
	})
}

func (h volumes) delete(ctx context.Context, tx *db.Tx, c *rest.Call, in *volumePath) (volume.Volume, error) {
	return h.svc.Delete(ctx, tx, c.Caller.Account, in.ID)
}

func (h volumes) attach(ctx context.Context, tx *db.Tx, c *rest.Call, in *attachVolume) (volume.Volume, error) {
	if c.Caller.Project != "" {
		to, project := in.Body.DeploymentID, c.Caller.Project
		if err := h.deployments.CheckProject(ctx, tx, c.Caller.Account, to, project); err != nil {
			return volume.Volume{}, err
		}
	}
	return h.deployments.AttachVolume(ctx, tx, c.Caller.Account, in.ID, in.Body.DeploymentID)
}

func (h volumes) detach(ctx context.Context, tx *db.Tx, c *rest.Call, in *detachVolume) (volume.Volume, error) {
	return h.deployments.DetachVolume(ctx, tx, c.Caller.Account, in.ID, in.Body.DeploymentID)
}
