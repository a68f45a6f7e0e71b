package invoice

import (
	"context"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
)

const (
	// MaxExchangeRates is the most exchange rates that are kept, and MaxNewRates the most in a call
	// that names each. The working days of 27 years are 7,000.
	MaxExchangeRates = 20_000
	MaxNewRates      = 1000
	// MaxRateAge is how many days before the tax point the day of a rate may be. Between two days
	// on which a central bank publishes rates are at most five, such as at Easter.
	MaxRateAge = 7
	// documentCurrency is the currency of every document.
	documentCurrency = "USD"
)

// Decimal is an exact decimal number above zero as text: "1.0961".
type Decimal string

var decimalForm = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,12})?$`)

// rat returns the number; false unless it is above zero, with at most 12 digits before the point
// and 12 after it.
func (d Decimal) rat() (*big.Rat, bool) {
	if !decimalForm.MatchString(string(d)) {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(string(d))
	return r, ok && r.Sign() > 0
}

// ExchangeRate is what US dollars are worth in a currency from a day on. A rate is kept as it was
// published, because its inverse is mostly no decimal number: 1 euro for 1.0961 US dollars.
type ExchangeRate struct {
	ID        string    `json:"id" example:"xr_eur20261127" doc:"Id of the rate: its currency and day."`
	Currency  string    `json:"currency" example:"EUR" doc:"Currency, as a code of ISO 4217."`
	From      string    `json:"from" example:"2026-11-27" doc:"Day from which the rate holds."`
	Rate      Decimal   `json:"rate" example:"1" doc:"Exact amount in the currency that is worth dollars."`
	Dollars   Decimal   `json:"dollars" example:"1.0961" doc:"Exact amount in US dollars that rate is the value of: 1, unless the source states the US dollar in another currency."`
	PerDollar string    `json:"perDollar" example:"0.912326" doc:"Units of the currency for one US dollar: rate divided by dollars, rounded half-up to six decimals unless dollars is 1."`
	Source    string    `json:"source" example:"ECB" doc:"Who published the rate."`
	ChangedAt time.Time `json:"changedAt" doc:"Time at which the rate was entered."`
}

// NewRate is an exchange rate to be entered.
type NewRate struct {
	Currency string
	// From is "2026-11-27".
	From string
	// Rate is the amount in the currency for so many Dollars; "" for 1.
	Rate, Dollars Decimal
	Source        string
}

const maxSource = 64

// check returns what is wrong with a rate. The prefix comes before the names of fields.
func (n NewRate) check(prefix string) (errs []apierr.FieldError) {
	add := func(field, text string) {
		errs = append(errs, apierr.FieldError{Field: prefix + field, Message: text})
	}
	if !isCurrency(n.Currency) || n.Currency == documentCurrency {
		add("currency", "must be a currency code of ISO 4217 with three capital letters other than USD, such as EUR.")
	}
	if !isDay(n.From) {
		add("from", "must be a day such as 2026-01-31.")
	}
	const number = "must be a decimal number above 0 such as 0.9123, with at most 12 digits before and after the point."
	if _, ok := n.Rate.rat(); !ok {
		add("rate", number)
	}
	if _, ok := n.Dollars.rat(); !ok {
		add("dollars", number)
	}
	if strings.TrimSpace(n.Source) == "" {
		add("source", "is required: documents say who published the rate, such as ECB.")
	}
	return append(errs, apierr.CheckText(prefix+"source", n.Source, maxSource)...)
}

// entered returns the rate as it is stored.
func (n NewRate) entered(now time.Time) ExchangeRate {
	r := ExchangeRate{
		ID:       "xr_" + strings.ToLower(n.Currency) + strings.ReplaceAll(n.From, "-", ""),
		Currency: n.Currency, From: n.From, Rate: n.Rate, Dollars: n.Dollars,
		Source: n.Source, ChangedAt: now,
	}
	r.PerDollar = r.perDollar()
	return r
}

func (r ExchangeRate) perDollar() string {
	value, ok := r.value()
	switch {
	case !ok:
		return ""
	case r.Dollars == "1":
		return string(r.Rate)
	}
	return strings.TrimSuffix(strings.TrimRight(value.FloatString(6), "0"), ".")
}

// value is the exact amount in the currency for one US dollar.
func (r ExchangeRate) value() (*big.Rat, bool) {
	rate, ok := r.Rate.rat()
	dollars, ok2 := r.Dollars.rat()
	if !ok || !ok2 {
		return nil, false
	}
	return rate.Quo(rate, dollars), true
}

// TaxConversion is the tax of a document in another currency.
type TaxConversion struct {
	Currency  string  `json:"currency" example:"EUR" doc:"Currency, as a code of ISO 4217."`
	Amount    string  `json:"amount" example:"3.15" doc:"Tax in the currency: the tax in US dollars at the exact rate, rounded half-up to the minor unit of the currency in ISO 4217. The sign does not change how it is rounded."`
	From      string  `json:"from" example:"2026-11-27" doc:"Day of the rate."`
	Rate      Decimal `json:"rate" example:"1" doc:"Exact amount in the currency that is worth dollars."`
	Dollars   Decimal `json:"dollars" example:"1.0961" doc:"Exact amount in US dollars that rate is the value of."`
	PerDollar string  `json:"perDollar" example:"0.912326" doc:"Units of the currency for one US dollar, rounded half-up to six decimals unless dollars is 1."`
	Source    string  `json:"source" example:"ECB" doc:"Who published the rate."`
}

// convert returns the tax at the rate; nil without a tax.
func (r ExchangeRate) convert(tax money.Micros) *TaxConversion {
	value, ok := r.value()
	if tax == 0 || !ok {
		return nil
	}
	value.Mul(value, big.NewRat(int64(tax), int64(money.USD)))
	amount := value.FloatString(currencies[r.Currency]) // rounds half away from zero
	if strings.Trim(amount, "-0.") == "" {
		amount = strings.TrimPrefix(amount, "-")
	}
	return &TaxConversion{
		Currency: r.Currency, Amount: amount,
		From: r.From, Rate: r.Rate, Dollars: r.Dollars, PerDollar: r.PerDollar, Source: r.Source,
	}
}

// sentence states the conversion: "$3.18 = EUR 2.90 at 1 USD = 0.9123 EUR (ECB, 2026-11-27)". A
// rate that the source does not state for one US dollar is also written as it is stated, because
// the quotient is rounded.
func (c *TaxConversion) sentence(tax money.Micros) string {
	exact := ""
	if c.Dollars != "1" {
		exact = fmt.Sprintf("%s %s = %s USD, ", c.Rate, c.Currency, c.Dollars)
	}
	return fmt.Sprintf("%s = %s %s at 1 USD = %s %s (%s%s, %s)", usd(tax), c.Currency, c.Amount, c.PerDollar,
		c.Currency, exact, c.Source, c.From)
}

// inXML reports whether an electronic invoice can have the amount: EN 16931 allows two decimals.
func (c *TaxConversion) inXML() bool { return c != nil && currencies[c.Currency] <= 2 }

// of returns another tax at the same rate; nil where nothing was converted.
func (c *TaxConversion) of(tax money.Micros) *TaxConversion {
	if c == nil {
		return nil
	}
	rate := NewRate{Currency: c.Currency, From: c.From, Rate: c.Rate, Dollars: c.Dollars, Source: c.Source}
	return rate.entered(time.Time{}).convert(tax)
}

// convertTax converts the document's tax with the newest rate of the tax point, or says what is
// missing for that. The tax point is the last day that is billed, as for the rate of the tax.
func (d *Document) convertTax(newest ExchangeRate, found bool, day string) {
	currency := d.Seller.TaxCurrency
	if currency == "" || d.Tax == 0 {
		return
	}
	if found && !tooOld(newest.From, day) {
		d.TaxConversion = newest.convert(d.Tax)
		return
	}
	d.MissingExchangeRate = fmt.Sprintf("The tax cannot be stated in %s: no exchange rate from US dollars is set for "+
		"%s or one of the %d days before.", currency, day, MaxRateAge)
	if found {
		d.MissingExchangeRate += fmt.Sprintf(" The newest before is of %s.", newest.From)
	}
}

// tooOld reports whether a rate from that day on is too old for the tax point.
func tooOld(from, day string) bool {
	begins, err := time.Parse(time.DateOnly, from)
	at, err2 := time.Parse(time.DateOnly, day)
	return err != nil || err2 != nil || at.Sub(begins) > MaxRateAge*24*time.Hour
}

// awaitRate returns CONFLICT, and opens an issue, as long as the document lacks an exchange rate
// that can no longer change. An older rate than that of the tax point counts only once a later one
// is there: until then the one of that day may not have been entered yet.
func (s *Service) awaitRate(ctx context.Context, d *Document, day string) error {
	if c := d.TaxConversion; c != nil && c.From < day {
		later, err := hasLaterRate(ctx, s.cfg.DB, c.Currency, day)
		if err != nil {
			return err
		}
		if !later {
			d.MissingExchangeRate = fmt.Sprintf("The tax cannot be stated in %s yet: the newest exchange rate is of "+
				"%s, and one of %s may still come. If none was published for that day, the next one settles it.",
				c.Currency, c.From, day)
		}
	}
	if d.MissingExchangeRate == "" {
		return nil
	}
	return s.lackRate(ctx, *d)
}

// missingRate is the issue about invoices that wait for a rate of the currency.
func missingRate(currency, detail string) issue.Sighting {
	return issue.Sighting{Kind: issue.MissingExchangeRate, UpstreamID: currency, Detail: detail}
}

// lackRate opens an issue about an invoice that waits for an exchange rate, and returns CONFLICT.
func (s *Service) lackRate(ctx context.Context, d Document) error {
	err := apierr.New(apierr.Conflict, "%s Enter one under Operator → Billing settings, or with billetd invoices "+
		"exchange-rates. Invoices are issued within minutes then.", d.MissingExchangeRate)
	if raised := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		set, failed := s.Settings(ctx, tx) // locks them before the issues, as others do
		if failed != nil {
			return failed
		}
		failed = s.cfg.Issues.Raise(ctx, tx, issue.LedgerSource, missingRate(d.Seller.TaxCurrency, err.Message))
		if failed != nil {
			return failed
		}
		return s.settleRates(ctx, tx, set)
	}); raised != nil {
		return raised
	}
	return err
}

// forgotten is how old the last sighting of an issue is if no invoice waits for the exchange rate
// anymore: one that does is tried again every few minutes, which is a sighting.
const forgotten = 24 * time.Hour

// settleRates closes the issues about rates that no invoice waits for anymore: those of another
// currency than the seller's, or all of them where no tax is charged. For the seller's, other
// invoices may still wait, unless none has for a day.
func (s *Service) settleRates(ctx context.Context, tx *db.Tx, set Settings) error {
	awaited := set.Seller.TaxCurrency
	if !set.ChargesTax {
		awaited = ""
	}
	return s.cfg.Issues.SettleOthers(ctx, tx, issue.LedgerSource, missingRate(awaited, ""), tx.Now.Add(-forgotten))
}

// ExchangeRates returns a page of the exchange rates, by currency, those of the latest days first.
func (s *Service) ExchangeRates(ctx context.Context, r db.Reader, p db.Page) ([]ExchangeRate, db.Listed, error) {
	return listExchangeRates(ctx, r, p)
}

// AddExchangeRates enters rates. One of the same currency and day is replaced. Documents that were
// issued keep theirs. It returns INVALID_REQUEST with every problem, or CONFLICT where there would
// be too many.
func (s *Service) AddExchangeRates(ctx context.Context, tx *db.Tx, rates []NewRate) ([]ExchangeRate, error) {
	if len(rates) == 0 || len(rates) > MaxNewRates {
		return nil, apierr.Invalid([]apierr.FieldError{{
			Field: "rates", Message: fmt.Sprintf("has %d rates; 1 to %d are allowed.", len(rates), MaxNewRates),
		}})
	}
	var errs []apierr.FieldError
	days := map[string]bool{}
	for i, r := range rates {
		r = r.normalized()
		prefix := fmt.Sprintf("rates[%d].", i)
		errs = append(errs, r.check(prefix)...)
		if days[r.Currency+r.From] {
			errs = append(errs, apierr.FieldError{
				Field:   prefix + "from",
				Message: fmt.Sprintf("repeats %s for %s. Name each day once.", r.From, r.Currency),
			})
		}
		days[r.Currency+r.From] = true
	}
	if err := apierr.Invalid(errs).OrNil(); err != nil {
		return nil, err
	}
	return s.enter(ctx, tx, rates)
}

// normalized returns the rate as it is checked and stored.
func (n NewRate) normalized() NewRate {
	n.Source = strings.TrimSpace(n.Source)
	n.Dollars = Decimal(orText(string(n.Dollars), "1"))
	return n
}

// enter stores rates that are right, and closes the issues about their currencies: where an invoice
// still has no rate, its job opens another.
func (s *Service) enter(ctx context.Context, tx *db.Tx, rates []NewRate) ([]ExchangeRate, error) {
	if _, err := findSettings(ctx, tx); err != nil { // locks them: no two changes count at once
		return nil, err
	}
	all := make([]ExchangeRate, len(rates))
	var entered []string
	for i, r := range rates {
		all[i] = r.normalized().entered(tx.Now)
		if !slices.Contains(entered, r.Currency) {
			entered = append(entered, r.Currency)
		}
	}
	if err := putExchangeRates(ctx, tx, all); err != nil {
		return nil, err
	}
	switch n, err := countExchangeRates(ctx, tx); {
	case err != nil:
		return nil, err
	case n > MaxExchangeRates:
		return nil, apierr.New(apierr.Conflict, "There would be %d exchange rates; at most %d are kept. Delete old "+
			"ones, or enter fewer.", n, MaxExchangeRates)
	}
	for _, currency := range entered {
		const note = "Exchange rates were entered."
		err := s.cfg.Issues.Resolve(ctx, tx, issue.LedgerSource, missingRate(currency, ""), note)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// DeleteExchangeRate deletes a rate and returns it, or returns NOT_FOUND. Documents that were
// issued keep theirs.
func (s *Service) DeleteExchangeRate(ctx context.Context, tx *db.Tx, of id.ID) (ExchangeRate, error) {
	r, found, err := deleteExchangeRate(ctx, tx, string(of))
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No exchange rate has this id, such as xr_eur20261127. List them with "+
			"GET /operator/exchange-rates.")
	}
	return r, err
}
