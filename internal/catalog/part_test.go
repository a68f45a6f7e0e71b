package catalog_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// smallMarket returns a market of n offers, and a function that takes one off the market.
func smallMarket(t *testing.T, n int) (r *rig, withdraw func(o catalog.Offer)) {
	t.Helper()
	s := &seller{slug: "voltage-park", offers: market(n)}
	r = newRig(t, dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)), clock.NewFrozen(dbtest.Start), s)
	r.sync("voltage-park")
	return r, func(o catalog.Offer) {
		s.set(func(s *seller) {
			s.offers = slices.DeleteFunc(s.offers, func(p provider.Offer) bool { return p.Key == string(o.ID) })
		})
		r.sync("voltage-park")
	}
}

// rest follows the cursors from the query's page, and returns the offers of all pages from there.
func rest(t *testing.T, m catalog.Market, q catalog.Query) (all []catalog.Offer, pages int) {
	t.Helper()
	for {
		page, of := m.Part(q)
		all = append(all, page...)
		if pages++; of.Next == nil {
			return all, pages
		}
		if len(page) != q.Limit {
			t.Fatalf("a page of %d offers, not %d, has a next page", len(page), q.Limit)
		}
		if pages > 1_000 {
			t.Fatal("the pages have no end")
		}
		q.After = of.Next
	}
}

func TestCursorsWalkTheWholeList(t *testing.T) {
	r, _ := smallMarket(t, 24)
	for limit := 1; limit <= 25; limit++ {
		for number := 1; number <= 3; number++ {
			q := catalog.Query{Page: db.Page{Number: number, Limit: limit}, Sort: []catalog.SortKey{"-price", "region"}}
			want, _ := r.cat.Default().List(catalog.Query{Sort: q.Sort})
			want = want[min(q.Offset(), len(want)):]
			got, pages := rest(t, r.cat.Default(), q)
			if !slices.Equal(ids(got), ids(want)) {
				t.Fatalf("page %d of %d and the pages after it have\n%v, want\n%v", number, limit, ids(got), ids(want))
			}
			if least := max(1, (len(want)+limit-1)/limit); pages != least {
				t.Errorf("%d offers in pages of %d: %d pages, want %d", len(want), limit, pages, least)
			}
		}
	}
}

// A cursor whose offer is no longer sold skips as many offers as came before.
func TestCursorOfAWithdrawnOffer(t *testing.T) {
	r, withdraw := smallMarket(t, 24)
	q := catalog.Query{Page: db.Page{Number: 1, Limit: 5}}
	page, of := r.cat.Default().Part(q)
	gone := page[4]
	q.After = of.Next
	withdraw(gone)
	want, total := r.cat.Default().List(catalog.Query{})
	if slices.Contains(ids(want), gone.ID) {
		t.Fatalf("%s is still sold", gone.ID)
	}
	got, _ := rest(t, r.cat.Default(), q)
	if !slices.Equal(ids(got), ids(want[5:])) {
		t.Errorf("%d offers are left, after a cursor of 5 come\n%v, want\n%v", total, ids(got), ids(want[5:]))
	}
}

