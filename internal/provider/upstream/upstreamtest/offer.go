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

// Believable returns why the catalogue would not believe the offers, or nil. It is for fuzz tests: whatever a cloud says, an adapter
// returns nothing that it does not itself believe.
func Believable(offers []provider.Offer) error {
	seen := map[[2]string]bool{}
	for _, o := range offers {
		at := [2]string{o.Region, o.Key}
		switch {
		case seen[at]:
			return fmt.Errorf("%q is there twice", at)
		case !provider.ValidSlug(o.Region):
			return fmt.Errorf("%q: the region is no slug", at)
		case !plain(o.Key) || !plain(o.GPUType):
			return fmt.Errorf("%q: the key or the GPU %q is no plain text", at, o.GPUType)
		case !plain(o.RegionName) || (o.Interconnect != "" && !plain(o.Interconnect)):
			return fmt.Errorf("%q: the region's name %q or the interconnect %q is no plain text", at, o.RegionName, o.Interconnect)
		case o.GPUCount < 1 || max(o.GPUCount, o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB) > 1_000_000 || min(o.GPUMemoryGB, o.VCPUs, o.MemoryGB, o.StorageGB) < 0:
			return fmt.Errorf("%q: a count or a size is none: %+v", at, o)
		case o.HourlyPrice <= 0 || o.HourlyPrice > 1_000_000*money.USD:
			return fmt.Errorf("%q: a price of %s", at, o.HourlyPrice)
		case len(o.OperatingSystems) == 0 || len(o.OperatingSystems) > 64:
			return fmt.Errorf("%q: %d operating systems", at, len(o.OperatingSystems))
		case !slices.Contains([]provider.InstanceType{provider.BareMetal, provider.VM, provider.Spot, provider.Cluster}, o.InstanceType):
			return fmt.Errorf("%q: the instance type %q", at, o.InstanceType)
		case o.Stock != nil && (*o.Stock < 0 || *o.Stock > 1_000_000):
			return fmt.Errorf("%q: a stock of %d", at, *o.Stock)
		}
		for i, name := range o.OperatingSystems {
			if !plain(name) || slices.Contains(o.OperatingSystems[:i], name) {
				return fmt.Errorf("%q: the operating system %q", at, name)
			}
		}
		seen[at] = true
	}
	return nil
}

func plain(s string) bool {
	return s != "" && s == strings.TrimSpace(s) && len(s) <= 128 && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
