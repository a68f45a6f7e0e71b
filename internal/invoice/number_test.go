package invoice_test

import (
	"context"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/invoice"
)

func (k *kit) setFormats(invoices, notes string) error {
	return k.Tx(func(ctx context.Context, tx *db.Tx) error {
		set := germany("2028-02")
		set.NumberFormat, set.CreditNoteFormat = invoices, notes
		_, err := k.svc.SetSettings(ctx, tx, set)
		return err
	})
}

// A format that gives a number which a document has would stop the series at that number.
func TestFormatsThatGiveTakenNumbersAreRefused(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		i := k.issued(k.tenant("Ada Ltd"), 3) // 2028-000001
		_, err := k.correct(i.ID, invoice.Correction{Reason: "Wrong address"})
		k.Must(err) // CN-2028-000001
		for _, f := range []struct{ invoices, notes, field string }{
			{"CN-{year}-{number}", "{year}-{number}", "numberFormat"},
			{"I{year}-{number}", "{year}-{number}", "creditNoteFormat"},
			{"CN-{year}-{number}", "X{year}-{number}", "numberFormat"},
		} {
			enginetest.WantError(t, k.setFormats(f.invoices, f.notes), apierr.InvalidRequest, f.field, "000001")
		}
		for _, f := range [][2]string{
			{"{year}-{number}", "CN-{year}-{number}"}, {"I{year}_{number}", "C{year}_{number}"},
			{"{year}-{number}", "{year}-CN{number}"}, {"{number}/{year}", "CN.{year}.{number}"},
		} {
			if err := k.setFormats(f[0], f[1]); err != nil {
				t.Errorf("%v: %v", f, err)
			}
		}
	})
}

// Of lists of rates that are set at once, one is kept as it is.
func TestTaxRatesAreReplacedAsAWhole(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		var wg sync.WaitGroup
		for _, list := range [][]string{{"DE", "FR", "IT"}, {"AT", "NL", "ES", "PT"}, {"US", "CA"}} {
			var rates []invoice.TaxRate
			for _, country := range list {
				percent := invoice.BasisPoints(len(list))
				rates = append(rates, invoice.TaxRate{Country: country, From: "2020-01-01", Percent: percent})
			}
			for range 5 {
				wg.Go(func() {
					if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
						_, err := k.svc.SetTaxRates(ctx, tx, rates)
						return err
					}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		kept, err := k.svc.TaxRates(t.Context(), d)
		k.Must(err)
		for _, r := range kept {
			if int(r.Percent) != len(kept) {
				t.Errorf("lists are mixed: %+v", kept)
			}
		}
	})
}

func TestFormatsOfBothSeriesDiffer(t *testing.T) {
	k := newKitOn(t)
	for _, f := range [][2]string{
		{"{year}-{number}", "{year}-{number}"}, {"1{year}-{number}", "{year}1-{number}"},
	} {
		enginetest.WantError(t, k.setFormats(f[0], f[1]), apierr.InvalidRequest, "creditNoteFormat")
	}
}

// Where a number is taken all the same, the error says what to change, and no number is left out.
func TestTakenNumberIsAClearError(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		i := k.issued(k.tenant("Ada Ltd"), 3)
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE invoice SET number = 'CN-2028-000001' WHERE id = $1`, i.ID)
			return err
		})
		_, err := k.correct(i.ID, invoice.Correction{Reason: "Wrong address"})
		enginetest.WantError(t, err, apierr.Conflict, "CN-2028-000001", "Change creditNoteFormat")
		k.Must(k.setFormats("{year}-{number}", "N-{year}-{number}"))
		note, err := k.correct(i.ID, invoice.Correction{Reason: "Wrong address"})
		if err != nil || note.Number != "N-2028-000001" {
			t.Errorf("%s, %v", note.Number, err)
		}
	})
}
