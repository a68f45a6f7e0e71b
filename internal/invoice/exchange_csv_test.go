package invoice_test

import (
	"context"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/invoice"
)

func (k *kit) importTable(text string, t invoice.RateTable) (got invoice.ImportedRates, err error) {
	k.Helper()
	err = k.Tx(func(ctx context.Context, tx *db.Tx) error {
		t.CSV = strings.NewReader(text)
		got, err = k.svc.ImportExchangeRates(ctx, tx, t)
		return err
	})
	return got, err
}

// The forms are those of the ECB's history and of its table of one day.
const (
	history = "Date,USD,JPY,BGN,PLN,\n2028-02-29,1.0961,164.25,N/A,4.3012,\n2028-02-28,1.09,164,1.9558,4.31,\n" +
		"2028-02-27,N/A,164,1.9558,4.31,\n2028-02-25,1.08,163,1.9558,N/A,\n"
	oneDay = "Date, USD, JPY, PLN, \n29 February 2028, 1.0961, 164.25, 4.3012, \n"
)

func TestImportExchangeRates(t *testing.T) {
	for _, c := range []struct {
		name, text    string
		table         invoice.RateTable
		want          invoice.ImportedRates
		rate, dollars invoice.Decimal // of the last day
		perDollar     string
	}{
		{"euro", history, invoice.RateTable{Currency: "EUR"},
			invoice.ImportedRates{Currency: "EUR", Count: 3, Skipped: 1, First: "2028-02-25", Last: "2028-02-29"},
			"1", "1.0961", "0.912326"},
		{"of one day", oneDay, invoice.RateTable{Currency: "EUR"},
			invoice.ImportedRates{Currency: "EUR", Count: 1, First: "2028-02-29", Last: "2028-02-29"},
			"1", "1.0961", "0.912326"},
		{"through the euro", history, invoice.RateTable{Currency: "PLN"},
			invoice.ImportedRates{Currency: "PLN", Count: 2, Skipped: 2, First: "2028-02-28", Last: "2028-02-29"},
			"4.3012", "1.0961", "3.924095"},
		{"from a day", history, invoice.RateTable{Currency: "JPY", From: "2028-02-28"},
			invoice.ImportedRates{Currency: "JPY", Count: 2, Skipped: 1, First: "2028-02-28", Last: "2028-02-29"},
			"164.25", "1.0961", "149.849466"},
		{"zloty for a dollar", "Date,USD,EUR\n2028-02-29,3.9241,4.3012\n",
			invoice.RateTable{Currency: "PLN", Base: "PLN", Direction: invoice.BasePerUnit},
			invoice.ImportedRates{Currency: "PLN", Count: 1, First: "2028-02-29", Last: "2028-02-29"},
			"3.9241", "1", "3.9241"},
		{"euro through zloty", "Date,USD,EUR\n2028-02-29,3.9241,4.3012\n",
			invoice.RateTable{Currency: "EUR", Base: "PLN", Direction: invoice.BasePerUnit},
			invoice.ImportedRates{Currency: "EUR", Count: 1, First: "2028-02-29", Last: "2028-02-29"},
			"3.9241", "4.3012", "0.912327"},
		{"units for a dollar", "Date,EUR\n2028-02-29,0.9123\n", invoice.RateTable{Currency: "EUR", Base: "USD"},
			invoice.ImportedRates{Currency: "EUR", Count: 1, First: "2028-02-29", Last: "2028-02-29"},
			"0.9123", "1", "0.9123"},
		{"the seller's", "\ufeffdate,usd\r\n2028-02-29,1.0961\r\n", invoice.RateTable{},
			invoice.ImportedRates{Currency: "EUR", Count: 1, First: "2028-02-29", Last: "2028-02-29"},
			"1", "1.0961", "0.912326"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dbtest.Engines(t, func(t *testing.T, d *db.DB, clk *clock.Simulated) {
				k := newKit(t, d, clk)
				k.inCurrency("EUR")
				c.table.Source = "Bank"
				for range 2 { // again changes nothing
					got, err := k.importTable(c.text, c.table)
					k.Must(err)
					if got != c.want {
						t.Errorf("%+v, want %+v", got, c.want)
					}
				}
				all, _, err := k.svc.ExchangeRates(t.Context(), d, enginetest.FirstPage)
				k.Must(err)
				if len(all) != c.want.Count || all[0].From != c.want.Last || all[0].Rate != c.rate ||
					all[0].Dollars != c.dollars || all[0].PerDollar != c.perDollar || all[0].Source != "Bank" {
					t.Errorf("%+v", all)
				}
			})
		})
	}
}

func TestImportOfWhatIsNoTable(t *testing.T) {
	k := newKitOn(t)
	euro := invoice.RateTable{Currency: "EUR", Source: "ECB"}
	for text, want := range map[string]string{
		"":                                       "no header",
		"USD,Date\n1,2028-02-29\n":               "first column",
		"Date,PLN\n2028-02-29,4\n":               "no column USD",
		"Date,USD,USD\n":                         "two columns",
		"Date,USD\n":                             "no rates",
		"Date,USD\n2028-02-29,N/A\n":             "no rates",
		"Date,USD\n29/02/2028,1\n":               "line 2",
		"Date,USD\n2028-02-29,\"1,09\"\n":        "line 2",
		"Date,USD\n2028-02-29,0\n":               "line 2",
		"Date,USD\n2028-02-29,1,0961\n":          "more columns in line 2",
		"Date,USD\n2028-02-29,1\"\n":             "cannot be read",
		"Date,USD\n2028-02-29,1\n2028-02-29,2\n": "line 3",
	} {
		_, err := k.importTable(text, euro)
		enginetest.WantError(t, err, apierr.InvalidRequest, want)
	}
	for field, table := range map[string]invoice.RateTable{
		"currency":  {Source: "ECB"},
		"source":    {Currency: "EUR"},
		"base":      {Currency: "EUR", Source: "ECB", Base: "DEM"},
		"direction": {Currency: "EUR", Source: "ECB", Direction: "up"},
		"from":      {Currency: "EUR", Source: "ECB", From: "today"},
	} {
		_, err := k.importTable(history, table)
		enginetest.WantError(t, err, apierr.InvalidRequest, field)
	}
	if all, _, err := k.svc.ExchangeRates(t.Context(), k.DB, enginetest.FirstPage); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
