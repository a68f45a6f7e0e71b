package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/volume"
)

type volumePath struct {
	ID id.ID `path:"id" doc:"Id of the volume, vol_…"`
}

type createVolume struct {
	Body struct {
		Name     string `json:"name" minLength:"1" maxLength:"64" example:"datasets"`
		SizeGB   int64  `json:"sizeGb" minimum:"1" maximum:"1000000000" example:"500" aka:"sizeInGb" doc:"Decimal GB; GET /volumes/pricing has the limits."`
		Provider string `json:"provider" minLength:"1" maxLength:"100" example:"voltage-park"`
		Region   string `json:"region" minLength:"1" maxLength:"100" example:"dallas-usa-5"`
	}
}

type updateVolume struct {
	volumePath
	Body struct {
		Name   *string `json:"name,omitempty" minLength:"1" maxLength:"64"`
		SizeGB *int64  `json:"sizeGb,omitempty" minimum:"1" maximum:"1000000000" aka:"sizeInGb" doc:"Larger than before: a volume grows and never shrinks."`
	}
}

func (in *updateVolume) check() []apierr.FieldError {
	return anything(in.Body.Name != nil || in.Body.SizeGB != nil)
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

func (s *server) addVolumes() {
	at := Base + "/volumes"
	list(s, spec{
		method: http.MethodGet, path: at, id: "listVolumes", tag: tagVolumes, scope: account.ReadVolumes,
		summary: "List volumes", text: "Newest first if no sort is given.",
	}, func(ctx context.Context, c *call, in *listQuery, p db.Page) ([]volume.Volume, db.Listed, error) {
		return s.c.Volumes.List(ctx, s.c.DB, c.account, in.order(), p)
	})

	list(s, spec{
		method: http.MethodGet, path: at + "/pricing", id: "listVolumePricing", tag: tagVolumes, scope: account.ReadVolumes,
		summary: "Where volumes can be had, and at what price per GB and hour",
	}, func(_ context.Context, c *call, _ *page, p db.Page) ([]catalog.VolumePrice, db.Listed, error) {
		return part(s.c.Catalog.For(c.account).VolumePricing(), func(v catalog.VolumePrice) string { return v.Provider + "/" + v.Region }, p)
	})

	write(s, spec{
		method: http.MethodPost, path: at, id: "createVolume", tag: tagVolumes, scope: account.WriteVolumes, status: http.StatusCreated,
		summary: "Create a volume", text: "Charged by the hour once it is `available`, attached or not. A create that fails costs nothing.",
		errors: []apierr.Code{apierr.InsufficientBalance, apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createVolume) (volume.Volume, error) {
		b := &in.Body
		v, err := s.c.Volumes.Create(ctx, tx, c.account, volume.CreateRequest{Key: c.keyID(), Name: b.Name, SizeGB: b.SizeGB, Provider: b.Provider, Region: b.Region})
		c.created(v.ID)
		return v, err
	})

	read(s, spec{
		method: http.MethodGet, path: at + "/{id}", id: "getVolume", tag: tagVolumes, scope: account.ReadVolumes, summary: "Get a volume",
	}, func(ctx context.Context, c *call, in *volumePath) (volume.Volume, error) {
		return s.c.Volumes.Get(ctx, s.c.DB, c.account, in.ID)
	})

	write(s, spec{
		method: http.MethodPatch, path: at + "/{id}", id: "updateVolume", tag: tagVolumes, scope: account.WriteVolumes,
		summary: "Rename or grow a volume", errors: []apierr.Code{apierr.Conflict, apierr.InsufficientBalance},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *updateVolume) (volume.Volume, error) {
		return s.c.Volumes.Update(ctx, tx, c.account, in.ID, volume.UpdateRequest{Key: c.keyID(), Name: in.Body.Name, SizeGB: in.Body.SizeGB})
	})

	write(s, spec{
		method: http.MethodDelete, path: at + "/{id}", id: "deleteVolume", tag: tagVolumes, scope: account.WriteVolumes,
		summary: "Delete a volume and its files", text: "A volume that is attached is a CONFLICT; detach it first. What is deleted already succeeds again.",
		errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *volumePath) (volume.Volume, error) {
		return s.c.Volumes.Delete(ctx, tx, c.account, in.ID)
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/{id}/attach", id: "attachVolume", tag: tagVolumes, scope: account.WriteVolumes,
		status: http.StatusAccepted, summary: "Attach a volume to a deployment",
		text:   "Answers 202 at once; `status` is attached when it is done, and `mountPath` says where the files are. Provider and region must agree.",
		errors: []apierr.Code{apierr.Conflict, apierr.Unsupported},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *attachVolume) (volume.Volume, error) {
		return s.c.Deployments.AttachVolume(ctx, tx, c.account, in.ID, in.Body.DeploymentID)
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/{id}/detach", id: "detachVolume", tag: tagVolumes, scope: account.WriteVolumes,
		status: http.StatusAccepted, summary: "Detach a volume", text: "Answers 202 at once; `status` is available when it is done.",
		errors: []apierr.Code{apierr.Conflict, apierr.Unsupported},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *detachVolume) (volume.Volume, error) {
		return s.c.Deployments.DetachVolume(ctx, tx, c.account, in.ID, in.Body.DeploymentID)
	})
}
