package upstreamtest

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	maxCount = 1_000_000
	maxGB    = 1_000_000_000
)

// Believable returns why the catalog would refuse the offers, or nil. It is for fuzz tests:
// whatever a cloud sends, an adapter returns only offers that it believes itself.
func Believable(offers []provider.Offer) error {
	seen := map[[2]string]bool{}
	for _, o := range offers {
		at := [2]string{o.Region, o.Key}
		if seen[at] {
			return fmt.Errorf("%q is listed twice", at)
		}
		seen[at] = true
		for _, check := range []func(provider.Offer) error{checkTexts, checkNumbers, checkSystems} {
			if err := check(o); err != nil {
				return fmt.Errorf("%q: %w", at, err)
			}
		}
	}
	return nil
}

func checkTexts(o provider.Offer) error {
	kinds := []provider.InstanceType{provider.BareMetal, provider.VM, provider.Spot, provider.Cluster}
	switch {
	case !provider.ValidSlug(o.Region):
		return fmt.Errorf("the region is not a slug")
	case !plain(o.Key) || !plain(o.GPUType):
		return fmt.Errorf("the key or the GPU type %q is not plain text", o.GPUType)
	case o.RegionName != "" && !plain(o.RegionName), o.Interconnect != "" && !plain(o.Interconnect):
		return fmt.Errorf("the region name %q or the interconnect %q is not plain text", o.RegionName, o.Interconnect)
	case !slices.Contains(kinds, o.InstanceType):
		return fmt.Errorf("the instance type is %q", o.InstanceType)
	}
	return nil
}

func checkNumbers(o provider.Offer) error {
	sizes := []int{o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB}
	switch {
	case o.GPUCount < 1 || o.GPUCount > maxCount, slices.Min(sizes) < 0, slices.Max(sizes) > maxGB:
		return fmt.Errorf("a count or a size is out of range: %+v", o)
	case o.HourlyPrice <= 0 || o.HourlyPrice > 1_000_000*money.USD:
		return fmt.Errorf("the price is %s", o.HourlyPrice)
	case o.Stock != nil && (*o.Stock < 0 || *o.Stock > maxCount):
		return fmt.Errorf("the stock is %d", *o.Stock)
	}
	return nil
}

func checkSystems(o provider.Offer) error {
	if n := len(o.OperatingSystems); n == 0 || n > 64 {
		return fmt.Errorf("it has %d operating systems", n)
	}
	for i, name := range o.OperatingSystems {
		if !plain(name) || slices.Contains(o.OperatingSystems[:i], name) {
			return fmt.Errorf("the operating system %q is malformed or listed twice", name)
		}
	}
	return nil
}

func plain(s string) bool {
	return s != "" && s == strings.TrimSpace(s) && len(s) <= 128 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, unicode.IsControl)
}
