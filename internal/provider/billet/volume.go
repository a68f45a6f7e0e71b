package billet

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// volumePrice is the price of a provider's volumes in a region.
type volumePrice struct {
	Provider   string           `json:"provider"`
	Region     string           `json:"region"`
	RegionName string           `json:"regionName"`
	PerGB      upstream.Dollars `json:"hourlyPricePerGb"`
	MinSizeGB  int64            `json:"minSizeGb"`
	MaxSizeGB  int64            `json:"maxSizeGb"`
}

func (p volumePrice) key() string { return p.Provider + "/" + p.Region }

// sellable reports whether we can sell it.
func (p volumePrice) sellable() bool {
	return provider.ValidSlug(p.Region) && p.Provider != "" && p.PerGB.Known && p.PerGB.Amount > 0 &&
		p.PerGB.Amount <= money.USD &&
		p.MinSizeGB >= 1 && p.MaxSizeGB >= p.MinSizeGB && p.MaxSizeGB <= upstream.MaxGB
}

// owners returns the provider whose volumes are sold in each region: the first by slug that has
// volumes there. The list is at most that old.
func (b *Adapter) owners(ctx context.Context, age time.Duration) (map[string]volumePrice, error) {
	list, err := b.pricing.Recent(ctx, age)
	if err != nil {
		return nil, err
	}
	out := map[string]volumePrice{}
	for _, p := range list {
		if first, has := out[p.Region]; p.sellable() && (!has || p.Provider < first.Provider) {
			out[p.Region] = p
		}
	}
	return out, nil
}

// VolumePricing implements provider.VolumeProvider.
func (b *Adapter) VolumePricing(ctx context.Context) ([]provider.VolumePricing, error) {
	owners, err := b.owners(ctx, 0)
	if err != nil {
		return nil, err
	}
	out := make([]provider.VolumePricing, 0, len(owners))
	for _, p := range owners {
		out = append(out, provider.VolumePricing{
			Region: p.Region, PerGBHour: p.PerGB.Amount, MinSizeGB: p.MinSizeGB, MaxSizeGB: p.MaxSizeGB,
		})
	}
	slices.SortFunc(out, func(a, b provider.VolumePricing) int { return strings.Compare(a.Region, b.Region) })
	return out, nil
}

// volume is a volume at the other Billet.
type volume struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	SizeGB      int64  `json:"sizeGb"`
	GrowingToGB int64  `json:"growingToGb"`
	Status      string `json:"status"`
	AttachedTo  string `json:"attachedTo"`
	MountPath   string `json:"mountPath"`
}

func (v volume) key() string { return v.ID }

func (v volume) reference() id.ID { return upstream.ParseMark(id.Volume, v.Name) }

// held reports whether a machine has it.
func (v volume) held() bool { return v.Status == "attached" || v.Status == "detaching" }

// findVolume returns the volume of that reference as it is now.
func (b *Adapter) findVolume(ctx context.Context, reference id.ID) (v volume, err error) {
	list, err := b.volumes.Fresh(ctx)
	if err != nil {
		return v, err
	}
	for _, one := range list {
		if one.reference() != reference || one.Status == "deleted" {
			continue
		}
		if v.ID != "" {
			return volume{}, upstream.Unavailable("two volumes have the mark of %s", reference)
		}
		v = one
	}
	if v.ID == "" {
		return v, upstream.NotFound("no volume has the mark of %s", reference)
	}
	return v, nil
}

// translate returns the volume as a provider.Volume.
func (b *Adapter) translate(ctx context.Context, v volume) (provider.Volume, error) {
	out := provider.Volume{
		ID: v.ID, Reference: v.reference(), SizeGB: v.SizeGB, MountPath: v.MountPath, Failed: v.Status == "failed",
	}
	switch v.Status {
	case "available", "attaching", "attached", "detaching":
		out.Ready = true
	case "creating", "deleting", "failed", "deleted":
	default:
		b.warnings.UnknownStatus(ctx, b.account, "volume", v.Status)
	}
	if !v.held() || v.AttachedTo == "" {
		return out, nil
	}
	var err error
	out.AttachedTo, err = b.holder(ctx, v.AttachedTo)
	return out, err
}

// holder returns the reference of a deployment; the other Billet's own id where the deployment is
// not ours, so that the volume does not appear detached.
func (b *Adapter) holder(ctx context.Context, deploymentID string) (id.ID, error) {
	list, err := b.deployments.Recent(ctx, pollEvery/2)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(d deployment) bool { return d.ID == deploymentID })
	if i < 0 {
		d, err := get[deployment](ctx, b, "/deployments/"+url.PathEscape(deploymentID))
		if err != nil {
			return "", upstream.ListError(err)
		}
		list, i = []deployment{d}, 0
	}
	if reference := list[i].reference(); reference != "" {
		return reference, nil
	}
	return id.ID(deploymentID), nil
}

