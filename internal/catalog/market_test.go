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

// An account with its own markup sees every price at it, and other accounts see the default prices.
func TestOwnMarkupAppliesToEveryPrice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		a := storer{&seller{slug: "a", offers: market(60),
			volumes: []provider.VolumePricing{{Region: "oslo-1", PerGBHour: 105, MinSizeGB: 10, MaxSizeGB: 100}}}}
		b := &seller{slug: "b"}
		for _, o := range market(40) {
			o.Key, o.HourlyPrice = "off_b"+o.Key[4:], o.HourlyPrice+333_333
			b.offers = append(b.offers, o)
		}
		r := newRig(t, d, c, a, b)
		r.markup["a"], r.markup["b"] = 1_000, 9_000 // so that another markup is another order
		r.sync("a")
		r.sync("b")
		own := map[id.ID]int64{"acc_own": 2_550, "acc_cost": 0, "acc_same": 2_550}
		r.own = func() map[id.ID]int64 { return own }
		usual, _ := r.cat.Default().List(catalog.Query{})
		if before := r.cat.Edition(); r.cat.Load(t.Context()) != nil || before == r.cat.Edition() {
			t.Fatal("other markups are the same edition")
		}
		if before := r.cat.Edition(); r.cat.Load(t.Context()) != nil || before != r.cat.Edition() {
			t.Fatal("the same markups are another edition")
		}
		for _, account := range []id.ID{"acc_own", "acc_same", "acc_cost", "acc_usual"} {
			m := r.cat.For(account)
			bp, has := m.OwnMarkup()
			if has != (account != "acc_usual") || bp != own[account] {
				t.Fatalf("%s: %d %t", account, bp, has)
			}
			price := func(o catalog.Offer) money.Micros {
				if !has {
					return o.HourlyPrice
				}
				return o.CostPrice.Percent(bp)
			}
			want := slices.Clone(usual)
			for i := range want {
				want[i].HourlyPrice = price(want[i])
				if got, found := m.Get(want[i].ID); !found || got.HourlyPrice != want[i].HourlyPrice ||
					!got.AsOf.Equal(want[i].AsOf) || got.Reliability.Basis == "" ||
					got.HourlyPricePerGPU < got.HourlyPrice/money.Micros(got.GPUCount) ||
					got.HourlyPricePerGPU > got.HourlyPrice/money.Micros(got.GPUCount)+1 {
					t.Fatalf("%s: %+v", account, got)
				}
			}
			for _, limit := range []money.Micros{0, 3_000_000, 7_777_777} {
				fits := slices.DeleteFunc(slices.Clone(want),
					func(o catalog.Offer) bool { return o.HourlyPrice > limit })
				if limit == 0 {
					fits = want
				}
				for sort, compare := range map[string]func(a, b catalog.Offer) int{
					"price":  func(a, b catalog.Offer) int { return cmp.Compare(a.HourlyPrice, b.HourlyPrice) },
					"-price": func(a, b catalog.Offer) int { return -cmp.Compare(a.HourlyPrice, b.HourlyPrice) },
					"name":   nil,
				} {
					q := catalog.Query{Sort: sort}
					if limit > 0 {
						q.MaxHourlyPrice = &limit
					}
					got, total := m.List(q)
					if compare != nil {
						slices.SortFunc(fits, func(a, b catalog.Offer) int {
							return cmp.Or(compare(a, b),
								cmp.Compare(a.ID, b.ID))
						})
						if !slices.Equal(ids(got), ids(fits)) {
							t.Fatalf("%s by %s up to %s: %v, not %v", account, sort, limit, ids(got), ids(fits))
						}
					}
					if total != len(fits) {
						t.Fatalf("%s by %s up to %s: %d, not %d", account, sort, limit, total, len(fits))
					}
				}
			}
			lowest := map[string]money.Micros{}
			for _, o := range want {
				if have, seen := lowest[o.Provider]; o.Available && (!seen || o.HourlyPrice < have) {
					lowest[o.Provider] = o.HourlyPrice
				}
			}
			for _, f := range m.Providers() {
				if f.LowestHourlyPrice == nil || *f.LowestHourlyPrice != lowest[f.Slug] {
					t.Errorf("%s: the lowest price of %s is %v, not %s", account, f.Slug, f.LowestHourlyPrice,
						lowest[f.Slug])
				}
			}
			least := min(lowest["a"], lowest["b"])
			if f := slices.MinFunc(m.GPUTypes(), func(a,
				b catalog.GPUFacet) int {
				return cmp.Compare(*a.LowestHourlyPrice,
					*b.LowestHourlyPrice)
			}); *f.LowestHourlyPrice != least {
				t.Errorf("%s: the lowest price of all GPUs is %s, not %s", account, *f.LowestHourlyPrice, least)
			}
			perGB := money.Micros(116) // 105 and ten percent, half-up
			if has {
				perGB = money.Micros(105).Percent(bp)
			}
			if v, _ := m.VolumePrice("a", "oslo-1"); v.PerGBHour != perGB || v.CostPrice != 105 ||
				m.VolumePricing()[0] != v {
				t.Errorf("%s: %+v", account, v)
			}
		}

		// What the providers ask by now, and the end of the markup, are visible after the next
		// Load.
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
			t.Errorf("after a change: %+v", o)
		}
		if points := r.points(first); points[len(points)-1].HourlyPrice != o.CostPrice.Percent(r.markup[o.Provider]) {
			t.Errorf("the history is not of the usual prices: %+v", points)
		}
		own = nil
		if err := r.cat.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, has := r.cat.For("acc_own").OwnMarkup(); has {
			t.Error("a markup that was taken back is still there")
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
