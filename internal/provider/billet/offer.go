package billet

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// prefix makes the other Billet's offer id a key that is no id of ours.
const prefix = "up:"

// The bounds of the catalogue.
const (
	maxSystems = 64
	maxCount   = 1_000_000
	maxGB      = 1_000_000_000
	maxPrice   = 1_000_000 * money.USD
	maxRuntime = 366 * 24 * 60 // minutes
)

// offer is what the other Billet sells.
type offer struct {
	ID               string                `json:"id"`
	Provider         string                `json:"provider"`
	GPUType          string                `json:"gpuType"`
	GPUCount         int                   `json:"gpuCount"`
	GPUMemoryGB      int                   `json:"gpuMemoryGb"`
	VCPUs            int                   `json:"vcpus"`
	MemoryGB         int                   `json:"memoryGb"`
	StorageGB        int                   `json:"storageGb"`
	Interconnect     string                `json:"interconnect"`
	InstanceType     provider.InstanceType `json:"instanceType"`
	Region           string                `json:"region"`
	RegionName       string                `json:"regionName"`
	Country          string                `json:"country"`
	OperatingSystems []string              `json:"operatingSystems"`
	HourlyPrice      upstream.Dollars      `json:"hourlyPrice"`
	PricePerGPU      upstream.Dollars      `json:"hourlyPricePerGpu"`
	Available        bool                  `json:"available"`
	Stock            *int                  `json:"stock"`
	MinimumMinutes   int                   `json:"minimumRuntimeMinutes"`
	Capabilities     provider.Capabilities `json:"capabilities"`
	AsOf             string                `json:"asOf"`
}

func (o offer) key() string { return o.ID }

var alpha2 = regexp.MustCompile(`^[A-Z]{2}$`)

// ours is the offer as we sell it; ok is false where we cannot. volumes tells that its provider has the volumes of its region.
func (o offer) ours(volumes bool) (out provider.Offer, ok bool) {
	out = provider.Offer{
		Key: prefix + o.ID, Region: o.Region, RegionName: upstream.Line(o.RegionName), GPUType: o.GPUType, GPUCount: o.GPUCount, GPUMemoryGB: o.GPUMemoryGB,
		VCPUs: o.VCPUs, MemoryGB: o.MemoryGB, StorageGB: o.StorageGB, Interconnect: upstream.Line(o.Interconnect), InstanceType: o.InstanceType,
		HourlyPrice: o.HourlyPrice.Amount, Available: o.Available, Stock: o.Stock, Capabilities: o.Capabilities,
		MinimumRuntime: time.Duration(min(max(o.MinimumMinutes, 0), maxRuntime)) * time.Minute,
	}
	out.Capabilities.Volumes = out.Capabilities.Volumes && volumes
	if alpha2.MatchString(o.Country) {
		out.Country = o.Country
	}
	if s := o.Stock; s != nil && (*s < 0 || *s > maxCount || (*s > 0) != o.Available) {
		out.Stock = nil // what contradicts itself is not known
	}
	for _, name := range o.OperatingSystems {
		if upstream.Line(name) == name && name != "" && !slices.Contains(out.OperatingSystems, name) && len(out.OperatingSystems) < maxSystems {
			out.OperatingSystems = append(out.OperatingSystems, name)
		}
	}
	sizes := []int{o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB}
	kinds := []provider.InstanceType{provider.BareMetal, provider.VM, provider.Spot, provider.Cluster}
	ok = upstream.Line(out.Key) == out.Key && upstream.Line(out.GPUType) == out.GPUType && out.GPUType != "" && provider.ValidSlug(o.Region) &&
		o.GPUCount > 0 && o.GPUCount <= maxCount && slices.Min(sizes) >= 0 && slices.Max(sizes) <= maxGB && slices.Contains(kinds, o.InstanceType) &&
		len(out.OperatingSystems) > 0 && o.HourlyPrice.Known && out.HourlyPrice > 0 && out.HourlyPrice <= maxPrice
	return out, ok
}

// Offers returns everything that the other Billet sells.
func (b *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	owners, err := b.owners(ctx, shelfLife)
	if err != nil {
		return nil, err
	}
	list, _, err := all[offer](ctx, b, "/offers", nil)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Offer, 0, len(list))
	for _, o := range list {
		sold, ok := o.ours(owners[o.Region].Provider == o.Provider && o.Provider != "")
		if !ok {
			b.note(ctx, "an offer", o.ID)
			continue
		}
		out = append(out, sold)
	}
	return b.account.Sold(out), nil
}

// offerID is the other Billet's id of the offer with that key of ours.
func offerID(key string) (string, bool) { return strings.CutPrefix(key, prefix) }
