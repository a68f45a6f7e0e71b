package invoice

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// Direction is which of two currencies a number of a table is an amount of.
type Direction string

// The directions.
const (
	// UnitsPerBase is how a table of the ECB is: US dollars for one euro.
	UnitsPerBase Direction = "units_per_base"
	// BasePerUnit is how many central banks publish: zloty for one US dollar.
	BasePerUnit Direction = "base_per_unit"
)

// Enum lists every direction.
func (Direction) Enum() []Direction { return []Direction{UnitsPerBase, BasePerUnit} }

// RateTable is a table of rates as central banks publish them: a column with days, and one for each
// currency.
type RateTable struct {
	// CSV has a header: Date, and codes of currencies.
	CSV io.Reader
	// Currency is the one whose rates are entered; the seller's tax currency if it is empty.
	Currency string
	// Base is the currency that all columns are compared with; EUR if it is empty.
	Base string
	// Direction says what a number is; UnitsPerBase if it is empty.
	Direction Direction
	// From is the first day whose rate is entered, "2026-01-31"; all of them if it is empty.
	From   string
	Source string
}

// ImportedRates is what a table had.
type ImportedRates struct {
	Currency string `json:"currency" example:"EUR" doc:"Currency whose rates were entered."`
	Count    int    `json:"count" doc:"Number of days whose rate was entered."`
	Skipped  int    `json:"skipped" doc:"Number of rows without a number for the currency or for US dollars, such as N/A."`
	First    string `json:"first" example:"2026-11-02" doc:"First of these days."`
	Last     string `json:"last" example:"2026-11-30" doc:"Last of these days."`
}

// ImportExchangeRates enters the rates of a table. It returns INVALID_REQUEST with every problem,
// or CONFLICT where there would be too many rates.
func (s *Service) ImportExchangeRates(ctx context.Context, tx *db.Tx, t RateTable) (ImportedRates, error) {
	if t.Currency == "" {
		set, err := s.Settings(ctx, tx)
		if err != nil {
			return ImportedRates{}, err
		}
		t.Currency = set.Seller.TaxCurrency
	}
	rates, skipped, err := t.read()
	if err != nil {
		return ImportedRates{}, err
	}
	if _, err := s.enter(ctx, tx, rates); err != nil {
		return ImportedRates{}, err
	}
	out := ImportedRates{t.Currency, len(rates), skipped, rates[0].From, rates[0].From}
	for _, r := range rates {
		out.First, out.Last = min(out.First, r.From), max(out.Last, r.From)
	}
	return out, nil
}

func (t *RateTable) check() error {
	t.Base = orText(t.Base, "EUR")
	t.Direction = Direction(orText(string(t.Direction), string(UnitsPerBase)))
	t.Source = strings.TrimSpace(t.Source)
	var errs []apierr.FieldError
	add := func(field, text string) {
		errs = append(errs, apierr.FieldError{Field: field, Message: text})
	}
	if t.Currency == "" {
		add("currency", "is required where the seller has no tax currency.")
	} else {
		sample := NewRate{Currency: t.Currency, From: "2000-01-01", Rate: "1", Dollars: "1", Source: t.Source}
		errs = append(errs, sample.check("")...)
	}
	if !isCurrency(t.Base) {
		add("base", "must be a currency code of ISO 4217 with three capital letters, such as EUR.")
	}
	if !slices.Contains(t.Direction.Enum(), t.Direction) {
		add("direction", "must be units_per_base or base_per_unit.")
	}
	if t.From != "" && !isDay(t.From) {
		add("from", "must be a day such as 2026-01-31, or empty.")
	}
	return apierr.Invalid(errs).OrNil()
}

func wrongCSV(format string, args ...any) error {
	return apierr.Invalid([]apierr.FieldError{{Field: "csv", Message: fmt.Sprintf(format, args...)}})
}

