package invoice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/money"
)

// cent is the smallest amount of a total.
const cent money.Micros = 10_000

// Category is why a tax applies, with the codes of EN 16931 (UNCL5305).
type Category string

// The categories.
const (
	Standard      Category = "S"  // a rate above zero applies
	ZeroRated     Category = "Z"  // the rate of zero applies
	ReverseCharge Category = "AE" // the buyer owes the tax
	Outside       Category = "O"  // not subject to the tax
	Exempt        Category = "E"  // the seller charges no tax
)

// Enum lists every category.
func (Category) Enum() []Category {
	return []Category{Standard, ZeroRated, ReverseCharge, Outside, Exempt}
}

// BasisPoints is a tax rate in hundredths of a percent. In JSON it is percent.
type BasisPoints int64

// MarshalJSON writes percent with at most two decimals.
func (b BasisPoints) MarshalJSON() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalJSON reads percent with at most two decimals.
func (b *BasisPoints) UnmarshalJSON(text []byte) error {
	m, err := money.Parse(string(text))
	if err != nil || m%cent != 0 {
		return fmt.Errorf("must be a number with at most two decimals")
	}
	*b = BasisPoints(m / cent)
	return nil
}

// String returns percent with at most two decimals: "19", "8.1".
func (b BasisPoints) String() string { return (money.Micros(b) * cent).Decimal() }

// Treatment is how a sale is taxed.
type Treatment struct {
	Category Category    `json:"category" doc:"S: the rate applies. Z: the rate is zero. AE: reverse charge, the buyer owes the tax. O: outside the scope of the tax. E: the seller charges no tax. The codes are those of EN 16931."`
	Name     string      `json:"name" example:"VAT" doc:"Name of the tax."`
	Country  string      `json:"country" doc:"Country whose rate applies; empty without a rate."`
	Percent  BasisPoints `json:"percent" doc:"Rate in percent."`
	Reason   string      `json:"reason" doc:"Why no tax is shown; empty where a rate applies."`
}

// rated reports whether a country's rate applies.
func (t Treatment) rated() bool { return t.Category == Standard || t.Category == ZeroRated }

// TaxRate is the rate of a country from a day on.
type TaxRate struct {
	Country string      `json:"country" example:"DE" doc:"Country, as a code of ISO 3166-1 with two letters."`
	From    string      `json:"from" example:"2021-01-01" doc:"First day in UTC on which the rate applies. It applies until the next one of the country."`
	Percent BasisPoints `json:"percent" example:"19" doc:"Rate in percent, from 0 to 50, with at most two decimals."`
	Ended   bool        `json:"ended,omitempty" doc:"Whether the country has no rate from this day on, which is not a rate of 0 percent."`
}

// rateOn returns the rate of a country on a day, "2026-11-30".
func rateOn(rates []TaxRate, country, day string) (BasisPoints, bool) {
	var found *TaxRate
	for i := range rates {
		r := &rates[i]
		if r.Country == country && r.From <= day && (found == nil || found.From < r.From) {
			found = r
		}
	}
	if found == nil || found.Ended {
		return 0, false
	}
	return found.Percent, true
}

// The texts of documents without tax, where the operator sets no others.
const (
	reverseChargeText = "Reverse charge: the recipient is liable for VAT (Article 196 of Directive 2006/112/EC)."
	outsideText       = "Not subject to tax: the place of supply is the country of the recipient."
	exemptText        = "No tax is charged."
)

// Treat decides how a sale on a day is taxed:
//
//   - A seller who charges no tax charges none to anyone.
//   - A buyer in the seller's country, or without a country, pays the rate of that country.
//   - A buyer with a VAT identification number in another member state of the EU than the seller's
//     owes the tax: reverse charge.
//   - Another buyer in another country pays the rate of that country, if the operator has set one:
//     the operator is registered there, or uses the one-stop shop.
//   - Otherwise a buyer in another member state pays the seller's rate.
//   - Otherwise, if one of the two is outside the EU, the sale is outside the scope of the tax, or,
//     if the operator has set so, has the seller's rate.
//
// It returns CONFLICT if the seller's country or its rate is needed and is not set.
func Treat(s Settings, rates []TaxRate, buyer Party, day string) (Treatment, error) {
	t := Treatment{Name: s.TaxName}
	if !s.ChargesTax {
		t.Category, t.Reason = Exempt, orText(s.ExemptText, exemptText)
		if s.Seller.VATID == "" { // EN 16931 has an exemption for registered sellers only
			t.Category = Outside
		}
		return t, nil
	}
	home := s.Seller.Country
	charge := func(country string) (Treatment, error) {
		rate, set := rateOn(rates, country, day)
		if !set {
			return t, apierr.New(apierr.Conflict, "No tax rate is set for the seller's country %s on %s. Set one, "+
				"or set chargesTax to false.", country, day)
		}
		t.Category, t.Country, t.Percent = Standard, country, rate
		if rate == 0 {
			t.Category = ZeroRated
		}
		return t, nil
	}
	if home == "" {
		return t, apierr.New(apierr.Conflict, "The seller has no country. Set seller.country in the invoice settings.")
	}
	if buyer.Country == "" || buyer.Country == home {
		return charge(home)
	}
	bothInEU := inEU(home) && inEU(buyer.Country)
	if form := vatIDs[buyer.Country]; bothInEU && form.MatchString(buyer.VATID) {
		t.Category, t.Reason = ReverseCharge, orText(s.ReverseChargeText, reverseChargeText)
		return t, nil
	}
	if _, set := rateOn(rates, buyer.Country, day); set {
		return charge(buyer.Country)
	}
	if bothInEU || s.OutsideRule == OutsideSellerRate {
		return charge(home)
	}
	t.Category, t.Reason = Outside, orText(s.OutsideText, outsideText)
	return t, nil
}

