package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// VolumeStatus is the status of a volume.
type VolumeStatus string

// The statuses of a volume.
const (
	// VolumeCreating is being created.
	VolumeCreating VolumeStatus = "creating"
	// VolumeAvailable can be attached and is billed.
	VolumeAvailable VolumeStatus = "available"
	// VolumeAttaching is being attached.
	VolumeAttaching VolumeStatus = "attaching"
	// VolumeAttached is attached to a deployment.
	VolumeAttached VolumeStatus = "attached"
	// VolumeDetaching is being detached.
	VolumeDetaching VolumeStatus = "detaching"
	// VolumeDeleting is being deleted.
	VolumeDeleting VolumeStatus = "deleting"
	// VolumeDeleted was deleted with its files.
	VolumeDeleted VolumeStatus = "deleted"
	// VolumeFailed could not be created and cost nothing.
	VolumeFailed VolumeStatus = "failed"
)

// Final reports whether the status is final.
func (s VolumeStatus) Final() bool { return s == VolumeDeleted || s == VolumeFailed }

// transitional reports whether another status follows automatically.
func (s VolumeStatus) transitional() bool {
	return s == VolumeCreating || s == VolumeAttaching || s == VolumeDetaching || s == VolumeDeleting
}

// Volume is persistent storage.
type Volume struct {
	// ID has the form vol_….
	ID string `json:"id"`
	// Name is unique in the account.
	Name string `json:"name"`
	// Status is the status; StatusReason is the error of the last action, nil if there was none.
	Status       VolumeStatus `json:"status"`
	StatusReason *string      `json:"statusReason"`
	// Provider and Region are slugs. The volume can be attached to deployments there.
	Provider string `json:"provider"`
	Region   string `json:"region"`
	// SizeGB is in decimal GB; GrowingToGB is the new size during a resize, otherwise nil.
	SizeGB      int  `json:"sizeGb"`
	GrowingToGB *int `json:"growingToGb"`
	// AttachedTo is the deployment to which it is attached, being attached or being detached from;
	// nil if there is none.
	AttachedTo *string `json:"attachedTo"`
	// MountPath is a path on the machine, or an NFS share as host:/path that must be mounted; nil
	// if the provider reports neither, or the volume is not attached.
	MountPath *string `json:"mountPath"`
	// HourlyPrice is SizeGB times HourlyPricePerGB, which was locked at creation. CostToDate is the
	// total cost, net of refunds.
	HourlyPrice      Money `json:"hourlyPrice"`
	HourlyPricePerGB Money `json:"hourlyPricePerGb"`
	CostToDate       Money `json:"costToDate"`
	// Project is the project; nil for none.
	Project *string `json:"project"`
	// CreatedBy is who created the volume.
	CreatedBy Creator `json:"createdBy"`
	// CreatedAt is when it was requested, DeletedAt when it was deleted; nil until then.
	CreatedAt time.Time  `json:"createdAt"`
	DeletedAt *time.Time `json:"deletedAt"`
}

// CreateVolume is a volume to create. Every field but Project is required.
type CreateVolume struct {
	// Name is 1 to 64 characters, unique in the account.
	Name string `json:"name"`
	// Provider and Region are slugs.
	Provider string `json:"provider"`
	Region   string `json:"region"`
	// SizeGB is in decimal GB, within the limits of the VolumePrice.
	SizeGB int `json:"sizeGb"`
	// Project is 1 to 64 characters; "" means none, or that of the API key.
	Project string `json:"project,omitempty"`
}

// UpdateVolume has the changes to a volume. Zero values change nothing.
type UpdateVolume struct {
	// Name is 1 to 64 characters.
	Name string `json:"name,omitempty"`
	// SizeGB is the new size in decimal GB, larger than the current one.
	SizeGB int `json:"sizeGb,omitempty"`
	// Project sets the project; Clear removes it.
	Project Change[string] `json:"project,omitzero"`
}

type attachVolume struct {
	DeploymentID string `json:"deploymentId"`
}

type detachVolume struct {
	DeploymentID string `json:"deploymentId,omitempty"`
}

