package spheron

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// voltagePark has volumes in one region, which a request need not name.
const voltagePark = "voltage-park"

// hasVolumes are the sub-providers with volumes. Sesterce has volumes, too, but they need an id
// that no list contains.
var hasVolumes = map[string]bool{voltagePark: true, "data-crunch": true, "verda": true, "spheron-ai": true}

// place is a region with volumes.
type place struct {
	provider.VolumePricing
	at subsite
}

// volume is a volume at the cloud. Paths take the id, not the volumeId.
type volume struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	SizeGB   whole    `json:"sizeInGb"`
	Status   string   `json:"status"`
	Attached []string `json:"attachedToDeploymentIds"`
}

// UnmarshalJSON refuses a volume without an id or a status.
func (v *volume) UnmarshalJSON(b []byte) error {
	type plain volume
	if err := json.Unmarshal(b, (*plain)(v)); err != nil {
		return err
	}
	v.Status = strings.ToLower(strings.TrimSpace(v.Status))
	if v.ID == "" || v.Status == "" {
		return errors.New("a volume without an id or a status")
	}
	return nil
}

func (a *Adapter) fetchVolumes(ctx context.Context) ([]volume, error) {
	var all []volume
	total, seen := -1, map[string]bool{}
	for n := 1; ; n++ {
		var p struct {
			Volumes *[]volume `json:"volumes"`
			Total   *int      `json:"total"`

			Page, Limit, TotalPages unread
		}
		if err := a.client.Get(ctx, "/api/volumes", paging(n), &p); err != nil {
			return nil, err
		}
		if p.Volumes == nil || p.Total == nil || n > maxPages {
			return nil, upstream.Malformed("the volumes and their number", nil)
		}
		// An entry that moved from page to page meanwhile may be missing.
		if total >= 0 && total != *p.Total {
			return nil, upstream.Unavailable("the volumes changed while they were read")
		}
		total = *p.Total
		for _, v := range *p.Volumes {
			if seen[v.ID] {
				return nil, upstream.Unavailable("the volumes moved while they were read")
			}
			seen[v.ID] = true
		}
		if all = append(all, *p.Volumes...); len(all) >= total {
			return slices.DeleteFunc(all, func(v volume) bool { return v.Status == "deleted" }), nil
		}
		if len(*p.Volumes) == 0 {
			return nil, upstream.Unavailable("the list of volumes ends after %d of %d", len(all), *p.Total)
		}
	}
}

