package lambda

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// DefaultSystem is what runs where no image is asked for.
	DefaultSystem = "Lambda Stack"
	// maxSize is the largest count or size that is taken for one.
	maxSize = 1_000_000
	// maxPrice is the largest price of an hour that is taken for one.
	maxPrice = 100_000 * money.USD
	// maxSystems is how many operating systems of an offer are named.
	maxSystems = 64
)

// wireType is a type of machine and where it can be had now.
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

// gpuMemory is in the text alone: "H100 (80 GB SXM5)".
var gpuMemory = regexp.MustCompile(`\(([0-9]{1,5}) ?GB\b`)

// Offers asks for everything that is sold, and keeps it for the launches to come.
func (a *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	all, err := upstream.Offers(ctx, a.sold, 0)
	return a.account.Sold(all), err
}

func (a *Adapter) askOffers(ctx context.Context) ([]provider.Offer, error) {
	var types, images json.RawMessage
	if err := a.client.Get(ctx, "/instance-types", nil, &types); err != nil {
		return nil, upstream.Looking(err)
	}
	if err := a.client.Get(ctx, "/images", nil, &images); err != nil {
		return nil, upstream.Looking(err)
	}
	offered, err := systemsOf(images)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	offers, left, err := offersOf(types, offered, a.seen)
	if left > 0 && a.account.Log != nil {
		a.account.Log.DebugContext(ctx, "some of the cloud's types cannot be offered", "provider", a.account.Slug, "left out", left)
	}
	return offers, err
}

// platform is where an image runs.
type platform struct{ region, architecture string }

// systemsOf reads the answer of /images: the families, by where they run.
func systemsOf(raw []byte) (map[platform][]string, error) {
	var answer struct {
		Data *[]wireImage `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Data == nil {
		return nil, upstream.Garbage("the images", err)
	}
	systems := map[platform][]string{}
	for _, i := range *answer.Data {
		at := platform{i.Region.Name, i.Architecture}
		if upstream.Plain(i.Family) && i.Family != DefaultSystem && !slices.Contains(systems[at], i.Family) && len(systems[at]) < maxSystems-1 {
			systems[at] = append(systems[at], i.Family)
		}
	}
	for _, families := range systems {
		slices.Sort(families)
	}
	return systems, nil
}

// offersOf reads the answer of /instance-types, and adds to seen, by type and region, where each type can be had. left counts what cannot be offered.
func offersOf(raw []byte, systems map[platform][]string, seen map[string]map[string]wireRegion) (offers []provider.Offer, left int, err error) {
	var answer struct {
		Data *map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Data == nil {
		return nil, 0, upstream.Garbage("the types", err)
	}
	maps.DeleteFunc(seen, func(name string, _ map[string]wireRegion) bool { return (*answer.Data)[name] == nil }) // no longer sold
	for _, name := range slices.Sorted(maps.Keys(*answer.Data)) {
		var t wireType
		if json.Unmarshal((*answer.Data)[name], &t) != nil || t.Type.Name != name || t.Regions == nil {
			left++
			continue
		}
		o, good := t.offer()
		if !good {
			left++
			continue
		}
		if seen[name] == nil {
			seen[name] = map[string]wireRegion{}
		}
		available := map[string]bool{}
		for _, r := range *t.Regions {
			if !upstream.Plain(r.Name) || !upstream.Plain(name+"/"+r.Name) || strings.Contains(r.Name, "/") || !provider.ValidSlug(upstream.Slug(r.Name)) {
				left++
				continue
			}
			seen[name][r.Name], available[r.Name] = r, true
		}
		for _, region := range slices.Sorted(maps.Keys(seen[name])) {
			o.Key, o.Region, o.RegionName, o.Available = name+"/"+region, upstream.Slug(region), region, available[region]
			if text := seen[name][region].Description; upstream.Plain(text) {
				o.RegionName = text
			}
			o.OperatingSystems = append([]string{DefaultSystem}, systems[platform{region, t.architecture()}]...)
			offers = append(offers, o)
		}
	}
	return offers, left, nil
}

// offer is the type without a place.
func (t wireType) offer() (provider.Offer, bool) {
	x, specs := t.Type, t.Type.Specs
	memory := gpuMemory.FindStringSubmatch(x.GPUDescription)
	sizes := []int64{int64(specs.VCPUs), specs.MemoryGiB, specs.StorageGiB, int64(specs.GPUs)}
	if memory == nil || slices.Min(sizes) < 0 || slices.Max(sizes) > maxSize*9/10 || specs.GPUs < 1 || !x.Price.Known || x.Price.Amount <= 0 || x.Price.Amount > maxPrice ||
		!upstream.Plain(x.GPUDescription) || x.Name == "" || strings.Contains(x.Name, "/") {
		return provider.Offer{}, false
	}
	vram, err := strconv.Atoi(memory[1])
	return provider.Offer{
		GPUType: x.GPUDescription, GPUCount: specs.GPUs, GPUMemoryGB: vram, VCPUs: specs.VCPUs, MemoryGB: decimal(specs.MemoryGiB), StorageGB: decimal(specs.StorageGiB),
		InstanceType: provider.VM, HourlyPrice: x.Price.Amount, Capabilities: provider.Capabilities{Reboot: true, CloudInit: true, SingleKey: true},
	}, err == nil
}

// decimal is the size in GB, rounded down.
func decimal(gib int64) int { return int(gib << 30 / 1_000_000_000) }

// architecture is that of the type's processor: what the catalogue says, else by the name.
func (t wireType) architecture() string {
	if said := t.Type.Architecture; said != "" {
		return said
	}
	for _, grace := range []string{"gh200", "gb200", "gb300"} {
		if strings.Contains(t.Type.Name, grace) {
			return "arm64"
		}
	}
	return "x86_64"
}
