package invoice_test

import (
	"bytes"
	"context"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"golang.org/x/text/currency"
	"pgregory.net/rapid"
)

// inCurrency has documents state their tax in a currency, too.
func (k *kit) inCurrency(code string) {
	k.Helper()
	s := germany(k.Clock.Now().Format("2006-01"))
	s.Seller.TaxCurrency = code
	k.set(s)
}

func (k *kit) addRates(rates ...invoice.NewRate) (added []invoice.ExchangeRate, err error) {
	k.Helper()
	err = k.Tx(func(ctx context.Context, tx *db.Tx) error {
		added, err = k.svc.AddExchangeRates(ctx, tx, rates)
		return err
	})
	return added, err
}

func (k *kit) rate(code, day string, rate, dollars invoice.Decimal) {
	k.Helper()
	_, err := k.addRates(invoice.NewRate{Currency: code, From: day, Rate: rate, Dollars: dollars, Source: "ECB"})
	k.Must(err)
}

func (k *kit) issues() []issue.Issue {
	k.Helper()
	all, _, err := k.Issues.List(k.Context(), k.DB, issue.Filter{State: issue.StateOpen}, enginetest.FirstPage)
	k.Must(err)
	return all
}

// The month ends on Tuesday, February 29, 2028.
func TestWhichExchangeRateAnInvoiceUses(t *testing.T) {
	type rate struct{ day, rate, dollars string }
	for _, c := range []struct {
		name, currency string
		rates          []rate
		from, amount   string // of a tax of $3.18; "" if the invoice is not issued
	}{
		{"none", "EUR", nil, "", ""},
		{"of that day", "EUR", []rate{{"2028-02-29", "0.9", "1"}, {"2028-02-28", "0.8", "1"}}, "2028-02-29", "2.86"},
		{"of a later day", "EUR", []rate{{"2028-03-01", "0.9", "1"}}, "", ""},
		{"over a weekend", "EUR", []rate{{"2028-02-25", "0.9", "1"}, {"2028-03-01", "0.8", "1"}}, "2028-02-25", "2.86"},
		{"a week before", "EUR", []rate{{"2028-02-22", "0.9", "1"}, {"2028-03-06", "1", "1"}}, "2028-02-22", "2.86"},
		{"stale", "EUR", []rate{{"2028-02-21", "0.9", "1"}, {"2028-03-01", "1", "1"}}, "", ""},
		{"of another currency", "SEK", []rate{{"2028-02-29", "0.9", "1"}}, "", ""},
		{"as the ECB states it", "EUR", []rate{{"2028-02-29", "1", "1.0961"}}, "2028-02-29", "2.90"},
		{"without minor units", "JPY", []rate{{"2028-02-29", "149.845", "1"}}, "2028-02-29", "477"},
		{"half a minor unit", "JPY", []rate{{"2028-02-29", "150", "1"}}, "2028-02-29", "477"},
		{"three decimals", "KWD", []rate{{"2028-02-29", "0.307", "1"}}, "2028-02-29", "0.976"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dbtest.Engines(t, func(t *testing.T, d *db.DB, clk *clock.Simulated) {
				k := newKit(t, d, clk)
				k.inCurrency(c.currency)
				for _, r := range c.rates {
					code := c.currency
					if c.name == "of another currency" {
						code = "EUR"
					}
					k.rate(code, r.day, invoice.Decimal(r.rate), invoice.Decimal(r.dollars))
				}
				of := k.tenant("Ada Ltd")
				k.charge(of, k.IDs.New(id.Deployment), 19_920_000)
				preview, err := k.svc.Preview(t.Context(), of)
				k.Must(err)
				converted, missing := preview.TaxConversion, preview.MissingExchangeRate
				if preview.Tax != 3_180_000 || (converted == nil) != (c.amount == "") ||
					(missing == "") != (c.amount != "") {
					t.Errorf("the preview has %s, %+v, %q", preview.Tax, converted, missing)
				}
				k.Pass(2 * time.Hour)
				if c.amount != "" {
					got := k.one(invoice.Filter{}).TaxConversion
					if got == nil || got.Amount != c.amount || got.From != c.from || got.Currency != c.currency {
						t.Errorf("%+v", got)
					}
					return
				}
				k.wantWaiting(c.currency)
			})
		})
	}
}