// fetchPlaces reads where each sub-provider that has offers now has volumes.
func (a *Adapter) fetchPlaces(ctx context.Context) ([]place, error) {
	offers, err := a.offers.Recent(ctx, syncEvery)
	if err != nil {
		return nil, err
	}
	subproviders := map[string]bool{}
	for _, o := range offers {
		if hasVolumes[o.at.provider] {
			subproviders[o.at.provider] = true
		}
	}
	var out []place
	for _, subprovider := range slices.Sorted(maps.Keys(subproviders)) {
		places, err := a.placesOf(ctx, subprovider)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			twice := slices.ContainsFunc(out, func(q place) bool { return q.Region == p.Region })
			if !twice && a.claimSlug(ctx, p.at) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// placesOf reads where a sub-provider has volumes.
func (a *Adapter) placesOf(ctx context.Context, subprovider string) (out []place, err error) {
	var response struct {
		Regions *[]struct {
			ID   string           `json:"id"`
			Min  whole            `json:"minSizeGb"`
			Max  whole            `json:"maxSizeGb"`
			Rate upstream.Dollars `json:"hourlyRatePerGb"`

			Name, HasGPUOffers unread
		} `json:"regions"`
		HasAnyOffers unread
	}
	err = a.client.Get(ctx, "/api/volumes/regions", url.Values{"provider": {subprovider}}, &response)
	if provider.IsKind(err, provider.KindRejected) || provider.IsKind(err, provider.KindNotFound) {
		a.warn(ctx, "the cloud knows no volumes of a sub-provider", "subprovider", subprovider)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if response.Regions == nil {
		return nil, upstream.Malformed("the regions of volumes", nil)
	}
	for _, r := range *response.Regions {
		p := place{at: subsite{subprovider, r.ID}}
		p.Region, p.PerGBHour = p.at.slug(), r.Rate.Amount
		p.MinSizeGB, p.MaxSizeGB = max(int64(r.Min), 1), int64(r.Max)
		if p.PerGBHour > 0 && p.PerGBHour <= money.USD && p.MaxSizeGB >= p.MinSizeGB {
			out = append(out, p)
		}
	}
	return out, nil
}

// VolumePricing implements provider.VolumeProvider.
func (a *Adapter) VolumePricing(ctx context.Context) ([]provider.VolumePricing, error) {
	all, err := a.places.Recent(ctx, placesAge)
	if err != nil {
		return nil, err
	}
	out := make([]provider.VolumePricing, len(all))
	for i, p := range all {
		out[i] = p.VolumePricing
	}
	return out, nil
}

// Volume implements provider.VolumeProvider.
func (a *Adapter) Volume(ctx context.Context, reference id.ID) (provider.Volume, error) {
	all, err := a.volumes.Recent(ctx, listAge)
	if err != nil {
		return provider.Volume{}, err
	}
	v, err := a.pickVolume(ctx, reference, all)
	if err != nil {
		return provider.Volume{}, err
	}
	active, err := a.active.Recent(ctx, listAge)
	if err != nil {
		return provider.Volume{}, err
	}
	return a.volume(ctx, v, active), nil
}

// Volumes implements provider.VolumeProvider.
func (a *Adapter) Volumes(ctx context.Context) ([]provider.Volume, error) {
	all, err := a.volumes.Recent(ctx, listAge)
	if err != nil {
		return nil, err
	}
	active, err := a.active.Recent(ctx, listAge)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Volume, len(all))
	for i, v := range all {
		out[i] = a.volume(ctx, v, active)
	}
	return out, nil
}

// volume translates the volume. It has no MountPath: the cloud attaches it, and the tenant mounts
// it.
func (a *Adapter) volume(ctx context.Context, v volume, active []deployment) provider.Volume {
	out := provider.Volume{ID: v.ID, Reference: upstream.ParseMark(id.Volume, v.Name), SizeGB: int64(v.SizeGB)}
	switch v.Status {
	case "available", "attached":
		out.Ready = true
	case statusFailed:
		out.Failed = true
	case "deleting":
	default:
		a.warnings.UnknownStatus(ctx, a.account, "volume", v.Status)
	}
	for _, machine := range v.Attached {
		if reference, exists := a.referenceOf(machine, active); exists && out.AttachedTo == "" {
			out.AttachedTo = reference
		}
	}
	return out
}

// pickVolume returns the volume in the list that has the reference, and fails where two have it.
func (a *Adapter) pickVolume(ctx context.Context, reference id.ID, all []volume) (v volume, err error) {
	for _, x := range all {
		if upstream.ParseMark(id.Volume, x.Name) != reference {
			continue
		}
		if v.ID != "" {
			return volume{}, a.duplicate(ctx, "volume", reference, v.ID, x.ID)
		}
		v = x
	}
	if v.ID == "" {
		return volume{}, upstream.NotFound("no volume has the name of %s", reference)
	}
	return v, nil
}

// freshVolume returns the volume as it is now.
func (a *Adapter) freshVolume(ctx context.Context, reference id.ID) (volume, error) {
	all, err := a.volumes.Fresh(ctx)
	if err != nil {
		return volume{}, err
	}
	return a.pickVolume(ctx, reference, all)
}

// changeVolume calls f with the volume as it is now, with the reference's lock held.
func (a *Adapter) changeVolume(ctx context.Context, reference id.ID, f func(v volume) error) error {
	return a.locks.Do(ctx, reference, func() error {
		v, err := a.freshVolume(ctx, reference)
		if err != nil {
			return err
		}
		return f(v)
	})
}

// change sends a request that creates or changes a volume.
func (a *Adapter) change(ctx context.Context, r upstream.Request) error {
	defer a.volumes.Forget()
	return a.client.Do(ctx, r)
}

// CreateVolume implements provider.VolumeProvider.
func (a *Adapter) CreateVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	find := func(ctx context.Context) (provider.Volume, error) {
		v, err := a.freshVolume(ctx, r.Reference)
		if err != nil {
			return provider.Volume{}, err
		}
		active, err := a.active.Recent(ctx, listAge)
		return a.volume(ctx, v, active), err
	}
	return upstream.CreateOnce(ctx, &a.locks, r.Reference, find, func(ctx context.Context) (provider.Volume, error) {
		return a.createVolume(ctx, r)
	})
}

func (a *Adapter) createVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	places, err := a.places.Recent(ctx, placesAge)
	if err != nil {
		return provider.Volume{}, err
	}
	i := slices.IndexFunc(places, func(p place) bool { return p.Region == r.Region })
	if i < 0 {
		return provider.Volume{}, upstream.NotFound("there are no volumes in %.80q", r.Region)
	}
	in := places[i]
	if r.SizeGB < in.MinSizeGB || r.SizeGB > in.MaxSizeGB {
		return provider.Volume{}, upstream.Rejected(
			fmt.Sprintf("A volume in this region must have %d to %d GB.", in.MinSizeGB, in.MaxSizeGB))
	}
	team, remembered, err := a.payer(ctx)
	if err != nil {
		return provider.Volume{}, err
	}
	body := map[string]any{
		"name": upstream.Mark(r.Reference), "sizeInGb": r.SizeGB, "provider": in.at.provider, "teamId": team,
	}
	several := slices.ContainsFunc(
		places, func(p place) bool { return p.at.provider == in.at.provider && p.at != in.at },
	)
	if in.at.provider != voltagePark || several {
		body["region"] = in.at.cluster
	}
	var v volume
	err = a.change(ctx, upstream.Request{Method: http.MethodPost, Path: "/api/volumes", Body: body, Into: &v})
	if err != nil {
		return provider.Volume{}, a.refused(err, remembered)
	}
	if v.ID == "" {
		return provider.Volume{}, upstream.Malformed("the volume that it created", nil)
	}
	return a.volume(ctx, v, nil), nil
}

