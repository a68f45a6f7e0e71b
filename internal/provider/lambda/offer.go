package lambda

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// DefaultSystem runs where no image is requested.
	DefaultSystem = "Lambda Stack"
)

// wireType is a machine type and the regions that have it in stock.
type wireType struct {
	Type struct {
		Name           string         `json:"name"`
		Architecture   string         `json:"architecture"`
		GPUDescription string         `json:"gpu_description"`
		Price          upstream.Cents `json:"price_cents_per_hour"`
		Specs          struct {
			VCPUs      int   `json:"vcpus"`
			MemoryGiB  int64 `json:"memory_gib"`
			StorageGiB int64 `json:"storage_gib"`
			GPUs       int   `json:"gpus"`
		} `json:"specs"`
	} `json:"instance_type"`
	Regions *[]wireRegion `json:"regions_with_capacity_available"`
}

type wireRegion struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// wireImage is an image in a region.
type wireImage struct {
	Family       string     `json:"family"`
	Architecture string     `json:"architecture"`
	Region       wireRegion `json:"region"`
}

// gpuMemory is only in the text: "H100 (80 GB SXM5)".
var gpuMemory = regexp.MustCompile(`\(([0-9]{1,5}) ?GB\b`)

// Offers implements provider.Provider. It keeps the list for the launches to come.
func (a *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	all, err := upstream.Offers(ctx, a.offers, 0)
	return a.account.WithoutExcluded(all), err
}

func (a *Adapter) fetchOffers(ctx context.Context) ([]provider.Offer, error) {
	var types, images json.RawMessage
	if err := a.client.Get(ctx, "/instance-types", nil, &types); err != nil {
		return nil, upstream.ListError(err)
	}
	if err := a.client.Get(ctx, "/images", nil, &images); err != nil {
		return nil, upstream.ListError(err)
	}
	systems, err := systemsOf(images)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	offers, skipped, err := offersOf(types, systems, a.seen)
	if skipped > 0 {
		a.account.Log.DebugContext(ctx, "some of the cloud's machine types cannot be offered",
			"provider", a.account.Slug, "skipped", skipped)
	}
	return offers, err
}

// platform is where an image runs.
type platform struct{ region, architecture string }

// systemsOf parses the response of /images: the families, by where they run.
func systemsOf(raw []byte) (map[platform][]string, error) {
	var response struct {
		Data *[]wireImage `json:"data"`
	}
	if err := json.Unmarshal(raw, &response); err != nil || response.Data == nil {
		return nil, upstream.Malformed("the images", err)
	}
	systems := map[platform][]string{}
	for _, i := range *response.Data {
		at := platform{i.Region.Name, i.Architecture}
		systems[at] = append(systems[at], i.Family)
	}
	for at, families := range systems {
		slices.Sort(families)
		systems[at] = upstream.OperatingSystems(append([]string{DefaultSystem}, families...))
	}
	return systems, nil
}

// offersOf parses the response of /instance-types, and adds to seen, by type and region, where each
// type is in stock. skipped counts what cannot be offered.
func offersOf(
	raw []byte, systems map[platform][]string, seen map[string]map[string]wireRegion,
) (offers []provider.Offer, skipped int, err error) {
	var response struct {
		Data *map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &response); err != nil || response.Data == nil {
		return nil, 0, upstream.Malformed("the machine types", err)
	}
	maps.DeleteFunc(seen, func(name string, _ map[string]wireRegion) bool { // no longer sold
		return (*response.Data)[name] == nil
	})
	for _, name := range slices.Sorted(maps.Keys(*response.Data)) {
		var t wireType
		if json.Unmarshal((*response.Data)[name], &t) != nil || t.Type.Name != name || t.Regions == nil {
			skipped++
			continue
		}
		o, sellable := t.offer()
		if !sellable {
			skipped++
			continue
		}
		if seen[name] == nil {
			seen[name] = map[string]wireRegion{}
		}
		available := map[string]bool{}
		for _, r := range *t.Regions {
			if !upstream.IsPlain(r.Name) || !upstream.IsPlain(name+"/"+r.Name) || strings.Contains(r.Name, "/") ||
				!provider.ValidSlug(upstream.Slug(r.Name)) {
				skipped++
				continue
			}
			seen[name][r.Name], available[r.Name] = r, true
		}
		for _, region := range slices.Sorted(maps.Keys(seen[name])) {
			o.Key, o.Region, o.RegionName = name+"/"+region, upstream.Slug(region), region
			o.Available = available[region]
			if text := seen[name][region].Description; upstream.IsPlain(text) {
				o.RegionName = text
			}
			o.OperatingSystems = []string{DefaultSystem}
			if families := systems[platform{region, t.architecture()}]; families != nil {
				o.OperatingSystems = families
			}
			offers = append(offers, o)
		}
	}
	return offers, skipped, nil
}

// offer returns the type as an offer without a region, and whether it can be sold.
func (t wireType) offer() (provider.Offer, bool) {
	x, specs := t.Type, t.Type.Specs
	memory := gpuMemory.FindStringSubmatch(x.GPUDescription)
	if memory == nil || !x.Price.Known || x.Name == "" || strings.Contains(x.Name, "/") ||
		min(specs.MemoryGiB, specs.StorageGiB) < 0 || max(specs.MemoryGiB, specs.StorageGiB) > upstream.MaxGB {
		return provider.Offer{}, false
	}
	gpuMemoryGB, err := strconv.Atoi(memory[1])
	o := provider.Offer{
		GPUType: x.GPUDescription, GPUCount: specs.GPUs, GPUMemoryGB: gpuMemoryGB,
		VCPUs: specs.VCPUs, MemoryGB: decimalGB(specs.MemoryGiB), StorageGB: decimalGB(specs.StorageGiB),
		InstanceType: provider.VM, HourlyPrice: x.Price.Amount, OperatingSystems: []string{DefaultSystem},
		Capabilities: provider.Capabilities{Reboot: true, CloudInit: true, SingleKey: true},
	}
	return o, err == nil && upstream.Sellable(o)
}

// decimalGB converts GiB to GB, rounded down.
func decimalGB(gib int64) int { return int(gib << 30 / 1_000_000_000) }

// architecture is that of the type's processor: the catalog's, else by the name.
func (t wireType) architecture() string {
	if stated := t.Type.Architecture; stated != "" {
		return stated
	}
	if upstream.ContainsAny(t.Type.Name, []string{"gh200", "gb200", "gb300"}) {
		return "arm64"
	}
	return "x86_64"
}