// wantWaiting checks that the invoice of February waits for a rate of the currency, and is issued
// once the operator has entered one.
func (k *kit) wantWaiting(code string) {
	k.Helper()
	if all := k.all(invoice.Filter{}); len(all) != 0 {
		k.Fatalf("%+v", all)
	}
	open := k.issues()
	if len(open) != 1 || open[0].Kind != issue.MissingExchangeRate || open[0].Provider != issue.LedgerSource {
		k.Fatalf("%+v", open)
	}
	for _, word := range []string{"in " + code, "2028-02-29"} {
		if !strings.Contains(open[0].Detail, word) {
			k.Fatalf("no %q in %q", word, open[0].Detail)
		}
	}
	k.rate(code, "2028-02-29", "0.5", "")
	if open := k.issues(); len(open) != 0 {
		k.Fatalf("still open: %+v", open)
	}
	k.Pass(10 * time.Minute)
	got := k.one(invoice.Filter{}).TaxConversion
	if got == nil || got.From != "2028-02-29" || got.PerDollar != "0.5" {
		k.Fatalf("%+v", got)
	}
}

// The rates are entered each morning: that of the month's last day comes after the month has ended,
// and no invoice is issued with the one before.
func TestInvoiceWaitsForTheLastDaysRate(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, clk *clock.Simulated) {
		k := newKit(t, d, clk)
		k.inCurrency("EUR")
		k.rate("EUR", "2028-02-28", "0.8", "")
		of := k.tenant("Ada Ltd")
		k.charge(of, k.IDs.New(id.Deployment), 19_920_000)
		preview, err := k.svc.Preview(t.Context(), of)
		k.Must(err)
		if preview.TaxConversion == nil || preview.MissingExchangeRate != "" {
			t.Errorf("the preview has %+v, %q", preview.TaxConversion, preview.MissingExchangeRate)
		}
		k.Pass(2 * time.Hour)
		k.wantWaiting("EUR")
	})
}

// Where a later rate shows that there is none of the last day, the one before applies.
func TestLaterRateSettlesTheOneBefore(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, clk *clock.Simulated) {
		k := newKit(t, d, clk)
		k.inCurrency("EUR")
		k.rate("EUR", "2028-02-28", "0.8", "")
		k.charge(k.tenant("Ada Ltd"), k.IDs.New(id.Deployment), 19_920_000)
		k.Pass(2 * time.Hour)
		if all := k.all(invoice.Filter{}); len(all) != 0 {
			t.Fatalf("%+v", all)
		}
		k.rate("EUR", "2028-03-01", "0.9", "")
		k.Pass(10 * time.Minute)
		if got := k.one(invoice.Filter{}).TaxConversion; got == nil || got.From != "2028-02-28" {
			t.Errorf("%+v", got)
		}
	})
}

