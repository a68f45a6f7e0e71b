package voltagepark

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	storagePath = "/storage/"

	minSizeGB = 1
	maxSizeGB = 64_000
)

// volume is an NFS share.
type volume struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	SizeGB *int64   `json:"size_in_gb"`
	Status string   `json:"status"`
	Orders []string `json:"order_ids"`
	Server string   `json:"vip"`
}

func (a *Adapter) fetchVolumes(ctx context.Context) ([]volume, error) {
	all, err := rows[volume](ctx, a, "volume", storagePath)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if err := a.check(ctx, v); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (a *Adapter) check(ctx context.Context, v volume) error {
	if !uuidForm.MatchString(v.ID) || v.SizeGB == nil {
		return upstream.Malformed("a volume's id and size", nil)
	}
	if v.Status != "active" && v.Status != "inactive" {
		a.unknownStatus(ctx, "volume", v.Status)
	}
	return nil
}

// holders returns the rentals that have the volume. An order that is on no list of rentals has
// ended.
func (v volume) holders(machines []machine) (out []machine) {
	for _, m := range machines {
		if !m.vm && slices.Contains(v.Orders, m.id) {
			out = append(out, m)
		}
	}
	return out
}

func (v volume) translate(machines []machine) provider.Volume {
	out := provider.Volume{
		ID: v.ID, Reference: upstream.ParseMark(id.Volume, v.Name), Ready: v.Status == "active", SizeGB: *v.SizeGB,
	}
	for _, m := range v.holders(machines) {
		out.AttachedTo = m.reference
	}
	if ip := address(v.Server); ip != "" && out.Reference != "" {
		if strings.Contains(ip, ":") {
			ip = "[" + ip + "]"
		}
		out.MountPath = ip + ":/" + v.Name
	}
	return out
}

// VolumePricing implements provider.VolumeProvider: one price, in every region that has storage.
func (a *Adapter) VolumePricing(ctx context.Context) ([]provider.VolumePricing, error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return nil, err
	}
	regions, err := a.storageRegions(ctx)
	if err != nil || len(regions) == 0 {
		return nil, err
	}
	var rate struct {
		PerGB upstream.Dollars `json:"hourly_rate_per_gb"`
		Other upstream.Dollars `json:"rate_hourly"` // in one document
	}
	if err := a.client.Get(ctx, storagePath+"hourly-rate", nil, &rate); err != nil {
		return nil, err
	}
	if !rate.PerGB.Known {
		rate.PerGB = rate.Other
	}
	if !rate.PerGB.Known || rate.PerGB.Amount <= 0 {
		return nil, upstream.Malformed("the price of storage", nil)
	}
	out := make([]provider.VolumePricing, len(regions))
	for i, region := range regions {
		out[i] = provider.VolumePricing{
			Region: region, PerGBHour: rate.PerGB.Amount, MinSizeGB: minSizeGB, MaxSizeGB: maxSizeGB,
		}
	}
	return out, nil
}

// storageRegions returns the regions with machines that storage can be attached to.
func (a *Adapter) storageRegions(ctx context.Context) (out []string, err error) {
	offers, err := a.offers.Recent(ctx, syncEvery)
	if err != nil {
		return nil, err
	}
	for _, o := range offers {
		has := len(a.storage) == 0 || slices.Contains(a.storage, o.Region)
		if o.Capabilities.Volumes && has && !slices.Contains(out, o.Region) {
			out = append(out, o.Region)
		}
	}
	return out, nil
}

// findVolume returns the volume of a reference from a list that is at most that old.
func (a *Adapter) findVolume(ctx context.Context, reference id.ID, age time.Duration) (volume, error) {
	all, err := a.volumes.Recent(ctx, age)
	if err != nil {
		return volume{}, err
	}
	for _, v := range all {
		if v.Name == upstream.Mark(reference) {
			return v, nil
		}
	}
	return volume{}, upstream.NotFound("no volume has the reference %s", reference)
}

// CreateVolume implements provider.VolumeProvider.
func (a *Adapter) CreateVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	find := func(ctx context.Context) (volume, error) { return a.findVolume(ctx, r.Reference, 0) }
	v, err := upstream.CreateOnce(ctx, &a.locks, r.Reference, find, func(ctx context.Context) (volume, error) {
		return a.createVolume(ctx, r)
	})
	if err != nil {
		return provider.Volume{}, err
	}
	return v.translate(nil), nil
}

func (a *Adapter) createVolume(ctx context.Context, r provider.VolumeRequest) (volume, error) {
	if r.SizeGB < minSizeGB || r.SizeGB > maxSizeGB {
		return volume{}, upstream.Rejected("A volume of this provider must have 1 to 64,000 GB.")
	}
	regions, err := a.storageRegions(ctx)
	if err != nil {
		return volume{}, err
	}
	if !slices.Contains(regions, r.Region) {
		return volume{}, upstream.NotFound("there is no storage in %.80q", r.Region)
	}
	body := struct {
		SizeGB int64    `json:"size_in_gb"`
		Name   string   `json:"name"`
		Orders []string `json:"order_ids"`
	}{r.SizeGB, upstream.Mark(r.Reference), []string{}}
	refused := a.change(ctx, http.MethodPost, storagePath, body)
	if refused != nil && !provider.IsKind(refused, provider.KindRejected) {
		return volume{}, refused
	}
	// The response is undocumented, and a name that is taken is refused: what counts is whether the
	// volume exists.
	v, err := a.findVolume(ctx, r.Reference, 0)
	if provider.IsKind(err, provider.KindNotFound) {
		if err = refused; err == nil {
			err = upstream.Unavailable("volume %s was created and is not listed yet", r.Reference)
		}
	}
	return v, err
}

