package voltagepark

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

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
		return unclear("a volume without an id or a size")
	}
	if v.Status != "active" && v.Status != "inactive" {
		a.unknown(ctx, "volume", v.Status)
	}
	return nil
}

// holders are the rentals that have the volume. An order that no list of rentals shows is one that has ended.
func (v volume) holders(machines []machine) (out []machine) {
	for _, m := range machines {
		if !m.vm && slices.Contains(v.Orders, m.id) {
			out = append(out, m)
		}
	}
	return out
}

func (v volume) answer(machines []machine) provider.Volume {
	out := provider.Volume{ID: v.ID, Reference: upstream.Marked(v.Name, id.Volume), Ready: v.Status == "active", SizeGB: *v.SizeGB}
	for _, m := range v.holders(machines) {
		out.AttachedTo = m.reference
	}
	if ip := address(v.Server); ip != "" && out.Reference != "" {
		if out.MountPath = ip + ":/" + v.Name; slices.Contains([]byte(ip), ':') {
			out.MountPath = "[" + ip + "]:/" + v.Name
		}
	}
	return out
}

// VolumePricing returns the price of storage, in every region whose machines reach it.
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
		Other upstream.Dollars `json:"rate_hourly"` // one document has it so
	}
	if err := a.client.Get(ctx, storagePath+"hourly-rate", nil, &rate); err != nil {
		return nil, err
	}
	if !rate.PerGB.Known {
		rate.PerGB = rate.Other
	}
	if !rate.PerGB.Known || rate.PerGB.Amount <= 0 {
		return nil, unclear("GET %shourly-rate: an answer without a price", storagePath)
	}
	out := make([]provider.VolumePricing, len(regions))
	for i, region := range regions {
		out[i] = provider.VolumePricing{Region: region, PerGBHour: rate.PerGB.Amount, MinSizeGB: minSizeGB, MaxSizeGB: maxSizeGB}
	}
	return out, nil
}

// storageRegions are the regions in which there are machines that storage can be attached to.
func (a *Adapter) storageRegions(ctx context.Context) (out []string, err error) {
	offers, err := a.offers.Recent(ctx, syncEvery)
	if err != nil {
		return nil, err
	}
	for _, o := range offers {
		reaches := len(a.storing) == 0 || slices.Contains(a.storing, o.Region)
		if o.Capabilities.Volumes && reaches && !slices.Contains(out, o.Region) {
			out = append(out, o.Region)
		}
	}
	return out, nil
}

// listed finds the volume on a list of now.
func (a *Adapter) listed(ctx context.Context, reference id.ID) (volume, error) {
	all, err := a.storage.Fresh(ctx)
	if err != nil {
		return volume{}, err
	}
	return named(all, reference)
}

func named(all []volume, reference id.ID) (volume, error) {
	for _, v := range all {
		if v.Name == upstream.Mark(reference) {
			return v, nil
		}
	}
	return volume{}, notFound("no volume has the reference %s", reference)
}

// CreateVolume makes a volume, unless there is one of the reference already.
func (a *Adapter) CreateVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	done, err := a.turns.Take(ctx, r.Reference)
	if err != nil {
		return provider.Volume{}, err
	}
	defer done()
	switch v, err := a.listed(ctx, r.Reference); {
	case err == nil:
		return v.answer(nil), nil
	case !is(err, provider.KindNotFound):
		return provider.Volume{}, err
	}
	if r.SizeGB < minSizeGB || r.SizeGB > maxSizeGB {
		return provider.Volume{}, refuse("A volume of this provider has 1 to 64,000 GB.")
	}
	regions, err := a.storageRegions(ctx)
	if err != nil {
		return provider.Volume{}, err
	}
	if !slices.Contains(regions, r.Region) {
		return provider.Volume{}, notFound("there is no storage in %.80q", r.Region)
	}
	body := struct {
		SizeGB int64    `json:"size_in_gb"`
		Name   string   `json:"name"`
		Orders []string `json:"order_ids"`
	}{r.SizeGB, upstream.Mark(r.Reference), []string{}}
	refused := a.change(ctx, http.MethodPost, storagePath, body)
	if refused != nil && !is(refused, provider.KindRejected) {
		return provider.Volume{}, refused
	}
	// What is answered is not written down, and a name that is taken is refused: what counts is whether it is there.
	v, err := a.listed(ctx, r.Reference)
	switch {
	case is(err, provider.KindNotFound) && refused != nil:
		return provider.Volume{}, refused
	case is(err, provider.KindNotFound):
		return provider.Volume{}, unclear("volume %s was made and is not listed yet", r.Reference)
	case err != nil:
		return provider.Volume{}, err
	}
	return v.answer(nil), nil
}