func orText(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// toCents rounds half-up: 0.005 becomes 0.01, and -0.005 becomes 0.
func toCents(m money.Micros) money.Micros {
	return floorDiv(m+cent/2, cent) * cent
}

func floorDiv(a, b money.Micros) money.Micros {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// taxOf is the tax on a net amount: cents, rounded half away from zero, as EN 16931 has it.
func taxOf(net money.Micros, rate BasisPoints) money.Micros {
	if net < 0 {
		return -taxOf(-net, rate)
	}
	return (net/cent*money.Micros(rate) + 5000) / 10_000 * cent
}

// withoutTax returns an amount without the tax that it contains, rounded half-up to the
// micro-dollar.
func withoutTax(gross money.Micros, rate BasisPoints) money.Micros {
	divisor := 10_000 + money.Micros(rate)
	return floorDiv(gross*10_000*2+divisor, 2*divisor)
}

// contained divides a total, which is cents, into a net amount and its tax, which are cents, too.
// Where no net amount and its tax add up to the total, rounding is the rest: one cent up or down.
func contained(total money.Micros, rate BasisPoints) (net, tax, rounding money.Micros) {
	if total < 0 {
		net, tax, rounding = contained(-total, rate)
		return -net, -tax, -rounding
	}
	divisor := money.Micros(10_000 + rate)
	near := (total/cent*10_000 + divisor/2) / divisor * cent
	for _, net := range []money.Micros{near, near - cent, near + cent} {
		if tax := taxOf(net, rate); net >= 0 && net+tax == total {
			return net, tax, 0
		}
	}
	tax = taxOf(near, rate)
	return near, tax, total - near - tax
}

// totalsOf returns the totals of lines. debt is what the wallet had no money for. What was paid is
// rounded half-up to cents, and the rest of the total is due.
func totalsOf(exact money.Micros, t Treatment, debt money.Micros) Totals {
	out := Totals{Exact: exact, Total: toCents(exact), Treatment: t}
	out.Rounding = out.Total - exact
	out.Net, out.Tax, out.TaxRounding = contained(out.Total, t.Percent)
	out.Paid = out.Total
	if debt > 0 && out.Total > 0 {
		out.Paid = toCents(max(exact-debt, 0))
	}
	out.Due = out.Total - out.Paid
	return out
}

// checkRates returns what is wrong with a list of rates.
func checkRates(rates []TaxRate) error {
	var errs []apierr.FieldError
	add := func(i int, field, text string) {
		errs = append(errs, apierr.FieldError{Field: fmt.Sprintf("rates[%d].%s", i, field), Message: text})
	}
	if len(rates) > MaxTaxRates {
		return apierr.Invalid([]apierr.FieldError{{
			Field: "rates", Message: fmt.Sprintf("has %d rates; at most %d are allowed.", len(rates), MaxTaxRates),
		}})
	}
	for i, r := range rates {
		if !isCountry(r.Country) {
			add(i, "country", "must be a country code with two capital letters, such as DE or US.")
		}
		if !isDay(r.From) {
			add(i, "from", "must be a day such as 2026-01-31.")
		}
		if r.Percent < 0 || r.Percent > 5000 {
			add(i, "percent", "must be from 0 to 50.")
		}
		if r.Ended && r.Percent != 0 {
			add(i, "percent", "must be 0 where the rate of the country ends.")
		}
		if slices.ContainsFunc(rates[:i], func(o TaxRate) bool { return o.Country == r.Country && o.From == r.From }) {
			add(i, "from", fmt.Sprintf("repeats %s for %s. Name each day once.", r.From, r.Country))
		}
	}
	return apierr.Invalid(errs).OrNil()
}

// sorted returns the rates by country and day.
func sorted(rates []TaxRate) []TaxRate {
	out := slices.Clone(rates)
	slices.SortFunc(out, func(a, b TaxRate) int {
		return strings.Compare(a.Country+a.From, b.Country+b.From)
	})
	return out
}