// An issue about a rate ends with the wait for it, also where the operator enters none.
func TestIssueAboutARateEndsWithTheWait(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(k *kit)
		open   string // the currency that is waited for then; "" for none
	}{
		{"the tax currency is removed", func(k *kit) { k.inCurrency("") }, ""},
		{"another one has a rate", func(k *kit) {
			k.rate("SEK", "2028-02-29", "10", "")
			k.inCurrency("SEK")
		}, ""},
		{"another one has no rate, either", func(k *kit) { k.inCurrency("SEK") }, "SEK"},
		{"no tax is charged", func(k *kit) {
			s := germany("2028-02")
			s.Seller.TaxCurrency, s.ChargesTax = "EUR", false
			k.set(s)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dbtest.Engines(t, func(t *testing.T, d *db.DB, clk *clock.Simulated) {
				k := newKit(t, d, clk)
				k.inCurrency("EUR")
				for _, name := range []string{"Ada Ltd", "Bob Inc"} {
					k.charge(k.tenant(name), k.IDs.New(id.Deployment), 19_920_000)
				}
				k.Pass(2 * time.Hour)
				open := k.issues()
				if len(open) != 1 || *open[0].UpstreamID != "EUR" {
					t.Fatalf("%+v", open)
				}
				c.change(k)
				k.Pass(10 * time.Minute)
				was, err := k.Issues.Get(t.Context(), d, open[0].ID)
				k.Must(err)
				if was.State != issue.StateSettled || was.ClosedAt == nil {
					t.Errorf("the issue about EUR is %s", was.State)
				}
				for _, i := range k.issues() {
					if *i.UpstreamID != c.open {
						t.Errorf("waits for %s: %s", *i.UpstreamID, i.Detail)
					}
				}
				if all := k.all(invoice.Filter{}); (len(all) == 2) != (c.open == "") {
					t.Errorf("%d invoices", len(all))
				}
			})
		})
	}
}

// An invoice that needs no rate settles nothing for those that do.
func TestIssueAboutARateStaysWhileAnotherInvoiceWaits(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, clk *clock.Simulated) {
		k := newKit(t, d, clk)
		k.inCurrency("EUR")
		needsNone := func() {
			of := k.NewAccount(0)
			k.buyer(of, invoice.Buyer{Party: invoice.Party{Name: "Dubois", Country: "FR", VATID: "FRXX999999999"}})
			k.charge(of, k.IDs.New(id.Deployment), 19_920_000)
		}
		needsNone()
		k.charge(k.tenant("Ada Ltd"), k.IDs.New(id.Deployment), 19_920_000)
		needsNone()
		k.Pass(2 * time.Hour)
		all, _, err := k.Issues.List(t.Context(), d, issue.Filter{}, enginetest.FirstPage)
		k.Must(err)
		if len(all) != 1 || all[0].State != issue.StateOpen || len(k.all(invoice.Filter{})) != 2 {
			t.Errorf("%+v", all)
		}
	})
}

// A credit note has the rate of its invoice, whatever was entered after that, and both stay as they
// are.
func TestCreditNoteHasTheExchangeRateOfItsInvoice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		k.inCurrency("EUR")
		k.rate("EUR", "2028-02-29", "1", "1.0961")
		i := k.issued(k.tenant("Ada Ltd"), 3)
		var before [][]byte
		for _, f := range invoice.Formats {
			before = append(before, k.file(i.ID, f))
		}
		k.rate("EUR", "2028-02-29", "2", "")
		k.rate("EUR", "2028-03-01", "3", "")
		k.inCurrency("SEK")
		part, err := k.correct(i.ID, invoice.Correction{
			Reason: "Outage", Lines: []invoice.CreditLine{{Text: "One hour", Amount: 11_900_000}},
		})
		k.Must(err)
		if got := part.TaxConversion; part.Tax != 1_900_000 || got == nil || got.Amount != "1.73" ||
			got.Dollars != "1.0961" ||
			got.From != "2028-02-29" || got.PerDollar != "0.912326" || got.Currency != "EUR" {
			t.Errorf("%s, %+v", part.Tax, got)
		}
		for n, f := range invoice.Formats {
			if !bytes.Equal(before[n], k.file(i.ID, f)) {
				t.Errorf("the %s changed", f)
			}
		}
		again, err := k.svc.GetAny(t.Context(), d, i.ID)
		k.Must(err)
		if i.TaxConversion == nil || *again.TaxConversion != *i.TaxConversion {
			t.Errorf("%+v became %+v", i.TaxConversion, again.TaxConversion)
		}
	})
}

