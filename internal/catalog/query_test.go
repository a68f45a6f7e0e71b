package catalog_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// market returns n offers whose fields repeat at different distances, so that every filter and
// every tie occurs.
func market(n int) []provider.Offer {
	gpus := []struct {
		name   string
		memory int
	}{{"NVIDIA B200", 180}, {"NVIDIA H100", 80}, {"AMD MI300X", 192}, {"NVIDIA A100", 40}, {"NVIDIA A100", 80},
		{"nvidia h100", 80}}
	out := make([]provider.Offer, n)
	for i := range out {
		o := offer(fmt.Sprintf("off_%05d", i))
		g := gpus[i%len(gpus)]
		o.GPUType, o.GPUMemoryGB, o.GPUCount = g.name, g.memory, 1<<(i%4)
		o.Region = []string{"dallas-usa-5", "oslo-1", "elsewhere"}[i%3]
		o.InstanceType = []provider.InstanceType{provider.BareMetal, provider.VM, provider.Spot, provider.Cluster}[i%4]
		o.HourlyPrice = money.Dollars(int64(1 + i*7%11))
		o.Available = i%5 != 0
		o.Stock = nil
		if i%2 == 0 {
			o.Interconnect = ""
		}
		out[i] = o
	}
	return out
}

// orders are the ascending orders, by their field.
var orders = map[catalog.SortField]func(a, b catalog.Offer) int{
	"price":       func(a, b catalog.Offer) int { return cmp.Compare(a.HourlyPrice, b.HourlyPrice) },
	"pricePerGpu": func(a, b catalog.Offer) int { return cmp.Compare(a.HourlyPricePerGPU, b.HourlyPricePerGPU) },
	"gpuCount":    func(a, b catalog.Offer) int { return cmp.Compare(a.GPUCount, b.GPUCount) },
	"gpuMemoryGb": func(a, b catalog.Offer) int { return cmp.Compare(a.GPUMemoryGB, b.GPUMemoryGB) },
	"name": func(a, b catalog.Offer) int {
		return cmp.Compare(strings.ToLower(a.GPUType), strings.ToLower(b.GPUType))
	},
	"provider": func(a, b catalog.Offer) int { return cmp.Compare(a.Provider, b.Provider) },
	"region":   func(a, b catalog.Offer) int { return cmp.Compare(a.Region, b.Region) },
}

