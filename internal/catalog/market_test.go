package catalog_test

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"pgregory.net/rapid"
)

// ownMarkups is a market of two providers, with the markups of three accounts. With theirs, the
// offers are in another order than with the default ones.
func ownMarkups(t *testing.T, d *db.DB, c *clock.Simulated) (r *rig, a storer, own map[id.ID]int64) {
	a = storer{&seller{slug: "a", offers: market(60),
		volumes: []provider.VolumePricing{{Region: "oslo-1", PerGBHour: 105, MinSizeGB: 10, MaxSizeGB: 100}}}}
	b := &seller{slug: "b"}
	for _, o := range market(40) {
		o.Key, o.HourlyPrice = "off_b"+o.Key[4:], o.HourlyPrice+333_333
		b.offers = append(b.offers, o)
	}
	r = newRig(t, d, c, a, b)
	r.markup["a"], r.markup["b"] = 1_000, 9_000
	r.sync("a")
	r.sync("b")
	own = map[id.ID]int64{"acc_own": 2_550, "acc_cost": 0, "acc_same": 2_550}
	r.own = func() map[id.ID]int64 { return own }
	return r, a, own
}

func (r *rig) load() {
	r.t.Helper()
	if err := r.cat.Load(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// An account with its own markup sees every price at it, and other accounts see the default prices.
func TestOwnMarkupAppliesToEveryPrice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, _, own := ownMarkups(t, d, c)
		usual, _ := r.cat.Default().List(catalog.Query{})
		r.load()
		for _, account := range []id.ID{"acc_own", "acc_same", "acc_cost", "acc_usual"} {
			t.Run(string(account), func(t *testing.T) {
				m := r.cat.For(account)
				bp, has := own[account]
				if has != (m.Key() != "") {
					t.Fatalf("Key = %q", m.Key())
				}
				want, perGB := slices.Clone(usual), money.Micros(116) // 105 and ten percent, half-up
				if has {
					for i, o := range want {
						want[i].HourlyPrice = o.CostPrice.Percent(bp)
					}
					perGB = money.Micros(105).Percent(bp)
				}
				checkGet(t, m, want)
				checkList(t, m, want)
				checkLowest(t, m, want)
				if v, _ := m.VolumePrice("a", "oslo-1"); v.PerGBHour != perGB || v.CostPrice != 105 ||
					m.VolumePricing()[0] != v {
					t.Errorf("VolumePrice = %+v, want %s", v, perGB)
				}
			})
		}
	})
}

// checkGet checks that each offer is found at its price.
func checkGet(t *testing.T, m catalog.Market, want []catalog.Offer) {
	t.Helper()
	for _, w := range want {
		got, found := m.Get(w.ID)
		perGPU := got.HourlyPrice / money.Micros(got.GPUCount)
		if !found || got.HourlyPrice != w.HourlyPrice || !got.AsOf.Equal(w.AsOf) || got.Reliability.Basis == "" ||
			got.HourlyPricePerGPU < perGPU || got.HourlyPricePerGPU > perGPU+1 {
			t.Fatalf("Get(%s) = %+v, %t; want the price %s", w.ID, got, found, w.HourlyPrice)
		}
	}
}

// checkList checks that lists are limited and sorted by the prices.
func checkList(t *testing.T, m catalog.Market, want []catalog.Offer) {
	t.Helper()
	byPrice := func(a, b catalog.Offer) int {
		return cmp.Or(cmp.Compare(a.HourlyPrice, b.HourlyPrice), cmp.Compare(a.ID, b.ID))
	}
	byPriceDown := func(a, b catalog.Offer) int {
		return cmp.Or(cmp.Compare(b.HourlyPrice, a.HourlyPrice), cmp.Compare(a.ID, b.ID))
	}
	for _, limit := range []money.Micros{0, 3_000_000, 7_777_777} {
		fits, q := slices.Clone(want), catalog.Query{}
		if limit > 0 {
			q.MaxHourlyPrice = &limit
			fits = slices.DeleteFunc(fits, func(o catalog.Offer) bool { return o.HourlyPrice > limit })
		}
		for sort, compare := range map[catalog.SortKey]func(a, b catalog.Offer) int{
			"price": byPrice, "-price": byPriceDown,
			"gpuCount": func(a, b catalog.Offer) int {
				return cmp.Or(cmp.Compare(a.GPUCount, b.GPUCount), cmp.Compare(a.ID, b.ID))
			},
		} {
			q.Sort = []catalog.SortKey{sort}
			slices.SortFunc(fits, compare)
			got, total := m.List(q)
			if total != len(fits) || !slices.Equal(ids(got), ids(fits)) {
				t.Fatalf("List by %s up to %s = %v of %d, want %v", sort, limit, ids(got), total, ids(fits))
			}
		}
		q.Sort = []catalog.SortKey{"name"}
		if _, total := m.List(q); total != len(fits) {
			t.Fatalf("List by name up to %s has %d offers, want %d", limit, total, len(fits))
		}
	}
}

