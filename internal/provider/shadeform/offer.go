package shadeform

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// bootMargin is added to one and a half times the longest boot time that the cloud states.
	bootMargin    = 10 * time.Minute
	shortestLimit = 15 * time.Minute
)

// wireType is the part of a machine type that we read.
type wireType struct {
	Cloud          string         `json:"cloud"`
	Type           string         `json:"shade_instance_type"`
	DeploymentType string         `json:"deployment_type"`
	HourlyPrice    upstream.Cents `json:"hourly_price"`
	Configuration  struct {
		MemoryGB     int      `json:"memory_in_gb"`
		StorageGB    int      `json:"storage_in_gb"`
		VCPUs        int      `json:"vcpus"`
		GPUs         int      `json:"num_gpus"`
		GPUType      string   `json:"gpu_type"`
		Interconnect string   `json:"interconnect"`
		VRAMGB       int      `json:"vram_per_gpu_in_gb"`
		Systems      []string `json:"os_options"`
	} `json:"configuration"`
	Availability []struct {
		Region     string `json:"region"`
		Available  bool   `json:"available"`
		Display    string `json:"display_name"`
		RentalType string `json:"rental_type"`
	} `json:"availability"`
	BootTime struct {
		Max int `json:"max_boot_in_sec"`
	} `json:"boot_time"`
}

// onDemand is the rental type that is sold; a row without a type is of this one. The price of other
// types is not stated, and their machines may be reclaimed at any time.
const onDemand = "on_demand"

// launchLimit is how long a machine of the type may take until it answers SSH; 0 for the adapter's
// own limit. Types that are slower than that are not offered.
func (t wireType) launchLimit() (limit time.Duration, fast bool) {
	if t.BootTime.Max <= 0 {
		return 0, true
	}
	if t.BootTime.Max > int(launchLimit/time.Second) {
		return 0, false
	}
	boot := time.Duration(t.BootTime.Max) * time.Second
	limit = max(shortestLimit, boot+boot/2+bootMargin)
	return limit, limit <= launchLimit
}

// Offers implements provider.Provider. It keeps the list for the launches to come.
func (a *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	all, err := upstream.Offers(ctx, a.types, 0)
	return a.account.WithoutExcluded(all), err
}

func (a *Adapter) fetchOffers(ctx context.Context) ([]provider.Offer, error) {
	var raw json.RawMessage
	if err := a.client.Get(ctx, "/instances/types", nil, &raw); err != nil {
		return nil, upstream.ListError(err)
	}
	offers, skipped, err := offersOf(raw, a.metalOnly)
	if skipped > 0 {
		a.account.Log.DebugContext(ctx, "some of the cloud's machine types cannot be offered",
			"provider", a.account.Slug, "skipped", skipped)
	}
	return offers, err
}

// offersOf parses the response of /instances/types. skipped counts what can never be offered: what
// is malformed, or lacks a price or a GPU.
func offersOf(raw []byte, metalOnly bool) (offers []provider.Offer, skipped int, err error) {
	var response struct {
		Types *[]json.RawMessage `json:"instance_types"`
	}
	if err := json.Unmarshal(raw, &response); err != nil || response.Types == nil {
		return nil, 0, upstream.Malformed("the machine types", err)
	}
	byKey := map[string]int{} // position in offers
	for _, one := range *response.Types {
		var t wireType
		if json.Unmarshal(one, &t) != nil {
			skipped++
			continue
		}
		kind := map[string]provider.InstanceType{"baremetal": provider.BareMetal, "vm": provider.VM}[t.DeploymentType]
		if kind == "" || kind == provider.VM && metalOnly { // "" is a container, or something new
			continue
		}
		o, sellable := t.offer(kind)
		if !sellable {
			skipped++
			continue
		}
		for _, in := range t.Availability {
			if in.RentalType != "" && in.RentalType != onDemand {
				continue
			}
			o.Key, o.Region = t.Cloud+"/"+t.Type+"/"+in.Region, upstream.Slug(t.Cloud+"-"+in.Region)
			_, _, _, whole := cutKey(o.Key)
			if !whole || !upstream.IsPlain(o.Key) || !upstream.IsPlain(in.Region) || !provider.ValidSlug(o.Region) {
				skipped++
				continue
			}
			if i, known := byKey[o.Key]; known {
				offers[i].Available = offers[i].Available || in.Available
				continue
			}
			o.Available, o.RegionName = in.Available, in.Region
			if upstream.IsPlain(in.Display) {
				o.RegionName = in.Display
			}
			o.OperatingSystems = slices.Clone(o.OperatingSystems)
			byKey[o.Key] = len(offers)
			offers = append(offers, o)
		}
	}
	return offers, skipped, nil
}

// offer returns the type as an offer without a region, and whether it can be sold.
func (t wireType) offer(kind provider.InstanceType) (provider.Offer, bool) {
	c := t.Configuration
	limit, fast := t.launchLimit()
	o := provider.Offer{
		GPUType: gpuName(c.GPUType, c.Interconnect), GPUCount: c.GPUs, GPUMemoryGB: c.VRAMGB,
		VCPUs: c.VCPUs, MemoryGB: c.MemoryGB, StorageGB: c.StorageGB,
		InstanceType: kind, HourlyPrice: t.HourlyPrice.Amount, LaunchLimit: limit,
		OperatingSystems: upstream.OperatingSystems(c.Systems),
		Capabilities:     provider.Capabilities{Reboot: true, SingleKey: true},
	}
	return o, fast && t.HourlyPrice.Known && upstream.Sellable(o)
}

// gpuName adds the interconnect to the GPU's name where it is the GPU's form factor: an SXM H100 is
// not a PCIe one.
func gpuName(gpu, interconnect string) string {
	form := strings.ToUpper(interconnect)
	if (strings.HasPrefix(form, "SXM") || strings.HasPrefix(form, "PCIE")) &&
		!strings.Contains(strings.ToUpper(gpu), form) && gpu != "" {
		return gpu + " " + form
	}
	return gpu
}

// cutKey splits an offer's key.
func cutKey(key string) (cloud, kind, region string, whole bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}