// VolumePrice is the price and the sizes of volumes in a region.
type VolumePrice struct {
	// Provider and Region are slugs; RegionName is a display name.
	Provider   string `json:"provider"`
	Region     string `json:"region"`
	RegionName string `json:"regionName"`
	// HourlyPricePerGB is the price of one decimal GB.
	HourlyPricePerGB Money `json:"hourlyPricePerGb"`
	// MinSizeGB and MaxSizeGB are in decimal GB.
	MinSizeGB int `json:"minSizeGb"`
	MaxSizeGB int `json:"maxSizeGb"`
}

// VolumeQuery filters and sorts a list of volumes.
type VolumeQuery struct {
	Paging
	// Name is the whole name, case-insensitive.
	Name string `query:"name"`
	// Search is part of the name or of the id, case-insensitive.
	Search string `query:"search"`
	// Project is the project of the volume. CreatedBy is the id of the user or API key that created
	// it.
	Project   string `query:"project"`
	CreatedBy string `query:"createdBy"`
	// Sort has createdAt, name or both, separated by commas, each prefixed with a hyphen for
	// descending; "" means -createdAt.
	Sort string `query:"sort"`
}

// VolumeService manages volumes. Reading needs the scope volumes:read, changes need volumes:write.
type VolumeService struct{ c *Client }

func volume(method, id, below string, body any) request {
	return request{method: method, path: "/volumes/" + id + below, id: id, field: "path.id", body: body}
}

// List returns one page of volumes.
func (s *VolumeService) List(ctx context.Context, q VolumeQuery, options ...CallOption) (*Page[Volume], error) {
	return list[Volume](ctx, s.c, request{path: "/volumes", query: queryOf(q)}, options)
}

// All iterates over all volumes.
func (s *VolumeService) All(ctx context.Context, q VolumeQuery, options ...CallOption) iter.Seq2[Volume, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Volume], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(v Volume) string { return v.ID })
}

// Pricing returns one page of the prices of volumes by region.
func (s *VolumeService) Pricing(ctx context.Context, q Paging, options ...CallOption) (*Page[VolumePrice], error) {
	return list[VolumePrice](ctx, s.c, request{path: "/volumes/pricing", query: queryOf(q)}, options)
}

// AllPricing iterates over the prices of volumes by region.
func (s *VolumeService) AllPricing(ctx context.Context, options ...CallOption) iter.Seq2[VolumePrice, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[VolumePrice], error) {
		return s.Pricing(ctx, at, options...)
	}, func(p VolumePrice) string { return p.Provider + "/" + p.Region })
}

// Get returns a volume. The error is ErrNotFound if there is none.
func (s *VolumeService) Get(ctx context.Context, id string, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodGet, id, "", nil), options)
}

// Create creates a volume in the background; see Wait. It is billed hourly once it is available,
// attached or not. The error is ErrInsufficientBalance if the balance does not cover the first
// hour, ErrConflict if the name is taken.
func (s *VolumeService) Create(ctx context.Context, in CreateVolume, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, request{method: http.MethodPost, path: "/volumes", body: in}, options)
}

// Update renames a volume, moves it to another project, or resizes it. Resizing happens in the
// background.
func (s *VolumeService) Update(
	ctx context.Context,
	id string,
	in UpdateVolume,
	options ...CallOption,
) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodPatch, id, "", in), options)
}

// Delete deletes a volume and its files in the background. It succeeds for a deleted volume. The
// error is ErrConflict while the volume is attached.
func (s *VolumeService) Delete(ctx context.Context, id string, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodDelete, id, "", nil), options)
}

// Attach attaches a volume to a deployment of the same provider and region, in the background; see
// Wait.
func (s *VolumeService) Attach(ctx context.Context, id, deploymentID string, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodPost, id, "/attach", attachVolume{deploymentID}), options)
}

// Detach detaches a volume in the background. If deploymentID is not "", the error is ErrConflict
// unless the volume is attached to that deployment.
func (s *VolumeService) Detach(ctx context.Context, id, deploymentID string, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodPost, id, "/detach", detachVolume{deploymentID}), options)
}
