package spheron

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	pageSize = 100
	maxPages = 200 // of a list
)

// subsite is a region of the cloud: that of a sub-provider.
type subsite struct{ provider, cluster string }

// slug is the region's in our API. It has the sub-provider, too: two may use the same name for
// different places, and a volume of one cannot be attached at the other.
func (s subsite) slug() string { return upstream.Slug(s.provider + "-" + s.cluster) }

func (s subsite) name() string { return upstream.CleanText(s.cluster + " (" + s.provider + ")") }

// offer is an offer, and what a deploy of it sends.
type offer struct {
	provider.Offer
	at           subsite
	offerID      string
	gpuType      string // as the cloud writes it
	instanceType string // as the cloud writes it
}

// page is a page of the list of groups. Paging counts groups.
type page struct {
	Data  *[]group `json:"data"`
	Total *int     `json:"total"`
	Pages *int     `json:"totalPages"`

	Page, Limit unread
}

type group struct {
	GPUType string            `json:"gpuType"`
	Offers  []json.RawMessage `json:"offers"`

	GPUModel, DisplayName, Popularity, TotalAvailable, LowestPrice, HighestPrice, AveragePrice, Providers unread
}

// unread is a known field that is not needed. It is named so that it is not reported as unknown.
type unread = json.RawMessage

type entry struct {
	Provider     string           `json:"provider"`
	OfferID      string           `json:"offerId"`
	Name         string           `json:"name"`
	VCPUs        whole            `json:"vcpus"`
	Memory       whole            `json:"memory"`
	Storage      whole            `json:"storage"`
	GPUCount     whole            `json:"gpuCount"`
	GPUMemory    whole            `json:"gpu_memory"`
	Price        upstream.Dollars `json:"price"`
	Available    bool             `json:"available"`
	Maintenance  bool             `json:"maintenance"`
	Clusters     []string         `json:"clusters"`
	Region       string           `json:"region"`
	Systems      []string         `json:"os_options"`
	InstanceType string           `json:"instanceType"`
	Interconnect string           `json:"interconnectType"`
	CloudInit    bool             `json:"supportsCloudInit"`
	MinMinutes   whole            `json:"minimumRuntimeMinutes"`
}

// whole is a number that is rounded down, as a JSON number or a string; 0 for null and for less
// than 0.
type whole int

// UnmarshalJSON parses the number.
func (w *whole) UnmarshalJSON(b []byte) error {
	text := string(bytes.Trim(b, `"`))
	if *w = 0; text == "" || text == "null" {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n > 1e9 {
		return fmt.Errorf("%.40q is not a number", text)
	}
	*w = whole(max(n, 0))
	return nil
}

// Offers implements provider.Provider: one offer for each region.
func (a *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	all, err := a.offers.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Offer, len(all))
	for i, o := range all {
		out[i] = o.Offer
		out[i].OperatingSystems = slices.Clone(o.OperatingSystems)
	}
	return a.account.WithoutExcluded(out), nil
}

// offer returns the offer with the key in the region.
func (a *Adapter) offer(ctx context.Context, key, region string) (offer, error) {
	for _, age := range []time.Duration{syncEvery, time.Minute} {
		all, err := a.offers.Recent(ctx, age)
		if err != nil {
			return offer{}, err
		}
		for _, o := range all {
			if o.Key == key && o.Region == region {
				return o, nil
			}
		}
	}
	return offer{}, upstream.NotFound("there is no offer %.80q in %.80q", key, region)
}

func (a *Adapter) fetchOffers(ctx context.Context) ([]offer, error) {
	var groups []group
	total := -1
	for n := 1; ; n++ {
		var p page
		if err := a.client.Get(ctx, "/api/gpu-offers", paging(n), &p); err != nil {
			return nil, err
		}
		if p.Data == nil || p.Total == nil && p.Pages == nil || n > maxPages {
			return nil, upstream.Malformed("the groups of offers and their number", nil)
		}
		if p.Total != nil {
			if total >= 0 && total != *p.Total {
				return nil, upstream.Unavailable("the offers changed while they were read")
			}
			total = *p.Total
		}
		groups = append(groups, *p.Data...)
		if p.Total != nil && len(groups) >= *p.Total || p.Total == nil && n >= *p.Pages {
			return a.readGroups(ctx, groups)
		}
		if len(*p.Data) == 0 {
			return nil, upstream.Unavailable("the list of offers ends after %d groups, before its end", len(groups))
		}
	}
}

func paging(n int) url.Values {
	return url.Values{"page": {strconv.Itoa(n)}, "limit": {strconv.Itoa(pageSize)}}
}

