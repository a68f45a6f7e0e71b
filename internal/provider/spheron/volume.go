package spheron

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// voltagePark has volumes in one place, which a request need not name.
const voltagePark = "voltage-park"

// volumeKeepers are the sub-providers with volumes that we can ask for. Sesterce has some too, under an id of a cloud that no list tells.
var volumeKeepers = map[string]bool{voltagePark: true, "data-crunch": true, "verda": true, "spheron-ai": true}

// place is where volumes can be had.
type place struct {
	provider.VolumePricing
	at subsite
}

// volume is one as the cloud tells it. Paths take the id, not the volumeId.
type volume struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	SizeGB   whole    `json:"sizeInGb"`
	Status   string   `json:"status"`
	Attached []string `json:"attachedToDeploymentIds"`
}

// UnmarshalJSON refuses one that says too little to be told from another.
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
			return nil, garbled("a page of volumes without the volumes, or without how many there are")
		}
		// Rows that moved from page to page meanwhile may hide one.
		if total >= 0 && total != *p.Total {
			return nil, garbled("the volumes changed while they were read")
		}
		total = *p.Total
		for _, v := range *p.Volumes {
			if seen[v.ID] {
				return nil, garbled("the volumes moved while they were read")
			}
			seen[v.ID] = true
		}
		if all = append(all, *p.Volumes...); len(all) >= total {
			return slices.DeleteFunc(all, func(v volume) bool { return v.Status == "deleted" }), nil
		}
		if len(*p.Volumes) == 0 {
			return nil, garbled(fmt.Sprintf("the volumes end after %d of %d", len(all), *p.Total))
		}
	}
}