// Volume implements provider.VolumeProvider.
func (a *Adapter) Volume(ctx context.Context, reference id.ID) (provider.Volume, error) {
	v, err := a.findVolume(ctx, reference, listAge)
	if err != nil {
		return provider.Volume{}, err
	}
	machines, err := a.machines.Recent(ctx, listAge)
	if err != nil {
		return provider.Volume{}, err
	}
	return v.translate(machines), nil
}

// Volumes implements provider.VolumeProvider.
func (a *Adapter) Volumes(ctx context.Context) ([]provider.Volume, error) {
	all, err := a.volumes.Recent(ctx, listAge)
	if err != nil {
		return nil, err
	}
	machines, err := a.machines.Recent(ctx, listAge)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Volume, len(all))
	for i, v := range all {
		out[i] = v.translate(machines)
	}
	return out, nil
}

// patch changes a volume and reads it back: the response to a change may be null.
func (a *Adapter) patch(ctx context.Context, v volume, body any, done func(volume) bool) error {
	err := a.change(ctx, http.MethodPatch, storagePath+v.ID, body)
	a.volumes.Forget()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := a.client.Get(ctx, storagePath+v.ID, nil, &raw); err != nil {
		return err
	}
	var now volume
	if err := json.Unmarshal(raw, &now); err != nil || now.ID != v.ID || now.SizeGB == nil || !done(now) {
		return upstream.Unavailable("volume %s was changed and does not show it yet", v.ID)
	}
	return nil
}

// setOrders sets the rentals that have the volume, all of them.
func (a *Adapter) setOrders(ctx context.Context, v volume, orders ...string) error {
	orders = append([]string{}, orders...) // an empty list, not null
	return a.patch(ctx, v, map[string]any{"order_ids": orders}, func(now volume) bool {
		slices.Sort(now.Orders)
		return slices.Equal(now.Orders, orders)
	})
}

// changeVolume calls f with the volume as it is now, with the reference's lock held.
func (a *Adapter) changeVolume(ctx context.Context, reference id.ID, f func(v volume) error) error {
	return a.locks.Do(ctx, reference, func() error {
		v, err := a.findVolume(ctx, reference, 0)
		if err != nil {
			return err
		}
		return f(v)
	})
}

// GrowVolume implements provider.VolumeProvider.
func (a *Adapter) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	return a.changeVolume(ctx, reference, func(v volume) error {
		switch {
		case sizeGB < *v.SizeGB || sizeGB > maxSizeGB:
			return upstream.Rejected("A volume of this provider cannot shrink, and has at most 64,000 GB.")
		case sizeGB == *v.SizeGB:
			return nil
		}
		return a.patch(
			ctx, v, map[string]any{"size_in_gb": sizeGB}, func(now volume) bool { return *now.SizeGB == sizeGB },
		)
	})
}

// DeleteVolume implements provider.VolumeProvider.
func (a *Adapter) DeleteVolume(ctx context.Context, reference id.ID) error {
	return upstream.IgnoreNotFound(a.changeVolume(ctx, reference, func(v volume) error {
		if len(v.Orders) > 0 { // the cloud keeps the orders of rentals that have ended
			machines, err := a.machines.Fresh(ctx)
			if err != nil {
				return err
			}
			if len(v.holders(machines)) > 0 {
				return upstream.Rejected("The volume is attached. Detach it first.")
			}
			if err := a.setOrders(ctx, v); err != nil {
				return err
			}
		}
		defer a.volumes.Forget()
		return a.change(ctx, http.MethodDelete, storagePath+v.ID, nil)
	}))
}

// AttachVolume implements provider.VolumeProvider. The tenant mounts the volume.
func (a *Adapter) AttachVolume(ctx context.Context, reference, deployment id.ID) error {
	return a.changeVolume(ctx, reference, func(v volume) error {
		m, err := a.find(ctx, deployment, 0)
		if err != nil {
			return err
		}
		machines, err := a.machines.Recent(ctx, listAge)
		if err != nil {
			return err
		}
		holders := v.holders(machines)
		switch {
		case m.vm:
			return upstream.Rejected("Volumes of this provider can be attached to bare-metal machines only.")
		case slices.ContainsFunc(holders, func(o machine) bool { return o.id != m.id }):
			return upstream.Rejected("The volume is attached to another machine.")
		case len(holders) == 1:
			return nil
		}
		return a.setOrders(ctx, v, m.id)
	})
}

// DetachVolume implements provider.VolumeProvider.
func (a *Adapter) DetachVolume(ctx context.Context, reference id.ID) error {
	return a.changeVolume(ctx, reference, func(v volume) error {
		if len(v.Orders) == 0 {
			return nil
		}
		return a.setOrders(ctx, v)
	})
}