func TestListMatchesSimpleSearch(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	a, b := &seller{slug: "voltage-park", offers: market(60)}, &seller{slug: "hyper-1"}
	for _, o := range market(40) {
		o.Key = strings.Replace(o.Key, "off_", "off_b", 1)
		b.offers = append(b.offers, o)
	}
	r := newRig(t, dbtest.SQLite(t, c), c, a, b)
	r.sync("voltage-park")
	r.sync("hyper-1")
	all, _ := r.cat.Default().List(catalog.Query{})
	if len(all) != 100 {
		t.Fatalf("%d offers", len(all))
	}
	byID := func(a, b catalog.Offer) int { return cmp.Compare(a.ID, b.ID) }
	if fields := catalog.SortField("").Enum(); len(orders) != len(fields) {
		t.Fatalf("sort fields: %v", fields)
	}
	rapid.Check(t, func(t *rapid.T) {
		pick := func(name string, from ...string) string { return rapid.SampledFrom(append(from, "")).Draw(t, name) }
		q := catalog.Query{
			Search:   pick("search", "b200", "NVIDIA a100", "PARK oslo", "infiniband h100", "zzz"),
			Provider: pick("provider", "Voltage-Park", "hyper-1", "none"),
			GPUType:  pick("gpuType", "nvidia H100", "AMD MI300X"), Region: pick("region", "oslo-1", "ELSEWHERE"),
			InstanceType: pick("instanceType", "vm", "BARE_METAL"),
			Sort: rapid.SliceOfNDistinct(rapid.SampledFrom(catalog.SortKey("").Enum()), 0, 4, fieldOf).
				Draw(t, "sort"),
			Page: db.Page{
				Number: rapid.IntRange(1, 4).Draw(t, "page"),
				Limit:  rapid.IntRange(1, 30).Draw(t, "limit"),
			},
		}
		if rapid.Bool().Draw(t, "with count") {
			n := rapid.IntRange(1, 8).Draw(t, "count")
			q.GPUCount = &n
		}
		if rapid.Bool().Draw(t, "with least") {
			n := rapid.IntRange(1, 8).Draw(t, "least")
			q.MinGPUCount = &n
		}
		if rapid.Bool().Draw(t, "with price") {
			p := money.Dollars(rapid.Int64Range(0, 12).Draw(t, "max price"))
			q.MaxHourlyPrice = &p
		}
		if rapid.Bool().Draw(t, "with available") {
			v := rapid.Bool().Draw(t, "available")
			q.Available = &v
		}
		var want []catalog.Offer
		for _, o := range all {
			if plainly(q, o) {
				want = append(want, o)
			}
		}
		keys := q.Sort
		if len(keys) == 0 {
			keys = []catalog.SortKey{"price"}
		}
		slices.SortFunc(want, func(a, b catalog.Offer) int {
			for _, k := range keys {
				n := orders[fieldOf(k)](a, b)
				if strings.HasPrefix(string(k), "-") {
					n = -n
				}
				if n != 0 {
					return n
				}
			}
			return byID(a, b)
		})
		got, total := r.cat.Default().List(q)
		from := min(q.Offset(), len(want))
		page := want[from:min(from+q.Limit, len(want))]
		if total != len(want) || got == nil || !slices.Equal(ids(got), ids(page)) {
			t.Fatalf("%+v:\n got %v of %d\nwant %v of %d", q, ids(got), total, ids(page), len(want))
		}
	})
}

func fieldOf(k catalog.SortKey) catalog.SortField {
	return catalog.SortField(strings.TrimPrefix(string(k), "-"))
}

func plainly(q catalog.Query, o catalog.Offer) bool {
	same := func(want, have string) bool { return want == "" || strings.EqualFold(want, have) }
	text := o.GPUType + " | " + o.Provider + " | " + o.Region + " | " + o.RegionName
	if o.Interconnect != nil {
		text += " | " + *o.Interconnect
	}
	for _, word := range strings.Fields(q.Search) {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			return false
		}
	}
	return same(q.Provider, o.Provider) && same(q.GPUType, o.GPUType) && same(q.Region, o.Region) &&
		same(q.InstanceType, string(o.InstanceType)) &&
		(q.GPUCount == nil || *q.GPUCount == o.GPUCount) && (q.MinGPUCount == nil || *q.MinGPUCount <= o.GPUCount) &&
		(q.MaxHourlyPrice == nil || o.HourlyPrice <= *q.MaxHourlyPrice) &&
		(q.Available == nil || *q.Available == o.Available)
}

// facets is a market of a provider with offers and one without.
func facets(t *testing.T) catalog.Market {
	c := clock.NewFrozen(dbtest.Start)
	a := storer{&seller{slug: "voltage-park", offers: market(60),
		volumes: []provider.VolumePricing{{Region: "oslo-1", PerGBHour: 100, MinSizeGB: 10, MaxSizeGB: 100}}}}
	r := newRig(t, dbtest.SQLite(t, c), c, a, &seller{slug: "empty"})
	r.sync("voltage-park")
	return r.cat.Default()
}

// checkCounts compares a facet's counts with the list of its offers.
func checkCounts(
	t *testing.T, m catalog.Market, name string, got catalog.Counts, q catalog.Query, of func(catalog.Offer) bool,
) {
	t.Helper()
	if diff := gocmp.Diff(countsOf(m, q, of), got); diff != "" {
		t.Errorf("counts of %s (-want +got):\n%s", name, diff)
	}
}

func anyOffer(catalog.Offer) bool { return true }

