package voltagepark

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// metalSystem is what runs on bare metal; the cloud leaves no choice.
const metalSystem = "Ubuntu 22.04"

// nodeCounts are the sizes of rentals that are offered. The cloud counts a location's free GPUs
// together, so the more nodes are requested, the less likely they are available in one cluster.
var nodeCounts = []int{1, 2, 4}

// location is a row of /bare-metal/locations.
type location struct {
	ID              string           `json:"id"`
	FreeEthernet    *int             `json:"gpu_count_ethernet"`
	FreeInfiniBand  *int             `json:"gpu_count_infiniband"`
	PriceEthernet   upstream.Dollars `json:"gpu_price_ethernet"`
	PriceInfiniBand upstream.Dollars `json:"gpu_price_infiniband"`
	Node            *struct {
		Model     string `json:"gpu_model"`
		GPUs      int    `json:"gpu_count"`
		CPUs      int    `json:"cpu_count"`
		MemoryGB  int    `json:"ram_gb"`
		StorageGB int    `json:"storage_gb"`
	} `json:"specs_per_node"`
}

// network is one of the two that a rental can have.
type network struct {
	name, label string
	free        *int
	price       upstream.Dollars
}

func (l location) networks() []network {
	return []network{
		{"ethernet", "Ethernet", l.FreeEthernet, l.PriceEthernet},
		{"infiniband", "InfiniBand, 3200 Gbps", l.FreeInfiniBand, l.PriceInfiniBand},
	}
}

// maxHosts bounds the locations that are remembered to have had VMs.
const maxHosts = 1000

// preset is a kind of VM.
type preset struct {
	ID        string `json:"id"`
	Resources struct {
		GPUs map[string]struct {
			Count int `json:"count"`
		} `json:"gpus"`
		MemoryGB  int `json:"ram_gb"`
		StorageGB int `json:"storage_gb"`
		VCPUs     int `json:"vcpu_count"`
	} `json:"resources"`
	System  string           `json:"operating_system"`
	Compute upstream.Dollars `json:"compute_rate_hourly"`
	Storage upstream.Dollars `json:"storage_rate_hourly"`
	Stock   *int             `json:"available_vms"`
	Where   []string         `json:"location_ids_with_availability"`
}

// vmLocation is a row of /virtual-machines/instant/locations.
type vmLocation struct {
	ID      string            `json:"id"`
	Presets []json.RawMessage `json:"available_presets"`
}

// place is the name of a location.
type place struct{ name, country string }

// Offers implements provider.Provider.
func (a *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	all, err := upstream.Offers(ctx, a.offers, syncEvery/2)
	return a.account.WithoutExcluded(all), err
}

func (a *Adapter) fetchOffers(ctx context.Context) ([]provider.Offer, error) {
	raw, err := a.all(ctx, "/bare-metal/locations")
	if err != nil {
		return nil, err
	}
	metal := readable[location](a, "bare-metal location", raw)
	var offers []provider.Offer
	if a.sells(productMetal) {
		for _, l := range metal {
			offers = append(offers, metalOffers(l)...)
		}
	}
	if a.sells(productVM) {
		vms, err := a.fetchVMOffers(ctx, metal)
		if err != nil {
			return nil, err
		}
		offers = append(offers, vms...)
	}
	names := a.places(ctx)
	for i := range offers {
		o := &offers[i] // its Region is still the location
		o.RegionName, o.Country = names[o.Region].name, names[o.Region].country
		o.Region = a.region(o.Region)
	}
	return offers, nil
}

// readable decodes the rows of the catalog. A malformed row is skipped, and hides no other.
func readable[T any](a *Adapter, what string, raw []json.RawMessage) (out []T) {
	for _, row := range raw {
		var one T
		a.reportUnknownFields(what, row)
		if err := json.Unmarshal(row, &one); err != nil {
			a.account.Log.Warn("a malformed row of the cloud's catalog is skipped",
				"provider", a.account.Slug, "row", what, "error", err)
			continue
		}
		out = append(out, one)
	}
	return out
}

