package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/catalog"
)

// Every order has one name, which means itself, and a reverse, whose reverse it is.
func FuzzParseSort(f *testing.F) {
	for _, s := range append(catalog.Sorts(), "", "-", "-price", "--price", "hourlyPrice", "-hourlyPricePerGpu",
		"gpuType", "Price", " price") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, known := catalog.ParseSort(s)
		if !known {
			if name != "" || slices.Contains(catalog.Sorts(), strings.TrimPrefix(s, "-")) {
				t.Errorf("%q is not known and is %q", s, name)
			}
			return
		}
		up := strings.TrimPrefix(name, "-")
		if !slices.Contains(catalog.Sorts(), up) ||
			(s != "" && strings.HasPrefix(name, "-") != strings.HasPrefix(s, "-")) {
			t.Errorf("%q is %q", s, name)
		}
		if again, known := catalog.ParseSort(name); !known || again != name {
			t.Errorf("%q is %q, which is %q", s, name, again)
		}
	})
}
