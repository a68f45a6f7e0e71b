package invoice_test

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/invoice"
	"golang.org/x/text/language"
)

// A code outside the list is no country: with one, a tenant at home would be charged no tax.
func TestCountriesAreThoseOfTheISOList(t *testing.T) {
	k := newKitOn(t)
	of := k.tenant("Ada Ltd")
	set := func(country string) error {
		return k.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.svc.SetBillingDetails(ctx, tx, of, invoice.Buyer{Party: invoice.Party{Country: country}})
			return err
		})
	}
	for _, code := range []string{"DD", "FX", "UK", "SU", "AN", "YU", "CS", "BU", "ZR", "TP",
		"XK", "AC", "TA", "IC", "EA",
		"DG", "CP", "EU", "UN", "ZZ", "QO", "AA", "XA", "D", "DEU", "276", "??"} {
		enginetest.WantError(t, set(code), apierr.InvalidRequest, "country")
	}
	accepted := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string(a) + string(b)
			if set(code) != nil {
				continue
			}
			accepted++
			if r, err := language.ParseRegion(code); err != nil || !r.IsCountry() || r.Canonicalize() != r ||
				r.String() != code {
				t.Errorf("%s is accepted", code)
			}
		}
	}
	if accepted != 249 {
		t.Errorf("%d codes are accepted, want 249", accepted)
	}
	for _, code := range []string{"DE", "de", "GB", "FR", "GR", ""} {
		if err := set(code); err != nil {
			t.Errorf("%q: %v", code, err)
		}
	}
}
