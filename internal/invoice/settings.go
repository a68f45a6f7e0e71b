package invoice

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// MaxTaxRates is the most tax rates: each country may change its rate several times.
const MaxTaxRates = 1000

// OutsideRule is how sales are taxed if one of seller and buyer is outside the EU and no rate is
// set for the buyer's country.
type OutsideRule string

// The rules.
const (
	OutsideNone       OutsideRule = "none"
	OutsideSellerRate OutsideRule = "seller_rate"
)

// Enum lists every rule.
func (OutsideRule) Enum() []OutsideRule { return []OutsideRule{OutsideNone, OutsideSellerRate} }

// Settings is what the operator decides about documents.
type Settings struct {
	Seller            Seller      `json:"seller" doc:"Seller on every document."`
	FirstMonth        string      `json:"firstMonth" example:"2026-12" doc:"First month that invoices are issued for, in UTC; empty to issue none."`
	NumberFormat      string      `json:"numberFormat" maxLength:"40" example:"{year}-{number}" doc:"Format of the numbers of invoices: {year} is the year of issue, {number} counts from 000001 in each year."`
	CreditNoteFormat  string      `json:"creditNoteFormat" maxLength:"40" example:"CN-{year}-{number}" doc:"Format of the numbers of credit notes, which have their own count."`
	ChargesTax        bool        `json:"chargesTax" doc:"Whether prices contain a tax that documents show."`
	TaxName           string      `json:"taxName" maxLength:"40" example:"VAT" doc:"Name of the tax on documents."`
	OutsideRule       OutsideRule `json:"outsideRule" doc:"What applies to a buyer in another country, if one of the two countries is outside the EU and no rate is set for the buyer's: none, or the seller's rate."`
	ReverseChargeText string      `json:"reverseChargeText" maxLength:"500" doc:"Text on documents with reverse charge; a built-in one if empty."`
	OutsideText       string      `json:"outsideText" maxLength:"500" doc:"Text on documents outside the scope of the tax; a built-in one if empty."`
	ExemptText        string      `json:"exemptText" maxLength:"500" doc:"Text on documents of a seller who charges no tax; a built-in one if empty."`
}

// completed sets what was never set.
func (s Settings) completed() Settings {
	s.Seller.Party = s.Seller.normalized()
	s.Seller.TaxCurrency = strings.ToUpper(strings.TrimSpace(s.Seller.TaxCurrency))
	s.NumberFormat = orText(s.NumberFormat, "{year}-{number}")
	s.CreditNoteFormat = orText(s.CreditNoteFormat, "CN-{year}-{number}")
	s.TaxName = orText(s.TaxName, "VAT")
	s.OutsideRule = OutsideRule(orText(string(s.OutsideRule), string(OutsideNone)))
	return s
}

func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

// monthLayout is how months are written: "2026-11".
const monthLayout = "2006-01"

// monthOf returns a month's start and end in UTC.
func monthOf(text string) (from, to time.Time, ok bool) {
	from, err := time.Parse(monthLayout, text)
	return from, from.AddDate(0, 1, 0), err == nil && from.Year() >= 2000 && from.Year() < 3000
}