// Volume returns the volume of a reference.
func (a *Adapter) Volume(ctx context.Context, reference id.ID) (provider.Volume, error) {
	all, err := a.storage.Recent(ctx, pollEvery/2)
	if err != nil {
		return provider.Volume{}, err
	}
	v, err := named(all, reference)
	if err != nil {
		return provider.Volume{}, err
	}
	machines, err := a.machines.Recent(ctx, pollEvery/2)
	if err != nil {
		return provider.Volume{}, err
	}
	return v.answer(machines), nil
}

// Volumes returns every volume of the account.
func (a *Adapter) Volumes(ctx context.Context) ([]provider.Volume, error) {
	all, err := a.storage.Recent(ctx, pollEvery/2)
	if err != nil {
		return nil, err
	}
	machines, err := a.machines.Recent(ctx, pollEvery/2)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Volume, len(all))
	for i, v := range all {
		out[i] = v.answer(machines)
	}
	return out, nil
}

// patch changes a volume and reads it back: the answer to a change may be null.
func (a *Adapter) patch(ctx context.Context, v volume, body any, done func(volume) bool) error {
	err := a.change(ctx, http.MethodPatch, storagePath+v.ID, body)
	a.storage.Forget(ctx)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := a.client.Get(ctx, storagePath+v.ID, nil, &raw); err != nil {
		return err
	}
	var now volume
	if err := json.Unmarshal(raw, &now); err != nil || now.ID != v.ID || now.SizeGB == nil || !done(now) {
		return unclear("volume %s was changed and does not show it yet", v.ID)
	}
	return nil
}

// setOrders says which rentals have the volume, all of them.
func (a *Adapter) setOrders(ctx context.Context, v volume, orders ...string) error {
	orders = append([]string{}, orders...) // an empty list, not null
	return a.patch(ctx, v, map[string]any{"order_ids": orders}, func(now volume) bool {
		slices.Sort(now.Orders)
		return slices.Equal(now.Orders, orders)
	})
}

// GrowVolume makes a volume larger.
func (a *Adapter) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	done, err := a.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	v, err := a.listed(ctx, reference)
	switch {
	case err != nil:
		return err
	case sizeGB < *v.SizeGB || sizeGB > maxSizeGB:
		return refuse("A volume of this provider never shrinks, and has at most 64,000 GB.")
	case sizeGB == *v.SizeGB:
		return nil
	}
	return a.patch(ctx, v, map[string]any{"size_in_gb": sizeGB}, func(now volume) bool { return *now.SizeGB == sizeGB })
}

// DeleteVolume deletes a volume that no machine has.
func (a *Adapter) DeleteVolume(ctx context.Context, reference id.ID) error {
	done, err := a.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	v, err := a.listed(ctx, reference)
	if is(err, provider.KindNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(v.Orders) > 0 { // the cloud keeps those of rentals that have ended
		machines, err := a.machines.Fresh(ctx)
		if err != nil {
			return err
		}
		if len(v.holders(machines)) > 0 {
			return refuse("The volume is attached; detach it first.")
		}
		if err := a.setOrders(ctx, v); err != nil {
			return err
		}
	}
	err = a.change(ctx, http.MethodDelete, storagePath+v.ID, nil)
	a.storage.Forget(ctx)
	if is(err, provider.KindNotFound) {
		return nil
	}
	return err
}

// AttachVolume lets a rental mount the volume. Its tenant does.
func (a *Adapter) AttachVolume(ctx context.Context, reference, deployment id.ID) error {
	done, err := a.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	v, err := a.listed(ctx, reference)
	if err != nil {
		return err
	}
	machines, err := a.machines.Fresh(ctx)
	if err != nil {
		return err
	}
	m, err := a.one(ctx, machines, deployment)
	if err != nil {
		return err
	}
	holders := v.holders(machines)
	switch {
	case m.vm:
		return refuse("Volumes of this provider can be attached to bare-metal machines only.")
	case slices.ContainsFunc(holders, func(o machine) bool { return o.id != m.id }):
		return refuse("The volume is attached to another machine.")
	case len(holders) == 1:
		return nil
	}
	return a.setOrders(ctx, v, m.id)
}

// DetachVolume takes the volume from whatever machine has it.
func (a *Adapter) DetachVolume(ctx context.Context, reference id.ID) error {
	done, err := a.turns.Take(ctx, reference)
	if err != nil {
		return err
	}
	defer done()
	v, err := a.listed(ctx, reference)
	if err != nil || len(v.Orders) == 0 {
		return err
	}
	return a.setOrders(ctx, v)
}
