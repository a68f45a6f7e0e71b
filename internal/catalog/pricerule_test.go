package catalog_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/provider"
	"pgregory.net/rapid"
)

// rule stores a price rule, without loading it.
func (r *rig) rule(new pricerule.Rule) (made pricerule.Rule) {
	r.t.Helper()
	if err := r.db.InTx(r.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		made, err = r.rules.Add(ctx, tx, new)
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	return made
}

// drop deletes a price rule, without loading that.
func (r *rig) drop(rule id.ID) {
	r.t.Helper()
	if err := r.db.InTx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := r.rules.Remove(ctx, tx, rule)
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
}

// Random rules apply to every price of every account's market, in every list, and what they hide is
// in none.
func TestPriceRulesApplyToEveryPrice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, _, own := ownMarkups(t, d, c)
		all, _ := r.cat.Default().List(catalog.Query{})
		one := func(t *rapid.T) pricerule.Rule {
			some := func(name string, values ...string) string {
				return rapid.SampledFrom(append(values, "", "")).Draw(t, name)
			}
			o := rapid.SampledFrom(all).Draw(t, "for")
			out := pricerule.Rule{Match: pricerule.Match{
				Provider: some("provider", "a", "b"), GPUType: some("gpu", o.GPUType), Region: some("region", o.Region),
				Account: id.ID(some("account", "acc_own", "acc_ruled")),
			}}
			if out.Hidden = rapid.IntRange(0, 3).Draw(t, "hidden") == 0; !out.Hidden {
				out.Percent = rapid.Int64Range(-5_000, 10_000).Draw(t, "percent")
				out.FloorPerGPU = money.Micros(rapid.Int64Range(0, 3_000_000).Draw(t, "floor"))
				out.RoundUpTo = money.Micros(rapid.SampledFrom([]int64{0, 10_000}).Draw(t, "rounding"))
			}
			return out
		}
		rapid.Check(t, func(t *rapid.T) {
			var made []id.ID
			for range rapid.IntRange(1, 4).Draw(t, "rules") {
				made = append(made, r.rule(one(t)).ID)
			}
			defer func() {
				for _, rule := range made {
					r.drop(rule)
				}
			}()
			r.load()
			stored, err := r.rules.List(context.Background(), d)
			if err != nil {
				t.Fatal(err)
			}
			for _, account := range []id.ID{"acc_own", "acc_same", "acc_ruled", "acc_usual"} {
				want := r.pricedBy(stored.For(account), own, account, all)
				m := r.cat.For(account)
				for _, o := range all {
					got, found := m.Get(o.ID)
					at := slices.IndexFunc(want, func(w catalog.Offer) bool { return w.ID == o.ID })
					if found != (at >= 0) || found && got.HourlyPrice != want[at].HourlyPrice {
						t.Fatalf("%s sees %s at %s: %t", account, o.ID, got.HourlyPrice, found)
					}
				}
				checkOrders(t, m, want)
			}
		})
	})
}

// pricedBy computes the offers that the account sees, one by one.
func (r *rig) pricedBy(
	rules pricerule.Set, own map[id.ID]int64, account id.ID, all []catalog.Offer,
) (out []catalog.Offer) {
	for _, o := range all {
		markup, has := own[account]
		if !has {
			markup = r.markup[o.Provider]
		}
		o.HourlyPrice = o.CostPrice.Percent(markup)
		rule := rules.First(pricerule.Offer{Provider: o.Provider, GPUType: o.GPUType, Region: o.Region})
		if rule != nil {
			if rule.Hidden {
				continue
			}
			o.HourlyPrice = rule.Price(o.CostPrice, o.GPUCount)
		}
		gpus := money.Micros(o.GPUCount)
		o.HourlyPricePerGPU = (2*o.HourlyPrice + gpus) / (2 * gpus) // half-up
		out = append(out, o)
	}
	return out
}

// checkOrders checks each sort of a market, and its counts.
func checkOrders(t *rapid.T, m catalog.Market, want []catalog.Offer) {
	for _, key := range catalog.SortKey("").Enum() {
		got, total := m.List(catalog.Query{Sort: []catalog.SortKey{key}})
		if total != len(want) || len(got) != len(want) {
			t.Fatalf("by %s, %d of %d offers are listed, want %d", key, len(got), total, len(want))
		}
		field, sorted := fieldOf(key), slices.Clone(want)
		slices.SortFunc(sorted, func(a, b catalog.Offer) int {
			n := orders[field](a, b)
			if strings.HasPrefix(string(key), "-") {
				n = -n
			}
			return cmp.Or(n, cmp.Compare(a.ID, b.ID))
		})
		if !slices.Equal(ids(got), ids(sorted)) {
			t.Fatalf("by %s:\n got %v\nwant %v", key, ids(got), ids(sorted))
		}
	}
	counted := 0
	for _, f := range m.Providers() {
		counted += f.Offers
	}
	gpus := 0
	for _, f := range m.GPUTypes() {
		gpus += f.Offers
	}
	if counted != len(want) || gpus != len(want) {
		t.Fatalf("facets count %d and %d offers, want %d", counted, gpus, len(want))
	}
}

