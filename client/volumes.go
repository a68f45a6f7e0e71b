package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// VolumeStatus is where a volume is in its life.
type VolumeStatus string

// The statuses of a volume.
const (
	// VolumeCreating is being made.
	VolumeCreating VolumeStatus = "creating"
	// VolumeAvailable can be attached, and is paid for.
	VolumeAvailable VolumeStatus = "available"
	// VolumeAttaching is on its way to a deployment.
	VolumeAttaching VolumeStatus = "attaching"
	// VolumeAttached is at a deployment.
	VolumeAttached VolumeStatus = "attached"
	// VolumeDetaching is on its way from a deployment.
	VolumeDetaching VolumeStatus = "detaching"
	// VolumeDeleting is being deleted.
	VolumeDeleting VolumeStatus = "deleting"
	// VolumeDeleted is gone, with its files.
	VolumeDeleted VolumeStatus = "deleted"
	// VolumeFailed never came to be, and cost nothing.
	VolumeFailed VolumeStatus = "failed"
)

// Final tells whether no other status follows.
func (s VolumeStatus) Final() bool { return s == VolumeDeleted || s == VolumeFailed }

// moving tells whether another status follows by itself.
func (s VolumeStatus) moving() bool {
	return s == VolumeCreating || s == VolumeAttaching || s == VolumeDetaching || s == VolumeDeleting
}

// Volume is storage that outlives machines.
type Volume struct {
	// ID is vol_….
	ID string `json:"id"`
	// Name is unique in the account.
	Name string `json:"name"`
	// Status is where it is in its life; StatusReason what went wrong with what was last wanted of it, nil where nothing did.
	Status       VolumeStatus `json:"status"`
	StatusReason *string      `json:"statusReason"`
	// Provider and Region are slugs; it can be attached to deployments there.
	Provider string `json:"provider"`
	Region   string `json:"region"`
	// SizeGB is in decimal GB; GrowingToGB is the size that it will have, nil while it does not grow.
	SizeGB      int  `json:"sizeGb"`
	GrowingToGB *int `json:"growingToGb"`
	// AttachedTo is the deployment that has it, or that it is on its way to or from; nil for none.
	AttachedTo *string `json:"attachedTo"`
	// MountPath is where its files are in the machine: a path, or an NFS share as host:/path that the machine must mount itself; nil where the
	// provider says neither, and while it is not attached.
	MountPath *string `json:"mountPath"`
	// HourlyPrice is SizeGB times HourlyPricePerGB, which was agreed when it was created. CostToDate is what was charged so far, less refunds.
	HourlyPrice      Money `json:"hourlyPrice"`
	HourlyPricePerGB Money `json:"hourlyPricePerGb"`
	CostToDate       Money `json:"costToDate"`
	// CreatedAt is when it was asked for, DeletedAt when it was deleted; nil before.
	CreatedAt time.Time  `json:"createdAt"`
	DeletedAt *time.Time `json:"deletedAt"`
}

// CreateVolume is a volume to make. Every field is required.
type CreateVolume struct {
	// Name is 1 to 64 characters, unique in the account.
	Name string `json:"name"`
	// Provider and Region are slugs.
	Provider string `json:"provider"`
	Region   string `json:"region"`
	// SizeGB is in decimal GB, within the limits of the VolumePrice.
	SizeGB int `json:"sizeGb"`
}

// UpdateVolume is what to change. What is left zero stays as it is.
type UpdateVolume struct {
	// Name is 1 to 64 characters.
	Name string `json:"name,omitempty"`
	// SizeGB is in decimal GB, larger than before: a volume grows and never shrinks.
	SizeGB int `json:"sizeGb,omitempty"`
}

type attachVolume struct {
	DeploymentID string `json:"deploymentId"`
}

type detachVolume struct {
	DeploymentID string `json:"deploymentId,omitempty"`
}

// VolumePrice is what volumes cost in a region, and how large they may be.
type VolumePrice struct {
	// Provider and Region are slugs; RegionName is the region in words.
	Provider   string `json:"provider"`
	Region     string `json:"region"`
	RegionName string `json:"regionName"`
	// HourlyPricePerGB is for one decimal GB.
	HourlyPricePerGB Money `json:"hourlyPricePerGb"`
	// MinSizeGB and MaxSizeGB are the smallest and the largest volume, in decimal GB.
	MinSizeGB int `json:"minSizeGb"`
	MaxSizeGB int `json:"maxSizeGb"`
}

// VolumeQuery orders a list of volumes.
type VolumeQuery struct {
	Paging
	// Sort is createdAt or name, with a leading hyphen downwards; -createdAt if empty.
	Sort string `query:"sort"`
}

// VolumeService makes and moves volumes. Reading needs the scope volumes:read, the rest volumes:write.
type VolumeService struct{ c *Client }

func volume(method, id, below string, body any) request {
	return request{method: method, path: "/volumes/" + id + below, id: id, field: "path.id", body: body}
}

// List returns one page of volumes.
func (s *VolumeService) List(ctx context.Context, q VolumeQuery, options ...CallOption) (*Page[Volume], error) {
	return list[Volume](ctx, s.c, request{path: "/volumes", query: queryOf(q)}, options)
}

// All walks all volumes.
func (s *VolumeService) All(ctx context.Context, q VolumeQuery, options ...CallOption) iter.Seq2[Volume, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Volume], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(v Volume) string { return v.ID })
}

// Pricing returns one page of where volumes can be had, and at what price.
func (s *VolumeService) Pricing(ctx context.Context, q Paging, options ...CallOption) (*Page[VolumePrice], error) {
	return list[VolumePrice](ctx, s.c, request{path: "/volumes/pricing", query: queryOf(q)}, options)
}

// AllPricing walks where volumes can be had.
func (s *VolumeService) AllPricing(ctx context.Context, options ...CallOption) iter.Seq2[VolumePrice, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[VolumePrice], error) {
		return s.Pricing(ctx, at, options...)
	},
		func(p VolumePrice) string { return p.Provider + "/" + p.Region })
}

// Get returns a volume; ErrNotFound where there is none.
func (s *VolumeService) Get(ctx context.Context, id string, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodGet, id, "", nil), options)
}

// Create makes a volume in the background; see Wait. It is charged by the hour once it is available, attached or not. ErrInsufficientBalance
// where the wallet does not cover its first hour, ErrConflict where the name is taken.
func (s *VolumeService) Create(ctx context.Context, in CreateVolume, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, request{method: http.MethodPost, path: "/volumes", body: in}, options)
}

// Update renames or grows a volume; it grows in the background.
func (s *VolumeService) Update(ctx context.Context, id string, in UpdateVolume, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodPatch, id, "", in), options)
}

// Delete deletes a volume and its files, in the background. ErrConflict while it is attached. What is deleted already succeeds again.
func (s *VolumeService) Delete(ctx context.Context, id string, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodDelete, id, "", nil), options)
}

// Attach attaches a volume to a deployment of the same provider and region, in the background; see Wait.
func (s *VolumeService) Attach(ctx context.Context, id, deploymentID string, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodPost, id, "/attach", attachVolume{deploymentID}), options)
}

// Detach takes a volume from the deployment that has it, in the background. Where deploymentID is not empty, it must be that one, or the answer is ErrConflict.
func (s *VolumeService) Detach(ctx context.Context, id, deploymentID string, options ...CallOption) (*Volume, error) {
	return one[Volume](ctx, s.c, volume(http.MethodPost, id, "/detach", detachVolume{deploymentID}), options)
}
