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

// volumePrice is where volumes can be had.
type volumePrice struct {
	Provider   string           `json:"provider"`
	Region     string           `json:"region"`
	RegionName string           `json:"regionName"`
	PerGB      upstream.Dollars `json:"hourlyPricePerGb"`
	MinSizeGB  int64            `json:"minSizeGb"`
	MaxSizeGB  int64            `json:"maxSizeGb"`
}

func (p volumePrice) key() string { return p.Provider + "/" + p.Region }

// usable tells that we can sell it.
func (p volumePrice) usable() bool {
	return provider.ValidSlug(p.Region) && p.Provider != "" && p.PerGB.Known && p.PerGB.Amount > 0 && p.PerGB.Amount <= money.USD &&
		p.MinSizeGB >= 1 && p.MaxSizeGB >= p.MinSizeGB && p.MaxSizeGB <= maxGB
}

// owners returns whose volumes are those of each region: a provider's that has some there, the first by slug. The list is at most so old; asked for
// now where age is 0.
func (b *Adapter) owners(ctx context.Context, age time.Duration) (map[string]volumePrice, error) {
	look := b.pricing.Fresh
	if age > 0 {
		look = func(ctx context.Context) ([]volumePrice, error) { return b.pricing.Recent(ctx, age) }
	}
	list, err := look(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]volumePrice{}
	for _, p := range list {
		if first, has := out[p.Region]; p.usable() && (!has || p.Provider < first.Provider) {
			out[p.Region] = p
		}
	}
	return out, nil
}

// VolumePricing returns where volumes can be had.
func (b *Adapter) VolumePricing(ctx context.Context) ([]provider.VolumePricing, error) {
	owners, err := b.owners(ctx, 0)
	if err != nil {
		return nil, err
	}
	out := make([]provider.VolumePricing, 0, len(owners))
	for _, p := range owners {
		out = append(out, provider.VolumePricing{Region: p.Region, PerGBHour: p.PerGB.Amount, MinSizeGB: p.MinSizeGB, MaxSizeGB: p.MaxSizeGB})
	}
	slices.SortFunc(out, func(a, b provider.VolumePricing) int { return strings.Compare(a.Region, b.Region) })
	return out, nil
}

// volume is a volume as the other Billet has it.
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

func (v volume) reference() id.ID { return upstream.Marked(v.Name, id.Volume) }

// held tells that a machine has it.
func (v volume) held() bool { return v.Status == "attached" || v.Status == "detaching" }

// look returns the volume of that reference, as a list shows it that was asked for now; found is false where there is none.
func (b *Adapter) look(ctx context.Context, reference id.ID) (v volume, found bool, err error) {
	list, err := b.volumes.Fresh(ctx)
	if err != nil {
		return v, false, err
	}
	for _, one := range list {
		if one.reference() != reference || one.Status == "deleted" {
			continue
		}
		if found {
			return v, false, unavailable("there are two volumes of %s", reference)
		}
		v, found = one, true
	}
	return v, found, nil
}

// has is look for what must be there.
func (b *Adapter) has(ctx context.Context, reference id.ID) (volume, error) {
	v, found, err := b.look(ctx, reference)
	if err == nil && !found {
		err = notFound("no volume has this mark")
	}
	return v, err
}

// ours is the volume in our words.
func (b *Adapter) ours(ctx context.Context, v volume) (provider.Volume, error) {
	out := provider.Volume{ID: v.ID, Reference: v.reference(), SizeGB: v.SizeGB, MountPath: v.MountPath, Failed: v.Status == "failed"}
	switch v.Status {
	case "available", "attaching", "attached", "detaching":
		out.Ready = true
	case "creating", "deleting", "failed", "deleted":
	default:
		b.note(ctx, "the status of a volume", v.Status)
	}
	if !v.held() || v.AttachedTo == "" {
		return out, nil
	}
	reference, err := b.holder(ctx, v.AttachedTo)
	out.AttachedTo = reference
	return out, err
}

