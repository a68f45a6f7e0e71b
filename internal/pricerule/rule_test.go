package pricerule_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
	"pgregory.net/rapid"
)

func TestTerms_Price(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		terms pricerule.Terms
		cost  money.Micros
		gpus  int
		want  money.Micros
	}{
		"nothing":                     {pricerule.Terms{}, 1_234_567, 8, 1_234_567},
		"percent, half-up":            {pricerule.Terms{Percent: 1_000}, 105, 1, 116},
		"a discount":                  {pricerule.Terms{Percent: -2_500}, 2_000_000, 1, 1_500_000},
		"free":                        {pricerule.Terms{Percent: -10_000}, 2_000_000, 1, 0},
		"fixed per GPU":               {pricerule.Terms{FixedPerGPU: 100_000}, 2_000_000, 8, 2_800_000},
		"fixed below zero":            {pricerule.Terms{FixedPerGPU: -1_000_000}, 2_000_000, 8, 0},
		"a floor that counts":         {pricerule.Terms{FloorPerGPU: 500_000}, 2_000_000, 8, 4_000_000},
		"a floor that does not count": {pricerule.Terms{FloorPerGPU: 100_000}, 2_000_000, 8, 2_000_000},
		"rounded up":                  {pricerule.Terms{RoundUpTo: 10_000}, 2_000_001, 1, 2_010_000},
		"already a multiple":          {pricerule.Terms{RoundUpTo: 10_000}, 2_000_000, 1, 2_000_000},
		"all, in this order": {pricerule.Terms{
			Percent: 1_000, FixedPerGPU: 50_000, FloorPerGPU: 300_001, RoundUpTo: 10_000,
		}, 2_000_000, 8, 2_600_000},
		"the floor is rounded, too": {pricerule.Terms{
			Percent: 1_000, FloorPerGPU: 300_001, RoundUpTo: 10_000,
		}, 2_000_000, 8, 2_410_000},
		"the highest": {pricerule.Terms{
			Percent: pricerule.MaxPercent, FixedPerGPU: pricerule.MaxPerGPU, RoundUpTo: 7_000_000,
		}, pricerule.MaxPrice, 1_000_000, pricerule.MaxPrice - pricerule.MaxPrice%7_000_000},
	} {
		if got := c.terms.Price(c.cost, c.gpus); got != c.want {
			t.Errorf("%s: Price(%s, %d) = %s, want %s", name, c.cost, c.gpus, got, c.want)
		}
	}
}

// Whatever a rule says, a price is between zero and the maximum, at least the floor, a multiple of
// the rounding, and not lower for a higher cost.
func TestPriceKeepsItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		micros := func(name string, low, high money.Micros) money.Micros {
			return money.Micros(rapid.Int64Range(int64(low), int64(high)).Draw(t, name))
		}
		terms := pricerule.Terms{
			Percent:     rapid.Int64Range(pricerule.MinPercent, pricerule.MaxPercent).Draw(t, "percent"),
			FixedPerGPU: micros("fixed", -pricerule.MaxPerGPU, pricerule.MaxPerGPU),
			FloorPerGPU: micros("floor", 0, pricerule.MaxPerGPU),
			RoundUpTo:   micros("rounding", 0, pricerule.MaxRounding),
		}
		cost, gpus := micros("cost", 0, 2*pricerule.MaxPrice), rapid.IntRange(1, 1_000_000).Draw(t, "gpus")
		price := terms.Price(cost, gpus)
		highest := pricerule.MaxPrice
		if terms.RoundUpTo > 0 {
			highest -= highest % terms.RoundUpTo
			if price%terms.RoundUpTo != 0 {
				t.Errorf("%s is no multiple of %s", price, terms.RoundUpTo)
			}
		}
		if floor := min(terms.FloorPerGPU*money.Micros(gpus), highest); price < 0 || price < floor || price > highest {
			t.Errorf("Price = %s, want from %s to %s", price, floor, highest)
		}
		if more := terms.Price(cost+micros("more", 0, pricerule.MaxPrice), gpus); more < price {
			t.Errorf("a higher cost lowers the price from %s to %s", price, more)
		}
	})
}

func TestFirstMatchingRuleDecides(t *testing.T) {
	t.Parallel()
	rule := func(name id.ID, m pricerule.Match) pricerule.Rule { return pricerule.Rule{ID: name, Match: m} }
	all := pricerule.Set{
		rule("own", pricerule.Match{Account: "acc_a", GPUType: "nvidia b200"}),
		rule("region", pricerule.Match{Provider: "basalt", Region: "oslo-1"}),
		rule("gpu", pricerule.Match{GPUType: "NVIDIA B200"}),
		rule("rest", pricerule.Match{Provider: "basalt"}),
	}
	for _, c := range []struct {
		account                   id.ID
		provider, gpuType, region string
		want                      id.ID
	}{
		{"acc_a", "basalt", "NVIDIA B200", "oslo-1", "own"},
		{"acc_b", "basalt", "NVIDIA B200", "oslo-1", "region"},
		{"acc_b", "basalt", "Nvidia B200", "rome-1", "gpu"},
		{"acc_b", "basalt", "NVIDIA H100", "rome-1", "rest"},
		{"acc_b", "granite", "NVIDIA H100", "oslo-1", ""},
	} {
		var got id.ID
		o := pricerule.Offer{Provider: c.provider, GPUType: c.gpuType, Region: c.region}
		if r := all.For(c.account).First(o); r != nil {
			got = r.ID
		}
		if got != c.want {
			t.Errorf("the rule for %s and %+v is %q, want %q", c.account, o, got, c.want)
		}
	}
}