// A change of rules is seen by every replica at its next load, without a sync, and the history goes
// on with the new price.
func TestPriceRulesApplyAtTheNextLoad(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := &seller{slug: "a", offers: []provider.Offer{offer("off_1"), offer("off_2")}}
		s.offers[1].GPUType = "NVIDIA H100"
		r := newRig(t, d, c, s)
		other := r.catalog(s)
		r.sync("a")
		price := func(cat *catalog.Catalog, account, offer id.ID) money.Micros {
			t.Helper()
			if err := cat.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			o, found := cat.For(account).Get(offer)
			if !found {
				return -1
			}
			return o.HourlyPrice
		}
		edition := func() catalog.Edition { return other.Edition() }
		if got := price(other, "acc_x", "off_1"); got != money.Dollars(20) {
			t.Fatalf("the price is %s", got)
		}
		before := edition()
		c.Advance(time.Second)
		r.rule(pricerule.Rule{Match: pricerule.Match{GPUType: "nvidia b200"}, Terms: pricerule.Terms{Percent: 5_000}})
		r.rule(pricerule.Rule{
			Match: pricerule.Match{Account: "acc_x", Provider: "a"}, Terms: pricerule.Terms{FixedPerGPU: 1_000_000},
		})
		hidden := r.rule(
			pricerule.Rule{Match: pricerule.Match{GPUType: "NVIDIA H100"}, Terms: pricerule.Terms{Hidden: true}},
		)
		for _, cat := range []*catalog.Catalog{r.cat, other} {
			for _, c := range []struct {
				account, offer id.ID
				want           money.Micros
			}{
				{"acc_x", "off_1", money.Dollars(30)}, // the first rule that matches
				{"acc_x", "off_2", money.Dollars(28)},
				{"acc_y", "off_1", money.Dollars(30)},
				{"acc_y", "off_2", -1},
			} {
				if got := price(cat, c.account, c.offer); got != c.want {
					t.Errorf("%s pays %s for %s, want %s", c.account, got, c.offer, c.want)
				}
			}
		}
		if edition() == before {
			t.Error("other prices are the same edition")
		}
		last := func(account, offer id.ID) money.Micros {
			t.Helper()
			now := c.Now()
			points, found, err := r.cat.PriceHistory(t.Context(), d, account, offer, now.Add(-time.Hour), now, now)
			if err != nil {
				t.Fatal(err)
			}
			if !found {
				return -1
			}
			return points[len(points)-1].HourlyPrice
		}
		history := func() {
			t.Helper()
			for _, account := range []id.ID{"acc_x", "acc_y"} {
				for _, o := range []id.ID{"off_1", "off_2"} {
					if got, want := last(account, o), price(r.cat, account, o); got != want {
						t.Errorf("%s's history of %s ends at %s, want %s", account, o, got, want)
					}
				}
			}
		}
		history()
		c.Advance(every)
		r.sync("a")
		history()
		if got := len(r.points("off_1")); got != 2 {
			t.Errorf("the rule made %d points of off_1, want 2", got)
		}
		r.drop(hidden.ID)
		if got := price(other, "acc_y", "off_2"); got != money.Dollars(20) {
			t.Errorf("without the rule, acc_y pays %s for off_2", got)
		}
	})
}

func TestCatalog_Preview(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	s := &seller{slug: "a", offers: []provider.Offer{offer("off_1"), offer("off_2")}}
	s.offers[1].GPUType = "NVIDIA H100"
	r := newRig(t, dbtest.SQLite(t, c), c, s)
	r.markup["a"] = 1_000
	r.sync("a")
	first := r.rule(
		pricerule.Rule{Match: pricerule.Match{GPUType: "NVIDIA H100"}, Terms: pricerule.Terms{Percent: 2_000}},
	)
	r.load()
	stored := pricerule.Set{first}
	check := func(what string, e catalog.Effect, matching, decided int, changes ...catalog.Change) {
		t.Helper()
		if e.Offers != 2 || e.Matching != matching || e.Decided != decided || len(e.Changes) != len(changes) {
			t.Fatalf("%s: %+v", what, e)
		}
		same := func(a, b *money.Micros) bool { return a == b || a != nil && b != nil && *a == *b }
		for i, want := range changes {
			got := e.Changes[i]
			if got.Offer.ID != want.Offer.ID || !same(got.Before, want.Before) || !same(got.After, want.After) {
				t.Errorf("%s: the change is %+v, want %+v", what, got, want)
			}
		}
	}
	dollars := func(n int64) *money.Micros { m := money.Dollars(n); return &m }
	one, two := catalog.Offer{ID: "off_1"}, catalog.Offer{ID: "off_2"}
	draft := pricerule.Rule{Terms: pricerule.Terms{Percent: 5_000}}
	check("a draft at the end", r.cat.Preview(draft, stored, stored.With(draft)), 2, 1,
		catalog.Change{Offer: one, Before: dollars(22), After: dollars(30)})
	draft.Position = 1
	check("a draft in front", r.cat.Preview(draft, stored, stored.With(draft)), 2, 2,
		catalog.Change{Offer: one, Before: dollars(22), After: dollars(30)},
		catalog.Change{Offer: two, Before: dollars(24), After: dollars(30)})
	check("a stored rule", r.cat.Preview(first, stored.Without(first.ID), stored), 1, 1,
		catalog.Change{Offer: two, Before: dollars(22), After: dollars(24)})
	hide := first
	hide.Terms = pricerule.Terms{Hidden: true}
	check("a rule that hides", r.cat.Preview(hide, stored, stored.With(hide)), 1, 1,
		catalog.Change{Offer: two, Before: dollars(24)})
}
