package invoice

import (
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

// page is a document as text, for HTML and PDF.
type page struct {
	Title, Number string
	Facts         []pair
	Seller, Buyer []string
	Lines         []pageLine
	Totals        []pair
	Balance       []pair
	Movements     []pageMovement
	Notes         []string
	Foot          string
	// Receipt is true for one, which has no lines.
	Receipt bool
}

// pair is a label and its value. Strong ones are emphasized.
type pair struct {
	Label, Value string
	Strong       bool
}

type pageLine struct{ Name, Detail, Interval, Hours, Rate, Amount string }

type pageMovement struct{ At, Type, Description, Amount string }

// usd writes an amount with a dollar sign, thousands separators, at least two decimals, and more
// where it has them.
func usd(m money.Micros) string {
	text := m.String()
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	whole, decimals, _ := strings.Cut(strings.TrimPrefix(text, "$"), ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return sign + "$" + whole + "." + decimals
}

// hoursOf writes seconds as hours with four decimals.
func hoursOf(seconds int64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	tenThousandths := (seconds*10_000 + 1800) / 3600
	return fmt.Sprintf("%s%d.%04d", sign, tenThousandths/10_000, tenThousandths%10_000)
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func minuteOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func monthName(month string) string {
	from, _, _ := monthOf(month)
	return from.Format("January 2006")
}

// page returns the document as text.
func (d Document) page() page {
	p := page{Title: "Invoice", Number: d.Number, Seller: d.Seller.lines(), Buyer: d.Buyer.lines()}
	if d.Type == CreditNote {
		p.Title = "Credit note"
	}
	fact := func(label, value string) {
		if value != "" {
			p.Facts = append(p.Facts, pair{Label: label, Value: value})
		}
	}
	fact("Number", d.Number)
	fact("Date of issue", dayOf(d.IssuedAt))
	fact("Corrects invoice", d.CorrectsNumber)
	fact("Reason", d.Reason)
	fact("Service period", dayOf(d.From)+" to "+dayOf(d.To.Add(-time.Second)))
	fact("Account", string(d.Account))
	fact("Your reference", d.Buyer.PurchaseOrder)
	fact("Your VAT ID", d.Buyer.VATID)
	fact("Our VAT ID", d.Seller.VATID)
	fact("Our tax number", d.Seller.TaxNumber)
	fact("Registration", d.Seller.Registration)
	fact("Questions", d.Seller.Email)
	for _, l := range d.Lines {
		p.Lines = append(p.Lines, l.page(d.Totals.Treatment.Percent))
	}
	p.Totals = d.Totals.page(d.Type, d.TaxConversion)
	if b := d.Balance; b != nil {
		p.Balance = []pair{
			{Label: "Opening balance", Value: usd(b.Opening)},
			{Label: "Payments received", Value: usd(b.Payments)},
			{Label: "Credits", Value: usd(b.Credits)},
			{Label: "Adjustments", Value: usd(b.Adjustments)},
			{Label: "Usage", Value: usd(-b.Usage)},
			{Label: "Closing balance", Value: usd(b.Closing), Strong: true},
		}
	}
	for _, m := range d.Movements {
		p.Movements = append(p.Movements, pageMovement{
			minuteOf(m.At), strings.ReplaceAll(string(m.Type), "_", " "), m.Description, usd(m.Amount),
		})
	}
	p.Notes = d.notes()
	p.Foot = strings.TrimPrefix(d.Seller.Name+" · "+p.Title+" "+d.Number, " · ")
	return p
}

// page returns the line as text, with the hourly price without the tax of that rate.
func (l Line) page(rate BasisPoints) pageLine {
	out := pageLine{Name: l.Name, Amount: usd(l.Amount)}
	var detail []string
	for _, text := range []string{l.GPUType, l.Provider, l.Region, string(l.Subject)} {
		if text != "" && text != l.Name {
			detail = append(detail, text)
		}
	}
	out.Detail = strings.Join(detail, ", ")
	if l.From != nil && l.To != nil {
		out.Interval = minuteOf(*l.From) + " to " + minuteOf(*l.To)
		out.Hours, out.Rate = hoursOf(l.Seconds), usd(l.HourlyPrice)
		if rate > 0 {
			out.Detail += "; " + usd(withoutTax(l.HourlyPrice, rate)) + " per hour without tax"
		}
	}
	if l.Refunded != 0 {
		out.Detail += fmt.Sprintf("; charged %s, refunded %s", usd(l.Charged), usd(l.Refunded))
	}
	out.Detail = strings.TrimPrefix(out.Detail, "; ")
	return out
}

// label is the tax with its rate and country.
func (t Treatment) label() string {
	if !t.rated() {
		return t.Name
	}
	return fmt.Sprintf("%s %s%% (%s)", t.Name, t.Percent, countryName(t.Country))
}

func (t Totals) page(of Type, c *TaxConversion) []pair {
	tax := t.Treatment.label()
	all := []pair{{Label: "Sum of the lines", Value: usd(t.Exact)}}
	if t.Rounding != 0 {
		all = append(all, pair{Label: "Rounded to cents", Value: usd(t.Rounding)})
	}
	all = append(all, pair{Label: "Total without tax", Value: usd(t.Net)}, pair{Label: tax, Value: usd(t.Tax)})
	if c != nil {
		all = append(all, pair{Label: t.Treatment.Name + " in " + c.Currency, Value: c.Currency + " " + c.Amount})
	}
	if t.TaxRounding != 0 {
		all = append(all, pair{Label: "Rounding of the tax", Value: usd(t.TaxRounding)})
	}
	all = append(all, pair{Label: "Total with tax (USD)", Value: usd(t.Total), Strong: true})
	if of == Invoice {
		all = append(all, pair{Label: "Paid from the prepaid balance", Value: usd(-t.Paid)},
			pair{Label: "Amount due", Value: usd(t.Due)})
	}
	return all
}

// note says what the document has of the month, and which invoice does not.
func (e EarlierMonth) note() string {
	var parts []string
	if e.Charged != 0 {
		parts = append(parts, usd(e.Charged)+" charged")
	}
	if e.Refunded != 0 {
		parts = append(parts, usd(e.Refunded)+" refunded")
	}
	is, they := "is", "it was"
	if len(parts) > 1 {
		is, they = "are", "they were"
	}
	text := strings.Join(parts, " and ") + " " + is + " for time in " + monthName(e.Month)
	if e.Number == "" || text == "" {
		return text + "."
	}
	return text + ": " + they + " recorded after invoice " + e.Number + " was issued."
}

// notes are the texts below the amounts.
func (d Document) notes() []string {
	var all []string
	add := func(text string) {
		if text != "" {
			all = append(all, text)
		}
	}
	add(d.Totals.Treatment.Reason)
	if d.Totals.Treatment.Category == Standard {
		add("Prices include the tax. The total without tax and the tax are computed from the total.")
	}
	if c := d.TaxConversion; c != nil {
		add(d.Totals.Treatment.label() + ": " + c.sentence(d.Tax) + ". The amount in " + c.Currency +
			" is rounded half-up.")
	}
	if d.Type == Invoice {
		add("Lines are exact to a millionth of a dollar: each hour is charged when it begins, at its hourly price, " +
			"and the unused part is refunded, both rounded half-up. A line is on the invoice of the month in which " +
			"it was charged or refunded. Times are in UTC.")
		add("This invoice is for what was used in " + monthName(d.Month) + ". Payments into the prepaid balance are " +
			"not taxed by themselves, and are listed as payments received.")
	}
	for _, e := range d.EarlierMonths {
		add(e.note())
	}
	if d.Totals.Due > 0 {
		add("The prepaid balance did not cover " + usd(d.Totals.Due) + " of the total when the month ended. It is " +
			"paid by adding money to the balance.")
	}
	add(d.Seller.BankDetails)
	add(d.Seller.Note)
	return all
}
