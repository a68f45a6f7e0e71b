package billet

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// prefix keeps the other Billet's offer ids apart from our own.
const prefix = "up:"

// maxRuntime is the longest minimum runtime that the catalog accepts, in minutes.
const maxRuntime = 366 * 24 * 60

// offer is an offer of the other Billet.
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
	TrustedOnly      bool                  `json:"trustedTenantsOnly"`
	AsOf             string                `json:"asOf"`
}

func (o offer) key() string { return o.ID }

var alpha2 = regexp.MustCompile(`^[A-Z]{2}$`)

// translate returns the offer as ours, and whether we can sell it. volumes is whether the offer's
// provider has the volumes of its region.
func (o offer) translate(volumes bool) (out provider.Offer, ok bool) {
	out = provider.Offer{
		Key: prefix + o.ID, Region: o.Region, RegionName: upstream.CleanText(o.RegionName),
		GPUType: o.GPUType, GPUCount: o.GPUCount, GPUMemoryGB: o.GPUMemoryGB,
		VCPUs: o.VCPUs, MemoryGB: o.MemoryGB, StorageGB: o.StorageGB,
		Interconnect: upstream.CleanText(o.Interconnect), InstanceType: o.InstanceType,
		OperatingSystems: upstream.OperatingSystems(o.OperatingSystems),
		HourlyPrice:      o.HourlyPrice.Amount, Available: o.Available, Stock: o.Stock, Capabilities: o.Capabilities,
		MinimumRuntime:     time.Duration(min(max(o.MinimumMinutes, 0), maxRuntime)) * time.Minute,
		TrustedTenantsOnly: o.TrustedOnly,
	}
	out.Capabilities.Volumes = out.Capabilities.Volumes && volumes
	// These need what this adapter has no calls for.
	out.Capabilities.Console, out.Capabilities.CustomImages, out.Capabilities.Rescue = false, false, false
	if alpha2.MatchString(o.Country) {
		out.Country = o.Country
	}
	if s := o.Stock; s != nil && (*s < 0 || *s > upstream.MaxCount || (*s > 0) != o.Available) {
		out.Stock = nil // a stock that contradicts Available is unknown
	}
	kinds := []provider.InstanceType{provider.BareMetal, provider.VM, provider.Spot, provider.Cluster}
	ok = upstream.IsPlain(out.Key) && provider.ValidSlug(o.Region) && slices.Contains(kinds, o.InstanceType) &&
		o.HourlyPrice.Known && upstream.Sellable(out)
	return out, ok
}

// Offers implements provider.Provider.
func (b *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	owners, err := b.owners(ctx, pricingAge)
	if err != nil {
		return nil, err
	}
	list, _, err := all[offer](ctx, b, "/offers", nil)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Offer, 0, len(list))
	for _, o := range list {
		sold, ok := o.translate(owners[o.Region].Provider == o.Provider && o.Provider != "")
		if !ok {
			b.warnings.Warn(ctx, b.account.Log, "an offer of the other Billet cannot be sold and is skipped",
				"provider", b.account.Slug, "offer", upstream.CleanText(o.ID))
			continue
		}
		out = append(out, sold)
	}
	return b.account.WithoutExcluded(out), nil
}

// offerID returns the other Billet's id of the offer with that key.
func offerID(key string) (string, bool) { return strings.CutPrefix(key, prefix) }