// GrowVolume implements provider.VolumeProvider.
func (a *Adapter) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	return a.changeVolume(ctx, reference, func(v volume) error {
		switch {
		case int64(v.SizeGB) == sizeGB:
			return nil
		case int64(v.SizeGB) > sizeGB:
			return upstream.Rejected("A volume cannot shrink.")
		}
		body := map[string]int64{"sizeInGb": sizeGB}
		return a.change(ctx, upstream.Request{Method: http.MethodPatch, Path: v.path(), Body: body})
	})
}

func (v volume) path() string { return "/api/volumes/" + url.PathEscape(v.ID) }

// DeleteVolume implements provider.VolumeProvider.
func (a *Adapter) DeleteVolume(ctx context.Context, reference id.ID) error {
	return upstream.IgnoreNotFound(a.changeVolume(ctx, reference, func(v volume) error {
		switch {
		case v.Status == "deleting":
			return nil
		case len(v.Attached) > 0:
			return upstream.Rejected("The volume is attached. Detach it first.")
		}
		return a.change(ctx, upstream.Request{Method: http.MethodDelete, Path: v.path()})
	}))
}

// AttachVolume implements provider.VolumeProvider. It attaches the volume to one machine only; some
// sub-providers would allow several.
func (a *Adapter) AttachVolume(ctx context.Context, reference, machine id.ID) error {
	return a.changeVolume(ctx, reference, func(v volume) error {
		d, err := a.find(ctx, machine)
		if err != nil {
			return err
		}
		if d.ended() {
			return upstream.NotFound("machine %s has ended", d.ID)
		}
		if slices.Contains(v.Attached, d.ID) {
			return nil
		}
		active, err := a.active.Recent(ctx, listAge)
		if err != nil {
			return err
		}
		for _, other := range v.Attached {
			if _, exists := a.referenceOf(other, active); exists {
				return upstream.Rejected("The volume is attached to another machine.")
			}
		}
		return a.attachment(ctx, v, "attach", d.ID)
	})
}

// DetachVolume implements provider.VolumeProvider.
func (a *Adapter) DetachVolume(ctx context.Context, reference id.ID) error {
	return a.changeVolume(ctx, reference, func(v volume) error {
		for _, machine := range v.Attached {
			// Where the machine is not found it has ended, and the volume is free.
			if err := upstream.IgnoreNotFound(a.attachment(ctx, v, "detach", machine)); err != nil {
				return err
			}
		}
		return nil
	})
}

// attachment attaches the volume to a machine, or detaches it.
func (a *Adapter) attachment(ctx context.Context, v volume, action, machine string) error {
	body := map[string]string{"deploymentId": machine}
	return a.change(ctx, upstream.Request{Method: http.MethodPost, Path: v.path() + "/" + action, Body: body})
}