// checkLowest checks the lowest prices of the providers and of all GPU types.
func checkLowest(t *testing.T, m catalog.Market, want []catalog.Offer) {
	t.Helper()
	lowest := map[string]money.Micros{}
	for _, o := range want {
		if have, seen := lowest[o.Provider]; o.Available && (!seen || o.HourlyPrice < have) {
			lowest[o.Provider] = o.HourlyPrice
		}
	}
	for _, f := range m.Providers() {
		if f.LowestHourlyPrice == nil || *f.LowestHourlyPrice != lowest[f.Slug] {
			t.Errorf("the lowest price of %s is %v, want %s", f.Slug, f.LowestHourlyPrice, lowest[f.Slug])
		}
	}
	var ofGPUs []money.Micros
	for _, f := range m.GPUTypes() {
		ofGPUs = append(ofGPUs, *f.LowestHourlyPrice)
	}
	if got, want := slices.Min(ofGPUs), min(lowest["a"], lowest["b"]); got != want {
		t.Errorf("the lowest price of all GPU types is %s, want %s", got, want)
	}
}

// Changed prices and markups apply after the next sync or load.
func TestOwnMarkupFollowsChanges(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, a, own := ownMarkups(t, d, c)
		before := r.cat.Edition()
		r.load()
		edition := r.cat.Edition()
		if edition == before {
			t.Fatal("other markups are the same edition")
		}
		if r.load(); r.cat.Edition() != edition {
			t.Fatal("the same markups are another edition")
		}
		usual, _ := r.cat.Default().List(catalog.Query{})
		a.set(func(s *seller) {
			for i := range s.offers {
				s.offers[i].HourlyPrice *= 3
			}
		})
		c.Advance(every)
		r.sync("a")
		first := usual[0].ID
		o, _ := r.cat.For("acc_own").Get(first)
		if asked, _ := r.cat.Default().Get(first); o.CostPrice != asked.CostPrice ||
			o.HourlyPrice != asked.CostPrice.Percent(2_550) {
			t.Errorf("after a change of price: %+v", o)
		}
		if points := r.points(first); points[len(points)-1].HourlyPrice != o.CostPrice.Percent(r.markup[o.Provider]) {
			t.Errorf("the history is not of the default prices: %+v", points)
		}
		clear(own)
		r.load()
		if r.cat.For("acc_own").Key() != "" {
			t.Error("a markup that was withdrawn still applies")
		}
	})
}

// Every list is the same however many price lists were asked for between.
func TestPriceListsAreLimitedAndCorrect(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	r := newRig(t, dbtest.SQLite(t, c), c, &seller{slug: "a", offers: market(10)})
	own := map[id.ID]int64{}
	for i := range int64(50) {
		own[id.ID("acc_"+string(rune('A'+i)))] = i * 100
	}
	r.own = func() map[id.ID]int64 { return own }
	r.sync("a")
	rapid.Check(t, func(t *rapid.T) {
		account := id.ID("acc_" + string(rune('A'+rapid.IntRange(0, 49).Draw(t, "account"))))
		page, _ := r.cat.For(account).List(catalog.Query{Page: db.Page{Number: 1, Limit: 3}})
		for _, o := range page {
			if o.HourlyPrice != o.CostPrice.Percent(own[account]) {
				t.Fatalf("%s pays %s for what costs %s", account, o.HourlyPrice, o.CostPrice)
			}
		}
	})
}

func TestDefaultMarketNeedsNoPriceList(t *testing.T) {
	r := big(t)
	r.own = func() map[id.ID]int64 { return map[id.ID]int64{"acc_own": 10} }
	if err := r.cat.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	q := catalog.Query{Page: db.Page{Number: 3, Limit: 20}}
	if n := testing.AllocsPerRun(20, func() { r.cat.For("acc_usual").List(q) }); n > 4 {
		t.Errorf("%.0f allocations", n)
	}
	r.cat.For("acc_own").List(q)
	if n := testing.AllocsPerRun(20, func() { r.cat.For("acc_own").List(q) }); n > 5 {
		t.Errorf("%.0f allocations with an own markup", n)
	}
}