func TestMarket_Providers(t *testing.T) {
	t.Parallel()
	m := facets(t)
	got := m.Providers()
	if len(got) != 2 || got[0].Slug != "empty" || got[0].Status != catalog.StatusDown || got[0].AsOf != nil ||
		got[1].Status != catalog.StatusUp || got[1].Name != "VOLTAGE-PARK" || !got[1].Volumes {
		t.Fatalf("Providers = %+v", got)
	}
	for _, f := range got {
		checkCounts(t, m, f.Slug, f.Counts, catalog.Query{Provider: f.Slug}, anyOffer)
	}
}

func TestMarket_Regions(t *testing.T) {
	t.Parallel()
	m := facets(t)
	got := m.Regions()
	if len(got) != 5 || got[0].Provider != "empty" || got[3].Slug != "elsewhere" || got[3].Country != nil ||
		got[4].Name != "Oslo" || !got[4].Volumes {
		t.Fatalf("Regions = %+v", got)
	}
	for _, f := range got {
		q := catalog.Query{Provider: f.Provider, Region: f.Slug}
		checkCounts(t, m, f.Provider+"/"+f.Slug, f.Counts, q, anyOffer)
	}
}

func TestMarket_GPUTypes(t *testing.T) {
	t.Parallel()
	m := facets(t)
	got := m.GPUTypes()
	if len(got) != 5 || got[1].GPUType != "NVIDIA A100" || got[1].GPUMemoryGB != 40 || got[2].GPUMemoryGB != 80 ||
		!slices.Equal(got[0].Providers, []string{"voltage-park"}) {
		t.Fatalf("GPUTypes = %+v", got)
	}
	for _, f := range got {
		checkCounts(t, m, f.GPUType, f.Counts, catalog.Query{GPUType: f.GPUType},
			func(o catalog.Offer) bool { return o.GPUMemoryGB == f.GPUMemoryGB })
	}
}

// countsOf counts the listed offers for which of is true.
func countsOf(m catalog.Market, q catalog.Query, of func(catalog.Offer) bool) (n catalog.Counts) {
	offers, _ := m.List(q)
	lower := func(have *money.Micros, price money.Micros) *money.Micros {
		if have == nil || price < *have {
			return &price
		}
		return have
	}
	for _, o := range offers {
		if !of(o) {
			continue
		}
		n.Offers++
		if o.Available {
			n.AvailableOffers++
			n.LowestHourlyPrice = lower(n.LowestHourlyPrice, o.HourlyPrice)
			n.LowestHourlyPricePerGPU = lower(n.LowestHourlyPricePerGPU, o.HourlyPricePerGPU)
		}
	}
	return n
}

func big(tb testing.TB) *rig {
	c := clock.NewFrozen(dbtest.Start)
	s := &seller{slug: "voltage-park", offers: market(10_000)}
	r := newRig(tb, dbtest.SQLite(tb, c), c, s)
	if _, err := r.cat.Sync(tb.Context(), id.ID("provider/voltage-park")); err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestListAllocatesLittleMoreThanItsPage(t *testing.T) {
	r := big(t)
	yes := true
	q := catalog.Query{Search: "nvidia park", Available: &yes, Sort: []catalog.SortKey{"-pricePerGpu"},
		Page: db.Page{Number: 3, Limit: 20}}
	if page, total := r.cat.Default().List(q); len(page) != 20 || total < 5_000 {
		t.Fatalf("%d of %d", len(page), total)
	}
	if n := testing.AllocsPerRun(20, func() { r.cat.Default().List(q) }); n > 4 {
		t.Errorf("%.0f allocations", n)
	}
}

func BenchmarkListOf10000(b *testing.B) {
	r := big(b)
	yes := true
	q := catalog.Query{Search: "nvidia dallas", Available: &yes, Sort: []catalog.SortKey{"-pricePerGpu"},
		Page: db.Page{Number: 3, Limit: 20}}
	b.ReportAllocs()
	for b.Loop() {
		r.cat.Default().List(q)
	}
}

func BenchmarkSyncOf10000(b *testing.B) {
	r := big(b)
	for b.Loop() {
		r.clock.Advance(every)
		if _, err := r.cat.Sync(b.Context(), id.ID("provider/voltage-park")); err != nil {
			b.Fatal(err)
		}
	}
}
