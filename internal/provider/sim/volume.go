package sim

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// volumeTakes is how long a volume is in the making, in simulated time.
const volumeTakes = time.Second

// mountDir is where volumes appear in a machine.
const mountDir = "/mnt/"

// volumeRecord is what is kept of a volume on the file system.
type volumeRecord struct {
	ID        string
	Provider  string
	Reference id.ID
	Name      string
	Region    string
	SizeGB    int64
	// MountName is the folder in mountDir; no other volume of the provider has it.
	MountName string
	ReadyAt   time.Time
	// AttachedTo is the machine that has it. It stays when the machine ends: a machine that is gone
	// has no volumes.
	AttachedTo id.ID
}

// volume is a volume in memory. Changing it requires holding its gate, and the gate of its machine
// after that; reading or setting the record also requires the world's mu.
type volume struct {
	folder  string
	work    gate
	known   chan struct{} // as a machine's
	refused bool
	record  volumeRecord
	deleted bool // behind the gate
}

func newVolume(folder string) *volume {
	return &volume{folder: folder, work: newGate(), known: make(chan struct{})}
}

func (v *volume) files() string { return filepath.Join(v.folder, "files") }

// volumeKeeper is the capability to have volumes.
type volumeKeeper struct{ b *basic }

// VolumePricing returns the regions that have volumes, with prices and sizes.
func (k volumeKeeper) VolumePricing(ctx context.Context) ([]provider.VolumePricing, error) {
	return call(ctx, k.b, "volume-pricing", func(context.Context) ([]provider.VolumePricing, error) {
		all := make([]provider.VolumePricing, len(k.b.source.Volumes))
		for i, p := range k.b.source.Volumes {
			all[i] = provider.VolumePricing{
				Region:    p.Region,
				PerGBHour: p.PerGBHour,
				MinSizeGB: p.MinSizeGB,
				MaxSizeGB: p.MaxSizeGB,
			}
		}
		return all, nil
	})
}

// CreateVolume makes a volume, which is ready a second later.
func (k volumeKeeper) CreateVolume(ctx context.Context, request provider.VolumeRequest) (provider.Volume, error) {
	return call(ctx, k.b, "create-volume", func(ctx context.Context) (provider.Volume, error) {
		w := k.b.world
		for {
			v, isNew, err := k.register(request)
			if err != nil {
				return provider.Volume{}, err
			}
			if isNew {
				if err := w.establishVolume(v); err != nil {
					return provider.Volume{}, err
				}
				return w.observeVolume(v), nil
			}
			select {
			case <-v.known:
			case <-ctx.Done():
				return provider.Volume{}, ctx.Err()
			}
			if !v.refused {
				return w.observeVolume(v), nil
			}
		}
	})
}

func (k volumeKeeper) register(request provider.VolumeRequest) (v *volume, isNew bool, err error) {
	w, name := k.b.world, k.b.key(request.Reference)
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.volumes[name]; v != nil {
		return v, false, nil
	}
	if !request.Reference.Valid(id.Volume) {
		return nil, false, refuse(provider.KindRejected, "The reference is not the id of a volume.")
	}
	if request.Name == "" || utf8.RuneCountInString(request.Name) > maxName {
		return nil, false, refuse(provider.KindRejected, "The name must have 1 to %d characters.", maxName)
	}
	p, err := k.pricing(request.Region)
	if err != nil {
		return nil, false, err
	}
	if request.SizeGB < p.MinSizeGB || request.SizeGB > p.MaxSizeGB {
		return nil, false, refuse(
			provider.KindRejected,
			"A volume in %s has %d to %d GB.",
			p.Region,
			p.MinSizeGB,
			p.MaxSizeGB,
		)
	}
	if err := k.b.rejects("create-volume", "", w.clock.Now()); err != nil {
		return nil, false, err
	}
	v = newVolume(filepath.Join(w.dir, "volumes", name.provider, string(name.reference)))
	v.record = volumeRecord{
		ID: "vol-" + machineID(name.provider, name.reference), Provider: name.provider, Reference: name.reference,
		Name: request.Name, Region: request.Region, SizeGB: request.SizeGB,
		MountName: w.mountName(name, request.Name), ReadyAt: w.clock.Now().Add(volumeTakes),
	}
	w.volumes[name] = v
	return v, true, nil
}