// readGroups parses each offer on its own: a malformed one hides no other.
func (a *Adapter) readGroups(ctx context.Context, groups []group) ([]offer, error) {
	var out []offer
	broken, read := 0, 0
	for _, g := range groups {
		for _, raw := range g.Offers {
			var e entry
			if err := json.Unmarshal(raw, &e); err != nil {
				broken++
				a.warn(ctx, "a malformed offer is skipped", "error", err.Error())
				continue
			}
			read++
			out = append(out, a.translate(ctx, g, e)...)
		}
	}
	if broken > 0 && read == 0 {
		return nil, upstream.Malformed("offers", nil)
	}
	// Of two rows for the same thing the cheapest available one counts, whatever their order.
	slices.SortStableFunc(out, func(x, y offer) int {
		return cmp.Or(cmp.Compare(x.Region, y.Region), cmp.Compare(x.Key, y.Key), cmp.Compare(rank(x), rank(y)),
			cmp.Compare(x.HourlyPrice, y.HourlyPrice), slices.Compare(x.OperatingSystems, y.OperatingSystems))
	})
	return slices.CompactFunc(out, func(x, y offer) bool { return x.Region == y.Region && x.Key == y.Key }), nil
}

func rank(o offer) int {
	if o.Available {
		return 0
	}
	return 1
}

// translate returns one offer for each region of the entry; none for what cannot be sold.
func (a *Adapter) translate(ctx context.Context, g group, e entry) []offer {
	o := offer{offerID: e.OfferID, gpuType: g.GPUType, instanceType: e.InstanceType}
	o.GPUType = upstream.CleanText(bareMetal.ReplaceAllString(g.GPUType, ""))
	o.GPUCount, o.GPUMemoryGB = int(e.GPUCount), int(e.GPUMemory)
	o.VCPUs, o.MemoryGB, o.StorageGB = int(e.VCPUs), int(e.Memory), int(e.Storage)
	// The key has all that must not change for a tenant who chose this offer.
	o.Key = strings.Join([]string{e.Provider, g.GPUType, e.InstanceType, strconv.Itoa(o.GPUCount), e.OfferID}, "/")
	o.Interconnect = upstream.CleanText(e.Interconnect)
	o.HourlyPrice, o.Available = e.Price.Amount, e.Available
	o.MinimumRuntime = max(minimumRuntime, time.Duration(min(e.MinMinutes, 60*24*365))*time.Minute)
	o.Capabilities = provider.Capabilities{CloudInit: e.CloudInit, SingleKey: true, Volumes: hasVolumes[e.Provider]}
	o.OperatingSystems = upstream.OperatingSystems(e.Systems)
	var known bool
	if o.InstanceType, known = instanceType(g.GPUType, e); !known {
		a.warn(ctx, "offers of an unknown instance type are skipped", "instanceType", e.InstanceType)
		return nil
	}
	if e.Maintenance || e.Provider == "" || e.OfferID == "" || !upstream.Sellable(o.Offer) {
		return nil
	}
	if !upstream.IsPlain(o.Key) {
		a.warn(ctx, "an offer is skipped: its names are too long or not plain text", "offer", o.Key)
		return nil
	}
	clusters := e.Clusters
	if len(clusters) == 0 {
		clusters = []string{e.Region}
	}
	var out []offer
	for _, cluster := range clusters {
		o := o
		o.at = subsite{e.Provider, cluster}
		if !a.claimSlug(ctx, o.at) {
			continue
		}
		o.Region, o.RegionName = o.at.slug(), o.at.name()
		o.OperatingSystems = slices.Clone(o.OperatingSystems)
		out = append(out, o)
	}
	return out
}

// claimSlug reports whether the region has its slug for itself. The first region that had it keeps
// it: a volume's and a machine's region must be the same place.
func (a *Adapter) claimSlug(ctx context.Context, at subsite) bool {
	slug := at.slug()
	if at.cluster == "" || !provider.ValidSlug(slug) {
		return false
	}
	a.mu.Lock()
	before, taken := a.regions[slug]
	if !taken && len(a.regions) < 10_000 {
		a.regions[slug] = at
	}
	a.mu.Unlock()
	if taken && before != at {
		a.warn(ctx, "offers of a region are skipped: its name is too similar to another's",
			"region", at.provider+" "+at.cluster)
		return false
	}
	return true
}

var bareMetal = regexp.MustCompile(`(?i)[ _-]*bare[ _-]?metal`)

// instanceType translates the instance type of an entry.
func instanceType(gpuType string, e entry) (provider.InstanceType, bool) {
	switch e.InstanceType {
	case "SPOT":
		return provider.Spot, true
	case "CLUSTER": // one server with eight GPUs, and no more
		return provider.BareMetal, true
	case "DEDICATED":
		if bareMetal.MatchString(gpuType) || bareMetal.MatchString(e.Name) {
			return provider.BareMetal, true
		}
		return provider.VM, true
	}
	return "", false
}
