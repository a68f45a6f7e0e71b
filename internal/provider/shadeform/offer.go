package shadeform

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// maxSize is the largest count or size that is taken for one.
	maxSize = 1_000_000
	// maxPrice is the largest price of an hour that is taken for one.
	maxPrice = 100_000 * money.USD
	// maxSystems is how many operating systems of a type are offered.
	maxSystems = 64
	// bootMargin is added to one and a half times the longest boot that the cloud states.
	bootMargin    = 10 * time.Minute
	shortestLimit = 15 * time.Minute
)

// wireType is a type of machine, as far as we read it.
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

// onDemand is the rental type that is sold; a row without one is of that type. The price of the
// others is not stated, and a machine of theirs may be taken back at any time.
const onDemand = "on_demand"

// launchLimit is how long a machine of the type may take until it answers; 0 for the adapter's own
// limit. Types that are slower than that are not offered.
func (t wireType) launchLimit() (limit time.Duration, quick bool) {
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

// Offers asks for everything that is sold, and keeps it for the launches to come.
func (a *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	all, err := upstream.Offers(ctx, a.types, 0)
	return a.account.Sold(all), err
}

func (a *Adapter) askOffers(ctx context.Context) ([]provider.Offer, error) {
	var raw json.RawMessage
	if err := a.client.Get(ctx, "/instances/types", nil, &raw); err != nil {
		return nil, upstream.Looking(err)
	}
	offers, left, err := offersOf(raw, a.metalOnly)
	if left > 0 && a.account.Log != nil {
		a.account.Log.DebugContext(ctx, "some of the cloud's types cannot be offered", "provider", a.account.Slug, "left out", left)
	}
	return offers, err
}

// offersOf reads the answer of /instances/types. left counts what can never be offered: what cannot be read, or lacks a price or a GPU.
func offersOf(raw []byte, metalOnly bool) (offers []provider.Offer, left int, err error) {
	var answer struct {
		Types *[]json.RawMessage `json:"instance_types"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Types == nil {
		return nil, 0, upstream.Garbage("the types", err)
	}
	seen := map[string]int{} // by key
	for _, one := range *answer.Types {
		var t wireType
		if json.Unmarshal(one, &t) != nil {
			left++
			continue
		}
		var kind provider.InstanceType
		switch t.DeploymentType {
		case "baremetal":
			kind = provider.BareMetal
		case "vm":
			if kind = provider.VM; metalOnly {
				continue
			}
		default: // a container, or what will come
			continue
		}
		o, good := t.offer(kind)
		limit, quick := t.launchLimit()
		if o.LaunchLimit = limit; !good || !quick {
			left++
			continue
		}
		for _, in := range t.Availability {
			if in.RentalType != "" && in.RentalType != onDemand {
				continue
			}
			o.Key, o.Region = t.Cloud+"/"+t.Type+"/"+in.Region, upstream.Slug(t.Cloud+"-"+in.Region)
			if _, _, _, whole := cutKey(o.Key); !whole || !upstream.Plain(o.Key) || !upstream.Plain(in.Region) || !provider.ValidSlug(o.Region) {
				left++
				continue
			}
			if i, twice := seen[o.Key]; twice {
				offers[i].Available = offers[i].Available || in.Available
				continue
			}
			o.Available, o.RegionName = in.Available, in.Region
			if upstream.Plain(in.Display) {
				o.RegionName = in.Display
			}
			o.OperatingSystems = slices.Clone(o.OperatingSystems)
			seen[o.Key] = len(offers)
			offers = append(offers, o)
		}
	}
	return offers, left, nil
}

// offer is the type without a place.
func (t wireType) offer(kind provider.InstanceType) (provider.Offer, bool) {
	c := t.Configuration
	o := provider.Offer{
		GPUType: gpuName(c.GPUType, c.Interconnect), GPUCount: c.GPUs, GPUMemoryGB: c.VRAMGB, VCPUs: c.VCPUs, MemoryGB: c.MemoryGB, StorageGB: c.StorageGB,
		InstanceType: kind, HourlyPrice: t.HourlyPrice.Amount, Capabilities: provider.Capabilities{Reboot: true, SingleKey: true},
	}
	for _, s := range c.Systems {
		if upstream.Plain(s) && !slices.Contains(o.OperatingSystems, s) && len(o.OperatingSystems) < maxSystems {
			o.OperatingSystems = append(o.OperatingSystems, s)
		}
	}
	sizes := []int{c.GPUs, c.VRAMGB, c.VCPUs, c.MemoryGB, c.StorageGB}
	return o, t.HourlyPrice.Known && o.HourlyPrice > 0 && o.HourlyPrice <= maxPrice && c.GPUs > 0 && slices.Min(sizes) >= 0 && slices.Max(sizes) <= maxSize &&
		upstream.Plain(o.GPUType) && len(o.OperatingSystems) > 0
}

// gpuName completes the GPU's name where the interconnect is its form, since an H100 of the one is not one of the other.
func gpuName(gpu, interconnect string) string {
	form := strings.ToUpper(interconnect)
	if (strings.HasPrefix(form, "SXM") || strings.HasPrefix(form, "PCIE")) && !strings.Contains(strings.ToUpper(gpu), form) && gpu != "" {
		return gpu + " " + form
	}
	return gpu
}

// cutKey takes an offer's key apart.
func cutKey(key string) (cloud, kind, region string, whole bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}