// A credit note for a whole invoice has the same converted tax, and one for an invoice without a
// conversion has none.
func TestCreditNoteIsConvertedAsItsInvoice(t *testing.T) {
	k := newKitOn(t)
	first := k.issued(k.tenant("Ada Ltd"), 1)
	k.inCurrency("EUR")
	k.rate("EUR", k.Clock.Now().Format(time.DateOnly), "0.9123", "")
	k.Pass(24 * time.Hour)
	of := k.tenant("Bob Inc")
	k.charge(of, k.IDs.New(id.Deployment), 19_920_000)
	k.rate("EUR", "2028-03-31", "0.9123", "")
	k.Pass(40 * 24 * time.Hour)
	second := k.one(invoice.Filter{Account: of})
	for _, i := range []invoice.Document{first, second} {
		note, err := k.correct(i.ID, invoice.Correction{Reason: "Wrong address"})
		k.Must(err)
		switch {
		case (note.TaxConversion == nil) != (i.TaxConversion == nil), (note.TaxConversion == nil) != (i.ID == first.ID):
			t.Errorf("%+v for %+v", note.TaxConversion, i.TaxConversion)
		case note.TaxConversion != nil && *note.TaxConversion != *i.TaxConversion:
			t.Errorf("%+v for %+v", note.TaxConversion, i.TaxConversion)
		}
	}
}

// Without a tax there is nothing to convert, and no rate is needed.
func TestInvoicesWithoutTaxNeedNoExchangeRate(t *testing.T) {
	k := newKitOn(t)
	k.inCurrency("EUR")
	companies, paying := k.NewAccount(0), k.tenant("Cy Ltd")
	k.buyer(companies, invoice.Buyer{Party: invoice.Party{Name: "Dubois", Country: "FR", VATID: "FRXX999999999"}})
	k.charge(companies, k.IDs.New(id.Deployment), 19_920_000)
	k.pay(paying, wallet.TypeTopUp, money.USD)
	k.Pass(2 * time.Hour)
	for _, of := range []id.ID{companies, paying} {
		if got := k.one(invoice.Filter{Account: of}); got.TaxConversion != nil || got.MissingExchangeRate != "" {
			t.Errorf("%+v", got)
		}
	}
	if open := k.issues(); len(open) != 0 {
		t.Errorf("%+v", open)
	}
}

// The converted tax is the exact product, rounded half-up once.
func TestConversionIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom([]string{"EUR", "SEK", "JPY", "ISK", "KWD"}).Draw(t, "currency")
		digits := map[string]int64{"JPY": 1, "ISK": 1, "KWD": 1000}[code]
		if digits == 0 {
			digits = 100
		}
		tax := rapid.Int64Range(-1<<45, 1<<45).Draw(t, "tax")
		rate := rapid.StringMatching(`[1-9][0-9]{0,5}(\.[0-9]{1,8})?`).Draw(t, "rate")
		dollars := rapid.StringMatching(`[1-9][0-9]{0,3}(\.[0-9]{1,6})?`).Draw(t, "dollars")
		got := invoice.Converted(code, invoice.Decimal(rate), invoice.Decimal(dollars), money.Micros(tax))
		if tax == 0 {
			if got != nil {
				t.Fatalf("%+v", got)
			}
			return
		}
		a, _ := new(big.Rat).SetString(rate)
		b, _ := new(big.Rat).SetString(dollars)
		minor := new(big.Rat).Quo(a, b)
		minor.Mul(minor, big.NewRat(tax, 1_000_000)).Mul(minor, big.NewRat(digits, 1))
		sign := minor.Sign()
		minor.Abs(minor).Add(minor, big.NewRat(1, 2))
		want := new(big.Int).Quo(minor.Num(), minor.Denom()) // rounds down
		stated, ok := new(big.Rat).SetString(got.Amount)
		if !ok {
			t.Fatalf("%q", got.Amount)
		}
		stated.Mul(stated, big.NewRat(digits, 1))
		if !stated.IsInt() || stated.Num().CmpAbs(want) != 0 || stated.Sign() != 0 && stated.Sign() != sign {
			t.Fatalf("%d at %s/%s is %s %s, want %s", tax, rate, dollars, got.Amount, code, want)
		}
		_, decimals, _ := strings.Cut(got.Amount, ".")
		if want := map[int64]int{1: 0, 100: 2, 1000: 3}[digits]; len(decimals) != want {
			t.Fatalf("%s %s", got.Amount, code)
		}
	})
}