func (k volumeKeeper) pricing(region string) (volumePrice, error) {
	for _, p := range k.b.source.Volumes {
		if p.Region == region {
			return p, nil
		}
	}
	return volumePrice{}, refuse(provider.KindRejected, "There are no volumes in region %q.", region)
}

// mountName makes a folder's name of the volume's, one that no other volume of the provider has;
// the caller holds mu.
func (w *World) mountName(k key, name string) string {
	folder := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, name)
	folder = strings.TrimLeft(folder, ".-_")
	folder = folder[:min(len(folder), 63)] // which a machine takes; the name may have 64
	if folder == "" {
		return string(k.reference)
	}
	for other, v := range w.volumes {
		if other.provider == k.provider && v.record.MountName == folder {
			return string(k.reference)
		}
	}
	return folder
}

func (w *World) establishVolume(v *volume) error {
	defer close(v.known)
	err := os.MkdirAll(v.files(), 0o755)
	if err == nil {
		// As on a new file system: all users of a machine may enter. On the host, the directories
		// above are closed.
		err = os.Chmod(v.files(), 0o755)
	}
	if err == nil {
		err = writeRecord(filepath.Join(v.folder, volumeFile), v.record, w.synced)
	}
	if err == nil {
		return nil
	}
	v.refused = true
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.volumes, key{v.record.Provider, v.record.Reference})
	return errors.Join(err, os.RemoveAll(v.folder))
}

func (w *World) readVolume(v *volume) volumeRecord {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := v.record
	if m := w.machines[key{r.Provider, r.AttachedTo}]; m == nil || m.record.Phase == phaseGone {
		r.AttachedTo = ""
	}
	return r
}

func (w *World) saveVolume(v *volume, r volumeRecord) error {
	if err := writeRecord(filepath.Join(v.folder, volumeFile), r, w.synced); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	v.record = r
	return nil
}

func (w *World) observeVolume(v *volume) provider.Volume {
	r, now := w.readVolume(v), w.clock.Now()
	return provider.Volume{
		ID: r.ID, Reference: r.Reference, Ready: !now.Before(r.ReadyAt), SizeGB: r.SizeGB,
		AttachedTo: r.AttachedTo, MountPath: mountDir + r.MountName,
	}
}

func noVolume(reference id.ID) error {
	return refuse(provider.KindNotFound, "There is no volume %s.", reference)
}

// Volume returns the volume.
func (k volumeKeeper) Volume(ctx context.Context, reference id.ID) (provider.Volume, error) {
	return call(ctx, k.b, "volume", func(ctx context.Context) (provider.Volume, error) {
		v, err := k.find(ctx, reference)
		if err != nil {
			return provider.Volume{}, err
		}
		return k.b.world.observeVolume(v), nil
	})
}

// Volumes returns every volume that the provider has.
func (k volumeKeeper) Volumes(ctx context.Context) ([]provider.Volume, error) {
	return call(ctx, k.b, "volumes", func(ctx context.Context) ([]provider.Volume, error) {
		w := k.b.world
		w.mu.Lock()
		var there []*volume
		for name, v := range w.volumes {
			if name.provider == k.b.source.Slug && v.isKnown() {
				there = append(there, v)
			}
		}
		w.mu.Unlock()
		all := make([]provider.Volume, len(there))
		for i, v := range there {
			all[i] = w.observeVolume(v)
		}
		slices.SortFunc(
			all,
			func(a, b provider.Volume) int { return strings.Compare(string(a.Reference), string(b.Reference)) },
		)
		return all, ctx.Err()
	})
}

// isKnown reports whether the volume's record is on the file system. The caller holds mu, under
// which a volume that was refused is taken away.
func (v *volume) isKnown() bool {
	select {
	case <-v.known:
		return !v.refused
	default:
		return false
	}
}