// Capacity counts what a plain list of the market has.
func TestCapacityMatchesSimpleCount(t *testing.T) {
	s := &seller{slug: "voltage-park", offers: market(240)}
	for i := range s.offers {
		if i%3 != 0 {
			s.offers[i].Stock = whole(i % 4)
			s.offers[i].Available = s.offers[i].Available && i%4 != 0
		}
	}
	r := newRig(t, dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)), clock.NewFrozen(dbtest.Start), s)
	r.sync("voltage-park")
	m := r.cat.Default()
	all, _ := m.List(catalog.Query{})
	rapid.Check(t, func(t *rapid.T) {
		q := catalog.CapacityQuery{
			Count: rapid.IntRange(1, 400).Draw(t, "count"),
			Regions: rapid.SliceOfNDistinct(
				rapid.SampledFrom([]string{"dallas-usa-5", "oslo-1", "elsewhere", "mars"}), 0, 3, rapid.ID,
			).Draw(t, "regions"),
		}
		q.GPUType = rapid.SampledFrom([]string{"", "NVIDIA H100", "AMD MI300X"}).Draw(t, "gpuType")
		if rapid.Bool().Draw(t, "with price") {
			p := money.Dollars(rapid.Int64Range(1, 14).Draw(t, "max price"))
			q.MaxHourlyPrice = &p
		}
		got := m.Capacity(q)
		wantFound, wantPrice, wantCertain, shares := 0, money.Micros(0), true, 0
		for _, o := range all { // cheapest first
			fits := len(q.Regions) == 0 || slices.Contains(q.Regions, o.Region)
			if !o.Available || !fits || !plainly(q.Query, o) || wantFound == q.Count {
				continue
			}
			n := 1
			if o.Stock != nil {
				n = *o.Stock
			} else {
				wantCertain = false
			}
			n = min(n, q.Count-wantFound)
			if n > 0 {
				wantFound, wantPrice, shares = wantFound+n, wantPrice+o.HourlyPrice.Times(int64(n)), shares+1
			}
		}
		type figures struct {
			Enough, Certain bool
			Found, Shares   int
			Price           money.Micros
			Dated           bool
		}
		want := figures{wantFound == q.Count, wantCertain, wantFound, shares, wantPrice, shares > 0}
		have := figures{got.Enough, got.Certain, got.Found, len(got.Offers), got.TotalHourlyPrice, got.AsOf != nil}
		if diff := gocmp.Diff(want, have); diff != "" {
			t.Fatalf("%+v (-want +got):\n%s", q, diff)
		}
		if got.Enough != (len(got.Shortfalls) == 0) {
			t.Fatalf("enough: %t, with shortfalls %+v", got.Enough, got.Shortfalls)
		}
		for _, s := range got.Shortfalls {
			if want := shortfall(q, all, s.Region); gocmp.Diff(want, s) != "" {
				t.Fatalf("%+v: shortfall of %s (-want +got):\n%s", q, s.Region, gocmp.Diff(want, s))
			}
		}
	})
}

// shortfall counts what a region has.
func shortfall(q catalog.CapacityQuery, all []catalog.Offer, region string) catalog.Shortfall {
	s := catalog.Shortfall{Region: region, Reason: catalog.NoOffer}
	limit := q.MaxHourlyPrice
	q.MaxHourlyPrice = nil
	for _, o := range all {
		switch {
		case o.Region != region || !plainly(q.Query, o):
			continue
		case !o.Available:
			if s.Reason == catalog.NoOffer {
				s.Reason = catalog.SoldOut
			}
			continue
		}
		if s.LowestHourlyPrice == nil {
			price := o.HourlyPrice
			s.LowestHourlyPrice, s.Reason = &price, catalog.TooExpensive
		}
		if limit != nil && o.HourlyPrice > *limit {
			continue
		}
		s.Reason = catalog.TooFew
		if o.Stock != nil {
			s.Found += *o.Stock
		} else {
			s.Found++
		}
	}
	s.Found = min(s.Found, q.Count)
	return s
}

// What is available comes before what is not, and then a low price per GPU before a high one, by
// type of GPU and by region alike.
func TestPriceListIsSorted(t *testing.T) {
	s := &seller{slug: "voltage-park", offers: market(60)}
	for i := range s.offers { // one type is sold out everywhere, and another in one region
		o := &s.offers[i]
		switch {
		case o.GPUType == "AMD MI300X", o.GPUMemoryGB == 40, o.GPUType == "NVIDIA B200" && o.Region == "dallas-usa-5":
			o.Available, o.Stock = false, whole(0)
		}
		o.Region = []string{"dallas-usa-5", "oslo-1", "elsewhere"}[i/6%3]
	}
	r := newRig(t, dbtest.SQLite(t, clock.NewFrozen(dbtest.Start)), clock.NewFrozen(dbtest.Start), s)
	r.sync("voltage-park")
	list := r.cat.Default().PriceList()
	price := func(n catalog.Counts) string { // sorts as text
		if n.LowestHourlyPricePerGPU == nil {
			return "~"
		}
		return fmt.Sprintf("%020d", int64(*n.LowestHourlyPricePerGPU))
	}
	soldOut := 0
	byPrice := func(a, b catalog.PriceGroup) int { return cmp.Compare(price(a.Counts), price(b.Counts)) }
	if !slices.IsSortedFunc(list, byPrice) {
		t.Errorf("the types are not sorted: %+v", list)
	}
	for _, g := range list {
		if g.LowestHourlyPricePerGPU == nil {
			soldOut++
		}
		byPrice := func(a, b catalog.PriceRegion) int { return cmp.Compare(price(a.Counts), price(b.Counts)) }
		if !slices.IsSortedFunc(g.Regions, byPrice) {
			t.Errorf("the regions of %s are not sorted: %+v", g.GPUType, g.Regions)
		}
	}
	if soldOut < 2 || len(list) < soldOut+2 {
		t.Errorf("%d of %d types are sold out; the test wants some of each", soldOut, len(list))
	}
}