func TestExchangeRatesAreChecked(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		good := invoice.NewRate{Currency: "EUR", From: "2028-02-29", Rate: "0.9123", Source: "ECB"}
		for field, change := range map[string]func(*invoice.NewRate){
			"rates[0].currency": func(r *invoice.NewRate) { r.Currency = "USD" },
			"rates[0].from":     func(r *invoice.NewRate) { r.From = "2028-02-30" },
			"rates[0].source":   func(r *invoice.NewRate) { r.Source = " " },
			"rates[0].dollars":  func(r *invoice.NewRate) { r.Dollars = "0" },
		} {
			r := good
			change(&r)
			_, err := k.addRates(r)
			enginetest.WantError(t, err, apierr.InvalidRequest, field)
		}
		for _, rate := range []invoice.Decimal{"", "0", "0.0", "-1", "1e3", "1,5", "0x1", ".5", "1.", "1/2",
			"1234567890123", "0.0000000000001", "NaN", "Inf"} {
			r := good
			r.Rate = rate
			_, err := k.addRates(r)
			enginetest.WantError(t, err, apierr.InvalidRequest, "rates[0].rate")
		}
		_, err := k.addRates()
		enginetest.WantError(t, err, apierr.InvalidRequest)
		_, err = k.addRates(good, good)
		enginetest.WantError(t, err, apierr.InvalidRequest, "rates[1].from")
		other := good
		other.Rate = "0.95"
		_, err = k.addRates(good)
		k.Must(err)
		_, err = k.addRates(other)
		k.Must(err)
		all, _, err := k.svc.ExchangeRates(t.Context(), d, enginetest.FirstPage)
		k.Must(err)
		if len(all) != 1 || all[0].ID != "xr_eur20280229" || all[0].Rate != "0.95" || all[0].PerDollar != "0.95" {
			t.Errorf("%+v", all)
		}
		remove := func() error {
			return k.Tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := k.svc.DeleteExchangeRate(ctx, tx, "xr_eur20280229")
				return err
			})
		}
		k.Must(remove())
		enginetest.WantError(t, remove(), apierr.NotFound)
	})
}

// Every currency is one that others know, too.
func TestCurrenciesAreThoseOfTheISOList(t *testing.T) {
	k := newKitOn(t)
	accepted := 0
	var rates []invoice.NewRate
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				code := string([]rune{a, b, c})
				if !invoice.IsCurrency(code) {
					continue
				}
				accepted++
				// The module is older than these.
				newer := strings.Contains("MRU STN VES VED SLE XCG ZWG", code)
				if _, err := currency.ParseISO(code); err != nil && !newer {
					t.Errorf("%s is accepted", code)
				}
				if code != "USD" {
					rates = append(rates, invoice.NewRate{Currency: code, From: "2028-02-29", Rate: "1", Source: "x"})
				}
			}
		}
	}
	if _, err := k.addRates(rates...); err != nil || accepted != len(rates)+1 {
		t.Errorf("%d of %d currencies: %v", len(rates), accepted, err)
	}
	for _, code := range []string{"DEM", "HRK", "BGN", "XAU", "XTS", "XXX", "CHE", "BTC", "eur", ""} {
		if invoice.IsCurrency(code) {
			t.Errorf("%q is accepted", code)
		}
	}
	s := germany("")
	for code, right := range map[string]bool{"EUR": true, " eur": true, "": true, "USD": false, "DEM": false} {
		s.Seller.TaxCurrency = code
		err := k.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.svc.SetSettings(ctx, tx, s)
			return err
		})
		if right {
			k.Must(err)
			continue
		}
		enginetest.WantError(t, err, apierr.InvalidRequest, "seller.taxCurrency")
	}
}
