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
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	pageSize = 100
	// maxPages bounds a cloud that never comes to an end.
	maxPages = 200
	// The rest is what the catalogue takes.
	maxText    = 128
	maxSystems = 64
	maxCount   = 1_000_000
	maxPrice   = 1_000_000 * money.USD
)

// subsite is a region as the cloud has it: one of a sub-provider.
type subsite struct{ provider, cluster string }

// slug is the region's in our API. Two sub-providers may use the same name for different places, and a volume of one cannot be attached at the
// other, so it has both.
func (s subsite) slug() string { return upstream.Slug(s.provider + "-" + s.cluster) }

func (s subsite) name() string { return clean(s.cluster + " (" + s.provider + ")") }

// offer is one that can be launched, and what the cloud wants to be told to do so.
type offer struct {
	provider.Offer
	at           subsite
	offerID      string
	gpuType      string // the cloud's own text, for the deploy
	instanceType string // likewise
}

// page is one of the list of groups. Paging counts groups.
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

// unread is a field that is known and not needed. It is named so that a look for what is new in the answers does not find it.
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

// whole is a number of which only the whole part matters, as a JSON number or a text; 0 for null and for what is less than 0.
type whole int

// UnmarshalJSON reads it.
func (w *whole) UnmarshalJSON(b []byte) error {
	text := string(bytes.Trim(b, `"`))
	if *w = 0; text == "" || text == "null" {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n > 1e9 {
		return fmt.Errorf("%.40q is no number", text)
	}
	*w = whole(max(n, 0))
	return nil
}

// Offers returns everything that the cloud sells, one offer for each region.
func (a *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	all, err := a.sold.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Offer, len(all))
	for i, o := range all {
		out[i] = o.Offer
		out[i].OperatingSystems = slices.Clone(o.OperatingSystems)
	}
	return a.account.Sold(out), nil
}

// offer returns what is sold under the key in the region now.
func (a *Adapter) offer(ctx context.Context, key, region string) (offer, error) {
	for _, age := range []time.Duration{syncEvery, time.Minute} {
		all, err := a.sold.Recent(ctx, age)
		if err != nil {
			return offer{}, err
		}
		for _, o := range all {
			if o.Key == key && o.Region == region {
				return o, nil
			}
		}
	}
	return offer{}, &provider.Error{Kind: provider.KindNotFound}
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
			return nil, garbled("a page of offers without groups, or without how many there are")
		}
		if p.Total != nil {
			if total >= 0 && total != *p.Total {
				return nil, garbled("the offers changed while they were read")
			}
			total = *p.Total
		}
		groups = append(groups, *p.Data...)
		if p.Total != nil && len(groups) >= *p.Total || p.Total == nil && n >= *p.Pages {
			return a.readGroups(ctx, groups)
		}
		if len(*p.Data) == 0 {
			return nil, garbled(fmt.Sprintf("the offers end after %d groups of more", len(groups)))
		}
	}
}

func paging(n int) url.Values {
	return url.Values{"page": {strconv.Itoa(n)}, "limit": {strconv.Itoa(pageSize)}}
}

// readGroups reads each offer on its own: one that is broken takes no other with it.
func (a *Adapter) readGroups(ctx context.Context, groups []group) ([]offer, error) {
	var out []offer
	broken, read := 0, 0
	for _, g := range groups {
		for _, raw := range g.Offers {
			var e entry
			if err := json.Unmarshal(raw, &e); err != nil {
				broken++
				a.once(ctx, "an offer cannot be read and is left out", "error", err.Error())
				continue
			}
			read++
			out = append(out, a.regions(ctx, g, e)...)
		}
	}
	if broken > 0 && read == 0 {
		return nil, garbled("no offer can be read")
	}
	// Of two rows for the same thing the cheaper that can be had counts, and the order of the answer does not.
	slices.SortStableFunc(out, func(x, y offer) int {
		return cmp.Or(cmp.Compare(x.Region, y.Region), cmp.Compare(x.Key, y.Key), cmp.Compare(rank(x), rank(y)), cmp.Compare(x.HourlyPrice, y.HourlyPrice),
			slices.Compare(x.OperatingSystems, y.OperatingSystems))
	})
	return slices.CompactFunc(out, func(x, y offer) bool { return x.Region == y.Region && x.Key == y.Key }), nil
}