// read returns the rates of the table, and how many rows have none.
func (t *RateTable) read() (rates []NewRate, skipped int, err error) {
	if err := t.check(); err != nil {
		return nil, 0, err
	}
	in := csv.NewReader(t.CSV)
	in.FieldsPerRecord, in.TrimLeadingSpace = -1, true
	header, err := in.Read()
	if err != nil {
		return nil, 0, wrongCSV("has no header: its first line must be Date and codes of currencies, such as "+
			"Date,USD,PLN (%v).", err)
	}
	column, err := t.columns(header)
	if err != nil {
		return nil, 0, err
	}
	days := map[string]bool{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, wrongCSV("cannot be read: %v.", err)
		}
		line, _ := in.FieldPos(0)
		if len(row) > len(header) && strings.Join(row[len(header):], "") != "" { // such as 1,0961 for 1.0961
			return nil, 0, wrongCSV("has more columns in line %d than in its header. Numbers have a decimal point.",
				line)
		}
		n, ok, err := t.rate(row, column, line)
		switch {
		case err != nil:
			return nil, 0, err
		case !ok:
			skipped++
			continue
		case n.From < t.From:
			continue
		case days[n.From]:
			return nil, 0, wrongCSV("repeats %s in line %d. Name each day once.", n.From, line)
		}
		if rates = append(rates, n); len(rates) > MaxExchangeRates {
			return nil, 0, wrongCSV("has more than %d days. Set from to leave out old ones.", MaxExchangeRates)
		}
		days[n.From] = true
	}
	if len(rates) == 0 {
		return nil, 0, wrongCSV("has no rates for %s.", t.Currency)
	}
	return rates, skipped, nil
}

// columns returns where the columns are. The base needs none.
func (t *RateTable) columns(header []string) (map[string]int, error) {
	at := map[string]int{}
	for i, name := range header {
		name = strings.ToUpper(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if _, twice := at[name]; twice && (name == t.Currency || name == documentCurrency) {
			return nil, wrongCSV("has two columns named %s.", name)
		}
		at[name] = i
	}
	if i, is := at["DATE"]; !is || i != 0 {
		return nil, wrongCSV("must have Date as its first column. The header is %q.",
			shortened(strings.Join(header, ",")))
	}
	for _, needed := range []string{documentCurrency, t.Currency} {
		if _, is := at[needed]; !is && needed != t.Base {
			return nil, wrongCSV("has no column %s, which is needed for rates of %s with the base %s.", needed,
				t.Currency, t.Base)
		}
	}
	return at, nil
}

// rate returns the rate of a row; false if it has none.
func (t *RateTable) rate(row []string, column map[string]int, line int) (n NewRate, ok bool, err error) {
	day := strings.TrimSpace(row[0])
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		at, err = time.Parse("2 January 2006", day) // the ECB's table of one day
	}
	if err != nil {
		return n, false, wrongCSV("must have a day such as 2026-01-31 in line %d, not %q.", line, shortened(day))
	}
	number := func(currency string) (Decimal, error) {
		if currency == t.Base {
			return "1", nil
		}
		i := column[currency]
		if i >= len(row) {
			return "", nil
		}
		text := strings.TrimSpace(row[i])
		if text == "" || text == "-" || strings.EqualFold(text, "N/A") {
			return "", nil
		}
		if _, ok := Decimal(text).rat(); !ok {
			return "", wrongCSV("must have a decimal number above 0 for %s in line %d, not %q.", currency, line,
				shortened(text))
		}
		return Decimal(text), nil
	}
	dollar, err := number(documentCurrency)
	if err != nil {
		return n, false, err
	}
	own, err := number(t.Currency)
	if err != nil || dollar == "" || own == "" {
		return n, false, err
	}
	n = NewRate{Currency: t.Currency, From: at.Format(time.DateOnly), Source: t.Source}
	if n.Rate, n.Dollars = own, dollar; t.Direction == BasePerUnit {
		n.Rate, n.Dollars = dollar, own
	}
	return n, true, nil
}

// shortened returns the beginning of a text that is quoted in an error.
func shortened(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
