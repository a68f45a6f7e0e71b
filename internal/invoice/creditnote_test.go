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
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
)

func (k *kit) correct(of id.ID, c invoice.Correction) (d invoice.Document, err error) {
	k.Helper()
	err = k.Tx(func(ctx context.Context, tx *db.Tx) error {
		d, err = k.svc.Correct(ctx, tx, of, c)
		return err
	})
	return d, err
}

func TestCreditNoteOfTheWholeInvoice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		i := k.issued(of, 3)
		balance := k.WalletOf(of)
		got, err := k.correct(i.ID, invoice.Correction{Reason: "Wrong address"})
		k.Must(err)
		k.Drain()
		if got.Number != "CN-2028-000001" || got.Type != invoice.CreditNote || *got.Corrects != i.ID ||
			got.CorrectsNumber != i.Number || got.Total != i.Total || got.Tax != i.Tax || got.Due != 0 ||
			len(got.Lines) != 3 || got.Buyer != i.Buyer {
			t.Errorf("%+v", got)
		}
		for _, f := range invoice.Formats {
			k.file(got.ID, f)
		}
		if k.WalletOf(of) != balance {
			t.Error("the balance changed")
		}
		_, err = k.correct(i.ID, invoice.Correction{Reason: "Again"})
		enginetest.WantError(t, err, apierr.Conflict, "At most $0.00")
		_, err = k.correct(got.ID, invoice.Correction{Reason: "Of a credit note"})
		enginetest.WantError(t, err, apierr.Conflict, "is a credit note")
		_, err = k.correct("ivc_none", invoice.Correction{Reason: "None"})
		enginetest.WantError(t, err, apierr.NotFound)
		if types := k.EventTypes(of, got.ID); len(types) != 1 || types[0] != "issued" {
			t.Errorf("the events are %v", types)
		}
	})
}

func TestCreditNotesOfParts(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		i := k.issued(k.tenant("Ada Ltd"), 3) // $54.12
		line := func(amount money.Micros) invoice.Correction {
			return invoice.Correction{Reason: "Outage", Lines: []invoice.CreditLine{{Text: "One hour", Amount: amount}}}
		}
		first, err := k.correct(i.ID, line(11_900_000))
		k.Must(err)
		if first.Total != 11_900_000 || first.Tax != 1_900_000 || first.Lines[0].Name != "One hour" {
			t.Errorf("%+v", first)
		}
		_, err = k.correct(i.ID, line(i.Total-first.Total+10_000))
		enginetest.WantError(t, err, apierr.Conflict, "At most")
		rest, err := k.correct(i.ID, invoice.Correction{Reason: "The rest"})
		k.Must(err)
		if rest.Total != i.Total-first.Total || rest.Number != "CN-2028-000002" {
			t.Errorf("%+v", rest)
		}
		for _, amount := range []money.Micros{0, -10_000, 1, 5_000, 2_000_000_000_000_000} {
			_, err = k.correct(i.ID, line(amount))
			enginetest.WantError(t, err, apierr.InvalidRequest)
		}
		_, err = k.correct(i.ID, invoice.Correction{})
		enginetest.WantError(t, err, apierr.InvalidRequest)
	})
}

// However many credit notes are issued at once, they are at most the invoice's total, and their
// numbers have no gaps.
func TestCreditNotesNeverExceedTheInvoice(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		i := k.issued(k.tenant("Ada Ltd"), 3)
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				_, _ = k.correct(i.ID, invoice.Correction{
					Reason: "Outage", Lines: []invoice.CreditLine{{Text: "Part", Amount: 10 * money.USD}},
				})
			})
		}
		wg.Wait()
		notes := k.all(invoice.Filter{Type: invoice.CreditNote})
		if len(notes) != int(i.Total/(10*money.USD)) {
			t.Errorf("%d credit notes of $10 for %s", len(notes), i.Total)
		}
		numbers := map[string]bool{}
		for _, n := range notes {
			numbers[n.Number] = true
		}
		for _, want := range []string{"CN-2028-000001", "CN-2028-000002", "CN-2028-000003"} {
			if !numbers[want] {
				t.Errorf("%s is missing in %v", want, numbers)
			}
		}
	})
}