// holder is our name of a deployment; the other Billet's own where it is none of ours, so that nobody takes the volume for free.
func (b *Adapter) holder(ctx context.Context, deploymentID string) (id.ID, error) {
	list, err := b.deployments.Recent(ctx, pollEvery/2)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(d deployment) bool { return d.ID == deploymentID })
	if i < 0 {
		d, err := get[deployment](ctx, b, "/deployments/"+url.PathEscape(deploymentID))
		if err != nil {
			return "", looking(err)
		}
		list, i = []deployment{d}, 0
	}
	if reference := list[i].reference(); reference != "" {
		return reference, nil
	}
	return id.ID(deploymentID), nil
}

// looking is an error of a question that was not about what its asker wants to know.
func looking(err error) error {
	if provider.KindOf(err) == provider.KindNotFound {
		return unavailable("%w", err)
	}
	return err
}

// Volume returns the volume of that reference.
func (b *Adapter) Volume(ctx context.Context, reference id.ID) (provider.Volume, error) {
	v, err := b.has(ctx, reference)
	if err != nil {
		return provider.Volume{}, err
	}
	return b.ours(ctx, v)
}

// Volumes returns the volumes of the account.
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
		one, err := b.ours(ctx, v)
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

// CreateVolume makes the volume, or returns the one of that reference.
func (b *Adapter) CreateVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	done, err := b.turns.Take(ctx, r.Reference)
	if err != nil {
		return provider.Volume{}, err
	}
	defer done()
	v, found, err := b.look(ctx, r.Reference)
	if err != nil {
		return provider.Volume{}, err
	}
	if found {
		return b.ours(ctx, v)
	}
	owners, err := b.owners(ctx, shelfLife)
	if err != nil {
		return provider.Volume{}, err
	}
	in, has := owners[r.Region]
	if !has {
		return provider.Volume{}, notFound("no volumes in this region")
	}
	v, err = send[volume](ctx, b, http.MethodPost, "/volumes", string(r.Reference), createVolume{upstream.Mark(r.Reference), r.SizeGB, in.Provider, in.Region})
	b.volumes.Forget(context.WithoutCancel(ctx))
	if err != nil {
		return provider.Volume{}, err
	}
	return b.ours(ctx, v)
}

// GrowVolume makes the volume larger.
func (b *Adapter) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	return b.change(ctx, reference, func(v volume) error {
		if v.SizeGB == sizeGB && v.GrowingToGB == 0 || v.GrowingToGB == sizeGB {
			return nil
		}
		return b.sendVolume(ctx, http.MethodPatch, v, "", map[string]int64{"sizeGb": sizeGB})
	})
}

// DeleteVolume deletes the volume.
func (b *Adapter) DeleteVolume(ctx context.Context, reference id.ID) error {
	err := b.change(ctx, reference, func(v volume) error {
		if v.Status == "deleting" {
			return nil
		}
		return b.sendVolume(ctx, http.MethodDelete, v, "", nil)
	})
	if err != nil && provider.KindOf(err) == provider.KindNotFound {
		return nil
	}
	return err
}

// AttachVolume gives the volume to the machine.
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
			return unavailable("the volume is %s", v.Status)
		}
		return b.sendVolume(ctx, http.MethodPost, v, "/attach", map[string]string{"deploymentId": d.ID})
	})
}

// DetachVolume takes the volume from whatever machine has it.
func (b *Adapter) DetachVolume(ctx context.Context, reference id.ID) error {
	return b.change(ctx, reference, func(v volume) error {
		switch v.Status {
		case "attached":
			return b.sendVolume(ctx, http.MethodPost, v, "/detach", struct{}{})
		case "attaching":
			return unavailable("the volume is %s", v.Status)
		}
		return nil
	})
}

// change has f change the volume of that reference, in its turn.
func (b *Adapter) change(ctx context.Context, reference id.ID, f func(v volume) error) error {
	done, err := b.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	v, err := b.has(ctx, reference)
	if err != nil {
		return err
	}
	return f(v)
}

func (b *Adapter) sendVolume(ctx context.Context, method string, v volume, what string, body any) error {
	_, err := send[volume](ctx, b, method, "/volumes/"+url.PathEscape(v.ID)+what, "", body)
	b.volumes.Forget(context.WithoutCancel(ctx))
	return err
}