func rank(o offer) int {
	if o.Available {
		return 0
	}
	return 1
}

// regions returns one offer for each region of the entry; none for what cannot be sold.
func (a *Adapter) regions(ctx context.Context, g group, e entry) []offer {
	o := offer{offerID: e.OfferID, gpuType: g.GPUType, instanceType: e.InstanceType}
	o.GPUType = clean(bareMetal.ReplaceAllString(g.GPUType, ""))
	o.GPUCount, o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB = int(e.GPUCount), int(e.GPUMemory), int(e.VCPUs), int(e.Memory), int(e.Storage)
	// The key has all that must not change under a tenant who chose this offer; the launch finds it by the whole.
	o.Key = strings.Join([]string{e.Provider, g.GPUType, e.InstanceType, strconv.Itoa(o.GPUCount), e.OfferID}, "/")
	o.Interconnect = clean(e.Interconnect)
	o.HourlyPrice, o.Available = e.Price.Amount, e.Available
	o.MinimumRuntime = max(minimumRuntime, time.Duration(min(e.MinMinutes, 60*24*365))*time.Minute)
	o.Capabilities = provider.Capabilities{CloudInit: e.CloudInit, SingleKey: true, Volumes: volumeKeepers[e.Provider]}
	for _, s := range e.Systems {
		if s == clean(s) && s != "" && len(o.OperatingSystems) < maxSystems && !slices.Contains(o.OperatingSystems, s) {
			o.OperatingSystems = append(o.OperatingSystems, s)
		}
	}
	var known bool
	if o.InstanceType, known = letAs(g.GPUType, e); !known {
		a.once(ctx, "an unknown instance type; its offers are left out", "instanceType", e.InstanceType)
		return nil
	}
	if e.Maintenance || o.GPUCount == 0 || o.GPUCount > maxCount || o.GPUType == "" || e.Provider == "" || e.OfferID == "" || o.HourlyPrice <= 0 || o.HourlyPrice > maxPrice || len(o.OperatingSystems) == 0 {
		return nil
	}
	if o.Key != clean(o.Key) {
		a.once(ctx, "an offer whose names are too long or no plain text; it is left out", "offer", o.Key)
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
		if !a.home(ctx, o.at) {
			continue
		}
		o.Region, o.RegionName = o.at.slug(), o.at.name()
		o.OperatingSystems = slices.Clone(o.OperatingSystems)
		out = append(out, o)
	}
	return out
}

// home tells whether the region has its slug for itself. The first that had it keeps it, since a volume's and a machine's must be the same place.
func (a *Adapter) home(ctx context.Context, at subsite) bool {
	slug := at.slug()
	if at.cluster == "" || !provider.ValidSlug(slug) {
		return false
	}
	a.mu.Lock()
	before, taken := a.homes[slug]
	if !taken && len(a.homes) < 10_000 {
		a.homes[slug] = at
	}
	a.mu.Unlock()
	if taken && before != at {
		a.once(ctx, "a region whose name reads like another's; its offers are left out", "region", at.provider+" "+at.cluster)
		return false
	}
	return true
}

var bareMetal = regexp.MustCompile(`(?i)[ _-]*bare[ _-]?metal`)

// letAs is the way in which it is let.
func letAs(gpuType string, e entry) (provider.InstanceType, bool) {
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

// clean is the text as the catalogue takes it: plain, bounded, without spaces around it. It is the same text where there was nothing to mend.
func clean(text string) string {
	text = apierr.Visible(text)
	if len(text) > maxText {
		text = text[:maxText]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return strings.TrimSpace(text)
}