// Volume implements provider.VolumeProvider.
func (b *Adapter) Volume(ctx context.Context, reference id.ID) (provider.Volume, error) {
	v, err := b.findVolume(ctx, reference)
	if err != nil {
		return provider.Volume{}, err
	}
	return b.translate(ctx, v)
}

// Volumes implements provider.VolumeProvider.
func (b *Adapter) Volumes(ctx context.Context) ([]provider.Volume, error) {
	list, err := b.volumes.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Volume, 0, len(list))
	for _, v := range list {
		if v.Status == "deleted" {
			continue
		}
		one, err := b.translate(ctx, v)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

type createVolume struct {
	Name     string `json:"name"`
	SizeGB   int64  `json:"sizeGb"`
	Provider string `json:"provider"`
	Region   string `json:"region"`
}

// CreateVolume implements provider.VolumeProvider.
func (b *Adapter) CreateVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	find := func(ctx context.Context) (volume, error) { return b.findVolume(ctx, r.Reference) }
	v, err := upstream.CreateOnce(ctx, &b.locks, r.Reference, find, func(ctx context.Context) (volume, error) {
		owners, err := b.owners(ctx, pricingAge)
		if err != nil {
			return volume{}, err
		}
		in, ok := owners[r.Region]
		if !ok {
			return volume{}, upstream.NotFound("there are no volumes in %.80q", r.Region)
		}
		defer b.volumes.Forget()
		body := createVolume{upstream.Mark(r.Reference), r.SizeGB, in.Provider, in.Region}
		return send[volume](ctx, b, http.MethodPost, "/volumes", string(r.Reference), body)
	})
	if err != nil {
		return provider.Volume{}, err
	}
	return b.translate(ctx, v)
}

// GrowVolume implements provider.VolumeProvider.
func (b *Adapter) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	return b.change(ctx, reference, func(v volume) error {
		if v.SizeGB == sizeGB && v.GrowingToGB == 0 || v.GrowingToGB == sizeGB {
			return nil
		}
		return b.sendVolume(ctx, http.MethodPatch, v, "", map[string]int64{"sizeGb": sizeGB})
	})
}

// DeleteVolume implements provider.VolumeProvider.
func (b *Adapter) DeleteVolume(ctx context.Context, reference id.ID) error {
	return upstream.IgnoreNotFound(b.change(ctx, reference, func(v volume) error {
		if v.Status == "deleting" {
			return nil
		}
		return b.sendVolume(ctx, http.MethodDelete, v, "", nil)
	}))
}

// AttachVolume implements provider.VolumeProvider.
func (b *Adapter) AttachVolume(ctx context.Context, reference, machine id.ID) error {
	return b.change(ctx, reference, func(v volume) error {
		d, err := b.one(ctx, machine, 0)
		if err != nil {
			return err
		}
		switch {
		case v.AttachedTo == d.ID && (v.Status == "attached" || v.Status == "attaching"):
			return nil
		case v.Status == "creating", v.Status == "detaching":
			return upstream.Unavailable("the volume is %s", v.Status)
		}
		return b.sendVolume(ctx, http.MethodPost, v, "/attach", map[string]string{"deploymentId": d.ID})
	})
}

// DetachVolume implements provider.VolumeProvider.
func (b *Adapter) DetachVolume(ctx context.Context, reference id.ID) error {
	return b.change(ctx, reference, func(v volume) error {
		switch v.Status {
		case "attached":
			return b.sendVolume(ctx, http.MethodPost, v, "/detach", struct{}{})
		case "attaching":
			return upstream.Unavailable("the volume is %s", v.Status)
		}
		return nil
	})
}

// change calls f with the volume of that reference, with its lock held.
func (b *Adapter) change(ctx context.Context, reference id.ID, f func(v volume) error) error {
	return b.locks.Do(ctx, reference, func() error {
		v, err := b.findVolume(ctx, reference)
		if err != nil {
			return err
		}
		return f(v)
	})
}

func (b *Adapter) sendVolume(ctx context.Context, method string, v volume, action string, body any) error {
	defer b.volumes.Forget()
	_, err := send[volume](ctx, b, method, "/volumes/"+url.PathEscape(v.ID)+action, "", body)
	return err
}