// metalOffers returns the rentals of a location whose price and hardware are known.
func metalOffers(l location) (out []provider.Offer) {
	if !uuidForm.MatchString(l.ID) || l.Node == nil {
		return nil
	}
	memory, known := gpuMemory(l.Node.Model)
	if !known || l.Node.GPUs < 1 || l.Node.GPUs > upstream.MaxCount {
		return nil
	}
	for _, n := range l.networks() {
		for _, nodes := range nodeCounts {
			gpus := nodes * l.Node.GPUs
			o := provider.Offer{
				Key: n.name + "/" + strconv.Itoa(gpus), Region: l.ID,
				GPUType: l.Node.Model, GPUCount: gpus, GPUMemoryGB: memory, VCPUs: nodes * l.Node.CPUs,
				MemoryGB: nodes * l.Node.MemoryGB, StorageGB: nodes * l.Node.StorageGB, Interconnect: n.label,
				InstanceType: provider.BareMetal, OperatingSystems: []string{metalSystem},
				Capabilities: provider.Capabilities{Reboot: true, Power: true, Volumes: true, CloudInit: true},
			}
			if nodes > 1 {
				o.InstanceType = provider.Cluster
			}
			if plausiblePrice(n.price) {
				o.HourlyPrice = n.price.Amount.Times(int64(gpus))
			}
			if n.free != nil {
				stock := min(max(*n.free, 0)/gpus, upstream.MaxCount)
				o.Stock, o.Available = &stock, stock > 0
			}
			if sellable(o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// fetchVMOffers joins the presets that are in stock, by location, with all that are sold.
func (a *Adapter) fetchVMOffers(ctx context.Context, metal []location) ([]provider.Offer, error) {
	raw, err := a.all(ctx, "/virtual-machines/instant/locations")
	if err != nil {
		return nil, err
	}
	var list *[]json.RawMessage // a bare list, of everything
	err = a.client.Get(ctx, "/instant-deploy-presets/", nil, &list)
	switch {
	// To be removed some day.
	case provider.IsKind(err, provider.KindNotFound), provider.IsKind(err, provider.KindUnsupported):
		list = &[]json.RawMessage{}
	case err != nil:
		return nil, err
	case list == nil:
		return nil, upstream.Malformed("a list of presets", nil)
	}
	locations, presets := readable[vmLocation](a, "VM location", raw), readable[preset](a, "preset", *list)
	return a.vmOffers(locations, presets, metal), nil
}

func (a *Adapter) vmOffers(inStock []vmLocation, presets []preset, metal []location) (out []provider.Offer) {
	listed := map[[2]string]bool{}
	add := func(location string, p preset, o provider.Offer) {
		if at := [2]string{location, p.ID}; !listed[at] {
			listed[at] = true
			o.Region = location
			out = append(out, o)
		}
	}
	for _, l := range inStock {
		for _, p := range readable[preset](a, "preset", l.Presets) {
			o, ok := vmOffer(p)
			if o.Available = p.Stock == nil || *p.Stock > 0; p.Stock != nil {
				o.Stock = new(min(max(*p.Stock, 0), upstream.MaxCount))
			}
			if ok && uuidForm.MatchString(l.ID) {
				add(l.ID, p, o)
			}
		}
	}
	hosts := a.vmHosts(inStock, presets, metal)
	for _, p := range presets {
		o, ok := vmOffer(p)
		if !ok {
			continue
		}
		o.Stock = new(int)
		for _, location := range hosts {
			o.OperatingSystems = slices.Clone(o.OperatingSystems)
			add(location, p, o)
		}
	}
	return out
}

// vmHosts returns the locations that have had VMs, or every bare-metal location where none is known
// to.
func (a *Adapter) vmHosts(inStock []vmLocation, presets []preset, metal []location) (hosts []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	remember := func(location string) {
		if uuidForm.MatchString(location) && len(a.hosts) < maxHosts {
			a.hosts[location] = true
		}
	}
	for _, l := range inStock {
		remember(l.ID)
	}
	for _, p := range presets {
		for _, location := range p.Where {
			remember(location)
		}
	}
	hosts = slices.Collect(maps.Keys(a.hosts))
	if len(hosts) == 0 {
		for _, l := range metal {
			if uuidForm.MatchString(l.ID) {
				hosts = append(hosts, l.ID)
			}
		}
	}
	slices.Sort(hosts)
	return hosts
}

// vmOffer returns a preset as an offer, without its location and stock. It returns false where a
// part is missing, or where the preset is for Windows.
func vmOffer(p preset) (provider.Offer, bool) {
	if !uuidForm.MatchString(p.ID) || len(p.Resources.GPUs) != 1 || !p.Compute.Known || !p.Storage.Known ||
		strings.Contains(strings.ToLower(p.System), "windows") {
		return provider.Offer{}, false
	}
	o := provider.Offer{
		Key: "vm/" + p.ID, Region: p.ID,
		VCPUs: p.Resources.VCPUs, MemoryGB: p.Resources.MemoryGB, StorageGB: p.Resources.StorageGB,
		InstanceType: provider.VM, OperatingSystems: []string{p.System},
		Capabilities: provider.Capabilities{Power: true, CloudInit: true},
	}
	known := false
	for model, n := range p.Resources.GPUs {
		o.GPUType, o.GPUCount = model, n.Count
		o.GPUMemoryGB, known = gpuMemory(model)
	}
	if plausiblePrice(p.Compute) && p.Storage.Amount >= 0 && p.Storage.Amount <= upstream.MaxPrice {
		o.HourlyPrice = p.Compute.Amount + p.Storage.Amount
	}
	return o, known && sellable(o)
}

// modelForm is a hardware model, which ends with the memory of a GPU.
var modelForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*-([0-9]{1,5})gb$`)

func gpuMemory(model string) (gb int, known bool) {
	parts := modelForm.FindStringSubmatch(model)
	if parts == nil || len(model) > 100 {
		return 0, false
	}
	gb, err := strconv.Atoi(parts[2])
	return gb, err == nil
}

var systemForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._()-]{0,98}[A-Za-z0-9)]$`)

func plausiblePrice(d upstream.Dollars) bool {
	return d.Known && d.Amount > 0 && d.Amount <= upstream.MaxPrice
}

// sellable reports whether an offer can be sold.
func sellable(o provider.Offer) bool {
	return upstream.Sellable(o) && systemForm.MatchString(o.OperatingSystems[0])
}

// namedLocation is a row of /locations/, which has the names.
type namedLocation struct {
	ID      string `json:"id"`
	City    string `json:"city"`
	Region  string `json:"region"`
	Country string `json:"country"`
}

// places returns the names of locations, read once an hour. They are for display only: where
// reading fails, the previous names remain.
func (a *Adapter) places(ctx context.Context) map[string]place {
	now := a.account.Now()
	a.mu.Lock()
	names, fresh := a.names, !a.named.IsZero() && now.Sub(a.named) < 60*syncEvery
	a.mu.Unlock()
	if fresh {
		return names
	}
	raw, err := a.all(ctx, "/locations/")
	if err != nil {
		a.account.Log.InfoContext(ctx, "the cloud's location names could not be read",
			"provider", a.account.Slug, "error", err)
		return names
	}
	names = map[string]place{}
	for _, l := range readable[namedLocation](a, "location", raw) {
		names[strings.ToLower(l.ID)] = nameOf(l)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names, a.named = names, now
	return names
}

// nameForm has no count of characters: repeated sets of all letters would take a megabyte.
var nameForm = regexp.MustCompile(`^[\pL\pN][\pL\pN .'-]*$`)

// maxName is the most characters of a part of a location's name.
const maxName = 61

func plainName(s string) bool { return utf8.RuneCountInString(s) <= maxName && nameForm.MatchString(s) }

func nameOf(l namedLocation) (p place) {
	var parts []string
	for _, s := range []string{l.City, l.Region} {
		if s = strings.TrimSpace(s); plainName(s) && !slices.Contains(parts, s) {
			parts = append(parts, s)
		}
	}
	p.name = strings.Join(parts, ", ")
	switch c := strings.ToUpper(strings.TrimSpace(l.Country)); {
	case regexp.MustCompile(`^[A-Z]{2}$`).MatchString(c):
		p.country = c
	case slices.Contains([]string{"USA", "UNITED STATES", "UNITED STATES OF AMERICA"}, c):
		p.country = "US"
	}
	return p
}

// product parses an offer's key.
func product(key string) (networkType string, gpus int, preset string, err error) {
	if rest, vm := strings.CutPrefix(key, "vm/"); vm && uuidForm.MatchString(rest) {
		return "", 0, rest, nil
	}
	name, count, _ := strings.Cut(key, "/")
	gpus, bad := strconv.Atoi(count)
	if bad != nil || gpus < 1 || gpus > upstream.MaxCount || (name != "ethernet" && name != "infiniband") ||
		key != fmt.Sprintf("%s/%d", name, gpus) {
		return "", 0, "", upstream.NotFound("%.80q is not the key of an offer", key)
	}
	return name, gpus, "", nil
}
