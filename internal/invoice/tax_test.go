package invoice_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
	"pgregory.net/rapid"
)

func TestTreat(t *testing.T) {
	rates := []invoice.TaxRate{
		{Country: "DE", From: "2007-01-01", Percent: 1900}, {Country: "DE", From: "2020-07-01", Percent: 1600},
		{Country: "DE", From: "2021-01-01", Percent: 1900}, {Country: "FR", From: "2014-01-01", Percent: 2000},
		{Country: "NO", From: "2005-01-01", Percent: 2500}, {Country: "CH", From: "2005-01-01", Percent: 0},
		{Country: "ES", From: "2020-01-01", Percent: 2100}, {Country: "ES", From: "2026-07-01", Ended: true},
		{Country: "NO", From: "2027-01-01", Ended: true}, {Country: "NO", From: "2028-01-01", Percent: 2600},
	}
	german := germany("")
	norule := german
	norule.OutsideRule = invoice.OutsideNone
	sellerRate := german
	sellerRate.OutsideRule = invoice.OutsideSellerRate
	untaxed := german
	untaxed.ChargesTax = false
	american := german
	american.Seller.Country, american.Seller.VATID = "US", ""
	own := german
	own.ReverseChargeText = "Steuerschuldnerschaft des Leistungsempfängers"
	party := func(country, vat string) invoice.Party { return invoice.Party{Country: country, VATID: vat} }
	for _, k := range []struct {
		name     string
		set      invoice.Settings
		buyer    invoice.Party
		day      string
		category invoice.Category
		country  string
		percent  invoice.BasisPoints
	}{
		{"same country", norule, party("DE", ""), "2026-11-30", invoice.Standard, "DE", 1900},
		{"same country with VAT id", norule, party("DE", "DE123456789"), "2026-11-30", invoice.Standard, "DE", 1900},
		{"unknown country", norule, party("", ""), "2026-11-30", invoice.Standard, "DE", 1900},
		{"the rate of that day", norule, party("DE", ""), "2020-12-31", invoice.Standard, "DE", 1600},
		{"the rate of the next day", norule, party("DE", ""), "2021-01-01", invoice.Standard, "DE", 1900},
		{"EU company", norule, party("FR", "FRXX999999999"), "2026-11-30", invoice.ReverseCharge, "", 0},
		{"Greek company", norule, party("GR", "EL123456789"), "2026-11-30", invoice.ReverseCharge, "", 0},
		{"EU company, no rate set", norule, party("IT", "IT12345678901"), "2026-11-30", invoice.ReverseCharge, "", 0},
		{"VAT id of another country", norule, party("FR", "IT12345678901"), "2026-11-30", invoice.Standard, "FR", 2000},
		{"EU consumer, rate set", norule, party("FR", ""), "2026-11-30", invoice.Standard, "FR", 2000},
		{"EU consumer, before the rate", norule, party("FR", ""), "2013-12-31", invoice.Standard, "DE", 1900},
		{"EU consumer, no rate set", norule, party("IT", ""), "2026-11-30", invoice.Standard, "DE", 1900},
		{"outside the EU", norule, party("US", "12-3456789"), "2026-11-30", invoice.Outside, "", 0},
		{"outside the EU, seller's rate", sellerRate, party("US", ""), "2026-11-30", invoice.Standard, "DE", 1900},
		{"outside the EU, rate set", norule, party("NO", ""), "2026-11-30", invoice.Standard, "NO", 2500},
		{"seller outside the EU", american, party("FR", "FRXX999999999"), "2026-11-30", invoice.Standard, "FR", 2000},
		{"neither in the EU", american, party("IT", "IT12345678901"), "2026-11-30", invoice.Outside, "", 0},
		{"EU consumer, before the rate ends", norule, party("ES", ""), "2026-06-30", invoice.Standard, "ES", 2100},
		{"EU consumer, the rate has ended", norule, party("ES", ""), "2026-07-01", invoice.Standard, "DE", 1900},
		{"outside the EU, the rate has ended", norule, party("NO", ""), "2027-06-01", invoice.Outside, "", 0},
		{"outside the EU, it has a rate again", norule, party("NO", ""), "2028-01-01", invoice.Standard, "NO", 2600},
		{"a rate of zero", norule, party("CH", ""), "2026-11-30", invoice.ZeroRated, "CH", 0},
		{"no tax at all", untaxed, party("DE", ""), "2026-11-30", invoice.Exempt, "", 0},
	} {
		got, err := invoice.Treat(k.set, rates, k.buyer, k.day)
		if err != nil || got.Category != k.category || got.Country != k.country || got.Percent != k.percent ||
			(got.Reason == "") != (k.category == invoice.Standard || k.category == invoice.ZeroRated) {
			t.Errorf("%s: %+v, %v", k.name, got, err)
		}
	}
	if got, err := invoice.Treat(own, rates, party("FR", "FRXX999999999"), "2026-11-30"); err != nil ||
		got.Reason != own.ReverseChargeText {
		t.Errorf("own text: %+v, %v", got, err)
	}
	for _, k := range []struct {
		name string
		set  invoice.Settings
		day  string
	}{{"no rate yet", norule, "2006-12-31"}, {"no rate of the seller's country", american, "2026-11-30"}} {
		if got, err := invoice.Treat(k.set, rates, party("", ""), k.day); err == nil {
			t.Errorf("%s: %+v", k.name, got)
		}
	}
}

// What was paid is not stated as a cent less than it was.
func TestPaidIsWhatWasPaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exact := money.Micros(rapid.Int64Range(0, 1<<30).Draw(t, "exact"))
		debt := money.Micros(rapid.Int64Range(-1<<30, 1<<31).Draw(t, "debt"))
		got := invoice.TotalsOf(exact, invoice.Treatment{Percent: 1900}, debt)
		paid := min(exact, max(exact-debt, 0))
		if got.Paid != invoice.ToCents(paid) || got.Paid+got.Due != got.Total || got.Due < 0 ||
			debt <= 0 && got.Due != 0 {
			t.Fatalf("%s of %s was paid: %+v", paid, exact, got)
		}
	})
}

func TestNetAndTaxAddUpToTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := money.Micros(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "cents")) * 10_000
		rate := invoice.BasisPoints(rapid.Int64Range(0, 5000).Draw(t, "rate"))
		net, tax, rounding := invoice.Contained(total, rate)
		if net+tax+rounding != total || tax != invoice.TaxOf(net, rate) || net%10_000 != 0 || tax%10_000 != 0 {
			t.Fatalf("%s at %s: %s + %s + %s", total, rate, net, tax, rounding)
		}
		if rounding < -10_000 || rounding > 10_000 {
			t.Fatalf("a rounding of %s", rounding)
		}
		for _, n := range []money.Micros{net - 10_000, net + 10_000} {
			if rounding != 0 && n >= 0 && total >= 0 && n+invoice.TaxOf(n, rate) == total {
				t.Fatalf("%s is exact for %s at %s", n, total, rate)
			}
		}
	})
	for m, want := range map[money.Micros]money.Micros{
		4999: 0, 5000: 10_000, 10_000: 10_000, -5000: 0, -5001: -10_000, 14_999: 10_000,
	} {
		if got := invoice.ToCents(m); got != want {
			t.Errorf("%d rounds to %d, want %d", m, got, want)
		}
	}
}