// fetchPlaces asks each sub-provider that sells something now where it has volumes.
func (a *Adapter) fetchPlaces(ctx context.Context) ([]place, error) {
	offers, err := a.sold.Recent(ctx, syncEvery)
	if err != nil {
		return nil, err
	}
	var keepers []string
	for _, o := range offers {
		if volumeKeepers[o.at.provider] && !slices.Contains(keepers, o.at.provider) {
			keepers = append(keepers, o.at.provider)
		}
	}
	slices.Sort(keepers)
	var out []place
	for _, keeper := range keepers {
		var said struct {
			Regions *[]struct {
				ID   string           `json:"id"`
				Min  whole            `json:"minSizeGb"`
				Max  whole            `json:"maxSizeGb"`
				Rate upstream.Dollars `json:"hourlyRatePerGb"`

				Name, HasGPUOffers unread
			} `json:"regions"`
			HasAnyOffers unread
		}
		err := a.client.Get(ctx, "/api/volumes/regions", url.Values{"provider": {keeper}}, &said)
		if err != nil && (provider.KindOf(err) == provider.KindRejected || provider.KindOf(err) == provider.KindNotFound) {
			a.once(ctx, "a sub-provider that the cloud knows no volumes of", "subprovider", keeper)
			continue
		}
		if err != nil {
			return nil, err
		}
		if said.Regions == nil {
			return nil, garbled("regions of volumes without the regions")
		}
		for _, r := range *said.Regions {
			p := place{at: subsite{keeper, r.ID}}
			p.Region, p.PerGBHour, p.MinSizeGB, p.MaxSizeGB = p.at.slug(), r.Rate.Amount, max(int64(r.Min), 1), int64(r.Max)
			twice := slices.ContainsFunc(out, func(q place) bool { return q.Region == p.Region })
			if !twice && a.home(ctx, p.at) && p.PerGBHour > 0 && p.PerGBHour <= money.USD && p.MaxSizeGB >= p.MinSizeGB {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// VolumePricing returns where volumes can be had.
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

// Volume returns the volume with that reference.
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

// Volumes returns every volume of the account that is not gone.
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

// volume is it in our words. Where its files appear is for its renter to choose: the cloud attaches it and mounts nothing.
func (a *Adapter) volume(ctx context.Context, v volume, active []deployment) provider.Volume {
	out := provider.Volume{ID: v.ID, Reference: upstream.Marked(v.Name, id.Volume), SizeGB: int64(v.SizeGB)}
	switch v.Status {
	case "available", "attached":
		out.Ready = true
	case statusFailed:
		out.Failed = true
	case "deleting":
	default:
		a.once(ctx, "the cloud has a word for a volume's state that is not known; the volume is not ready", "status", v.Status)
	}
	for _, machine := range v.Attached {
		if reference, there := a.referenceOf(machine, active); there && out.AttachedTo == "" {
			out.AttachedTo = reference
		}
	}
	return out
}

// pickVolume returns the one of the list that has the reference. Two are nobody's choice.
func (a *Adapter) pickVolume(ctx context.Context, reference id.ID, all []volume) (v volume, err error) {
	for _, x := range all {
		if upstream.Marked(x.Name, id.Volume) != reference {
			continue
		}
		if v.ID != "" {
			a.log.ErrorContext(ctx, "two volumes have one name; rename the one that is not the tenant's at the provider",
				"provider", a.account.Slug, "volume", reference, "volumes", v.ID+" "+x.ID)
			return volume{}, &provider.Error{Kind: provider.KindUnavailable, Cause: fmt.Errorf("%s and %s have the name of %s", v.ID, x.ID, reference)}
		}
		v = x
	}
	if v.ID == "" {
		return volume{}, &provider.Error{Kind: provider.KindNotFound}
	}
	return v, nil
}

// fresh returns the volume as it is now.
func (a *Adapter) fresh(ctx context.Context, reference id.ID) (volume, error) {
	all, err := a.volumes.Fresh(ctx)
	if err != nil {
		return volume{}, err
	}
	return a.pickVolume(ctx, reference, all)
}

// turn returns the volume as it is now, and the turn to change it.
func (a *Adapter) turn(ctx context.Context, reference id.ID) (v volume, done func(), err error) {
	if done, err = a.turns.Take(ctx, reference); err != nil {
		return volume{}, nil, err
	}
	if v, err = a.fresh(ctx, reference); err != nil {
		done()
		return volume{}, nil, err
	}
	return v, done, nil
}

// change asks for a change of a volume, or for one.
func (a *Adapter) change(ctx context.Context, r upstream.Request) error {
	err := a.client.Do(ctx, r)
	a.volumes.Forget(context.WithoutCancel(ctx))
	return err
}

// CreateVolume looks for the volume among all, and asks for it where there is none.
func (a *Adapter) CreateVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	done, err := a.turns.Take(ctx, r.Reference)
	if err != nil {
		return provider.Volume{}, err
	}
	defer done()
	v, err := a.fresh(ctx, r.Reference)
	switch {
	case err == nil:
		active, err := a.active.Recent(ctx, listAge)
		return a.volume(ctx, v, active), err
	case provider.KindOf(err) != provider.KindNotFound:
		return provider.Volume{}, err
	}
	return a.makeVolume(ctx, r)
}

func (a *Adapter) makeVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	places, err := a.places.Recent(ctx, placesAge)
	if err != nil {
		return provider.Volume{}, err
	}
	i := slices.IndexFunc(places, func(p place) bool { return p.Region == r.Region })
	if i < 0 {
		return provider.Volume{}, &provider.Error{Kind: provider.KindNotFound, Message: "The provider has no volumes in this region."}
	}
	in := places[i]
	if r.SizeGB < in.MinSizeGB || r.SizeGB > in.MaxSizeGB {
		return provider.Volume{}, rejected(fmt.Sprintf("A volume has %d to %d GB there.", in.MinSizeGB, in.MaxSizeGB))
	}
	team, remembered, err := a.payer(ctx)
	if err != nil {
		return provider.Volume{}, err
	}
	body := map[string]any{"name": upstream.Mark(r.Reference), "sizeInGb": r.SizeGB, "provider": in.at.provider, "teamId": team}
	alone := !slices.ContainsFunc(places, func(p place) bool { return p.at.provider == in.at.provider && p.at != in.at })
	if in.at.provider != voltagePark || !alone {
		body["region"] = in.at.cluster
	}
	var v volume
	if err := a.change(ctx, upstream.Request{Method: http.MethodPost, Path: "/api/volumes", Body: body, Into: &v}); err != nil {
		return provider.Volume{}, a.refused(err, remembered)
	}
	if v.ID == "" {
		return provider.Volume{}, garbled("a volume was asked for, and the answer is empty")
	}
	return a.volume(ctx, v, nil), nil
}

// GrowVolume makes the volume larger.
func (a *Adapter) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	v, done, err := a.turn(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	switch {
	case int64(v.SizeGB) == sizeGB:
		return nil
	case int64(v.SizeGB) > sizeGB:
		return rejected("A volume cannot become smaller.")
	}
	return a.change(ctx, upstream.Request{Method: http.MethodPatch, Path: v.path(), Body: map[string]int64{"sizeInGb": sizeGB}})
}

func (v volume) path() string { return "/api/volumes/" + url.PathEscape(v.ID) }

// DeleteVolume deletes the volume where no machine has it.
func (a *Adapter) DeleteVolume(ctx context.Context, reference id.ID) error {
	v, done, err := a.turn(ctx, reference)
	if err != nil {
		return lost(err)
	}
	defer done()
	switch {
	case v.Status == "deleting":
		return nil
	case len(v.Attached) > 0:
		return rejected("A machine has the volume.")
	}
	return lost(a.change(ctx, upstream.Request{Method: http.MethodDelete, Path: v.path()}))
}

// lost is success where the volume is not there.
func lost(err error) error {
	if err != nil && provider.KindOf(err) == provider.KindNotFound {
		return nil
	}
	return err
}

// AttachVolume attaches the volume to that machine and no other; some sub-providers would let several have it.
func (a *Adapter) AttachVolume(ctx context.Context, reference, machine id.ID) error {
	v, done, err := a.turn(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	d, err := a.find(ctx, machine)
	if err != nil {
		return err
	}
	if d.ended() {
		return &provider.Error{Kind: provider.KindNotFound}
	}
	if slices.Contains(v.Attached, d.ID) {
		return nil
	}
	active, err := a.active.Recent(ctx, listAge)
	if err != nil {
		return err
	}
	for _, other := range v.Attached {
		if _, there := a.referenceOf(other, active); there {
			return rejected("Another machine has the volume.")
		}
	}
	return a.change(ctx, upstream.Request{Method: http.MethodPost, Path: v.path() + "/attach", Body: map[string]string{"deploymentId": d.ID}})
}

// DetachVolume takes the volume from whatever has it.
func (a *Adapter) DetachVolume(ctx context.Context, reference id.ID) error {
	v, done, err := a.turn(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	for _, machine := range v.Attached {
		err := a.change(ctx, upstream.Request{Method: http.MethodPost, Path: v.path() + "/detach", Body: map[string]string{"deploymentId": machine}})
		if lost(err) != nil { // the machine is gone, and the volume with it free
			return err
		}
	}
	return nil
}
