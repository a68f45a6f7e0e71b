package volume

import (
	"context"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

// keeper is a provider with volumes, as a run of a job may use it: what changes something there is refused once the run has
// lost its job.
type keeper struct {
	v       provider.VolumeProvider
	machine func(ctx context.Context, deployment id.ID) (provider.Machine, error)
	info    provider.Info
}

// Volume asks for the volume.
func (k keeper) Volume(ctx context.Context, volume id.ID) (provider.Volume, error) {
	return k.v.Volume(ctx, volume)
}

// CreateVolume asks for a volume to be made.
func (k keeper) CreateVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	if err := job.Holds(ctx); err != nil {
		return provider.Volume{}, err
	}
	return k.v.CreateVolume(ctx, r)
}

// DeleteVolume asks for the volume's end.
func (k keeper) DeleteVolume(ctx context.Context, volume id.ID) error {
	if err := job.Holds(ctx); err != nil {
		return err
	}
	return k.v.DeleteVolume(ctx, volume)
}

// AttachVolume asks for the volume to be put into the deployment's machine.
func (k keeper) AttachVolume(ctx context.Context, volume, deployment id.ID) error {
	if err := job.Holds(ctx); err != nil {
		return err
	}
	return k.v.AttachVolume(ctx, volume, deployment)
}

// DetachVolume asks for the volume to be taken from its machine.
func (k keeper) DetachVolume(ctx context.Context, volume id.ID) error {
	if err := job.Holds(ctx); err != nil {
		return err
	}
	return k.v.DetachVolume(ctx, volume)
}

// GrowVolume asks for the volume to become larger.
func (k keeper) GrowVolume(ctx context.Context, volume id.ID, sizeGB int64) error {
	if err := job.Holds(ctx); err != nil {
		return err
	}
	return k.v.GrowVolume(ctx, volume, sizeGB)
}