func (k volumeKeeper) find(ctx context.Context, reference id.ID) (*volume, error) {
	w := k.b.world
	w.mu.Lock()
	v := w.volumes[k.b.key(reference)]
	w.mu.Unlock()
	if v == nil {
		return nil, noVolume(reference)
	}
	select {
	case <-v.known:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if v.refused {
		return nil, noVolume(reference)
	}
	return v, nil
}

// with runs f alone on the volume.
func (k volumeKeeper) with(ctx context.Context, reference id.ID, f func(v *volume, r volumeRecord) error) error {
	v, err := k.find(ctx, reference)
	if err != nil {
		return err
	}
	if err := v.work.enter(ctx); err != nil {
		return err
	}
	defer v.work.leave()
	if v.deleted {
		return noVolume(reference)
	}
	return f(v, k.b.world.readVolume(v))
}

// GrowVolume makes the volume larger.
func (k volumeKeeper) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	return do(ctx, k.b, "grow-volume", func(ctx context.Context) error {
		return k.with(ctx, reference, func(v *volume, r volumeRecord) error {
			p, err := k.pricing(r.Region)
			switch {
			case err != nil:
				return err
			case sizeGB == r.SizeGB:
				return nil
			case sizeGB < r.SizeGB:
				return refuse(provider.KindRejected, "The volume has %d GB and cannot shrink.", r.SizeGB)
			case sizeGB > p.MaxSizeGB:
				return refuse(provider.KindRejected, "A volume in %s has at most %d GB.", p.Region, p.MaxSizeGB)
			}
			r.SizeGB = sizeGB
			return k.b.world.saveVolume(v, r)
		})
	})
}

// DeleteVolume deletes a volume that no machine has.
func (k volumeKeeper) DeleteVolume(ctx context.Context, reference id.ID) error {
	return do(ctx, k.b, "delete-volume", func(ctx context.Context) error {
		err := k.with(ctx, reference, func(v *volume, r volumeRecord) error {
			if r.AttachedTo != "" {
				return refuse(provider.KindRejected, "Machine %s has the volume; detach it first.", r.AttachedTo)
			}
			w := k.b.world
			if err := discard(w.dir, v.folder, string(reference), w.synced); err != nil {
				return err
			}
			v.deleted = true
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.volumes, k.b.key(reference))
			return nil
		})
		return exceptNotFound(err)
	})
}

// AttachVolume gives a ready volume to a machine of its region, at once where that runs and else
// when it starts.
func (k volumeKeeper) AttachVolume(ctx context.Context, reference, machineReference id.ID) error {
	return do(ctx, k.b, "attach-volume", func(ctx context.Context) error {
		return k.with(ctx, reference, func(v *volume, r volumeRecord) error {
			return k.b.with(ctx, machineReference, func(m *machine, on machineRecord) error {
				w := k.b.world
				switch {
				case r.AttachedTo != "" && r.AttachedTo != machineReference:
					return refuse(provider.KindRejected, "Machine %s has the volume; detach it first.", r.AttachedTo)
				case on.Region != r.Region:
					return refuse(
						provider.KindRejected,
						"The volume is in %s and the machine in %s.",
						r.Region,
						on.Region,
					)
				case on.Phase == phaseTerminating || on.Phase == phaseFailed || on.Phase == phaseLost:
					return notNow(on)
				case w.clock.Now().Before(r.ReadyAt):
					return &provider.Error{
						Kind:       provider.KindUnavailable,
						Message:    "The volume is still being made.",
						RetryAfter: volumeTakes,
					}
				}
				// First the record: whatever happens after it, the volume is the machine's and
				// nothing deletes it.
				r.AttachedTo = machineReference
				if err := w.saveVolume(v, r); err != nil {
					return err
				}
				if _, runs := w.host.running(m.node()); !runs {
					return nil
				}
				return w.host.attach(ctx, m.node(), r.MountName, v.files())
			})
		})
	})
}

// DetachVolume takes the volume from the machine that has it.
func (k volumeKeeper) DetachVolume(ctx context.Context, reference id.ID) error {
	return do(ctx, k.b, "detach-volume", func(ctx context.Context) error {
		return k.with(ctx, reference, func(v *volume, r volumeRecord) error {
			w := k.b.world
			if r.AttachedTo == "" {
				return nil
			}
			err := k.b.with(ctx, r.AttachedTo, func(m *machine, _ machineRecord) error {
				if _, runs := w.host.running(m.node()); runs {
					if err := w.host.detach(ctx, m.node(), r.MountName); err != nil {
						return err
					}
				}
				r.AttachedTo = ""
				return w.saveVolume(v, r)
			})
			return exceptNotFound(err) // not found: it went in this moment, and with it the attachment
		})
	})
}