func (s Settings) check() error {
	errs := s.Seller.check("seller.")
	add := func(field, format string, args ...any) {
		errs = append(errs, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	for _, t := range []struct {
		field, text string
		most        int
	}{
		{"seller.taxNumber", s.Seller.TaxNumber, maxCode},
		{"seller.registration", s.Seller.Registration, maxName},
		{"seller.bankDetails", s.Seller.BankDetails, maxText},
		{"seller.note", s.Seller.Note, maxText},
		{"taxName", s.TaxName, maxCode},
		{"reverseChargeText", s.ReverseChargeText, maxText},
		{"outsideText", s.OutsideText, maxText},
		{"exemptText", s.ExemptText, maxText},
	} {
		errs = append(errs, apierr.CheckText(t.field, t.text, t.most)...)
	}
	if c := s.Seller.TaxCurrency; c != "" && (!isCurrency(c) || c == documentCurrency) {
		add("seller.taxCurrency", "must be a currency code of ISO 4217 other than USD, such as EUR, or empty.")
	}
	if !slices.Contains(s.OutsideRule.Enum(), s.OutsideRule) {
		add("outsideRule", "must be none or seller_rate.")
	}
	if wrong := wrongFormat(s.NumberFormat); wrong != "" {
		add("numberFormat", "%s", wrong)
	}
	if wrong := wrongFormat(s.CreditNoteFormat); wrong != "" {
		add("creditNoteFormat", "%s", wrong)
	} else if overlap(s.CreditNoteFormat, s.NumberFormat) {
		add("creditNoteFormat", "must differ from numberFormat, so that an invoice and a credit note differ, too.")
	}
	if s.FirstMonth != "" {
		if _, _, ok := monthOf(s.FirstMonth); !ok {
			add("firstMonth", "must be a month such as 2026-12, or empty.")
		}
		for _, f := range []struct{ field, text string }{
			{"name", s.Seller.Name}, {"addressLine1", s.Seller.AddressLine1}, {"postalCode", s.Seller.PostalCode},
			{"city", s.Seller.City}, {"country", s.Seller.Country},
		} {
			if f.text == "" {
				add("seller."+f.field, "is required to issue invoices.")
			}
		}
		if s.ChargesTax && s.Seller.VATID == "" {
			add("seller.vatId", "is required to issue invoices that show a tax.")
		}
	}
	return apierr.Invalid(errs).OrNil()
}

// Settings returns what the operator decided about documents. In a transaction that writes it locks
// them.
func (s *Service) Settings(ctx context.Context, r db.Reader) (Settings, error) {
	found, err := findSettings(ctx, r)
	return found.completed(), err
}

// SetSettings replaces the settings. Documents that were issued keep theirs. It returns
// INVALID_REQUEST with every problem: also a format that gives numbers which documents have.
func (s *Service) SetSettings(ctx context.Context, tx *db.Tx, set Settings) (Settings, error) {
	set = set.completed()
	if err := set.check(); err != nil {
		return Settings{}, err
	}
	if _, err := findSettings(ctx, tx); err != nil { // locks them: no number is taken meanwhile
		return Settings{}, err
	}
	errs, err := takenFormats(ctx, tx, set)
	if err == nil {
		err = apierr.Invalid(errs).OrNil()
	}
	if err != nil {
		return Settings{}, err
	}
	if err := putSettings(ctx, tx, set); err != nil {
		return Settings{}, err
	}
	return set, s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindMonth, Fleet, tx.Now)
}

// TaxRates returns all tax rates, by country and day. In a transaction that writes it locks them.
func (s *Service) TaxRates(ctx context.Context, r db.Reader) ([]TaxRate, error) {
	if db.ForUpdate(r) != "" { // by the row of the settings, because a new rate has no row yet
		if _, err := findSettings(ctx, r); err != nil {
			return nil, err
		}
	}
	return selectRates(ctx, r)
}

// SetTaxRates replaces all tax rates. Documents that were issued keep theirs. It returns
// INVALID_REQUEST with every problem.
func (s *Service) SetTaxRates(ctx context.Context, tx *db.Tx, rates []TaxRate) ([]TaxRate, error) {
	if err := checkRates(rates); err != nil {
		return nil, err
	}
	if _, err := s.TaxRates(ctx, tx); err != nil { // locks them, so that two changes do not mix
		return nil, err
	}
	rates = sorted(rates)
	return rates, replaceRates(ctx, tx, rates)
}

// SetBillingDetails replaces what is written on the account's documents from the next one on. It
// returns INVALID_REQUEST with every problem.
func (s *Service) SetBillingDetails(ctx context.Context, tx *db.Tx, account id.ID, b Buyer) (Details, error) {
	b.Party = b.normalized()
	b.PurchaseOrder = strings.TrimSpace(b.PurchaseOrder)
	errs := append(b.check(""), apierr.CheckText("purchaseOrder", b.PurchaseOrder, maxName)...)
	if err := apierr.Invalid(errs).OrNil(); err != nil {
		return Details{}, err
	}
	if err := putBuyer(ctx, tx, account, b); err != nil {
		return Details{}, err
	}
	return s.detailsOf(ctx, tx, b)
}
