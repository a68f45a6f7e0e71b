package invoice_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// issued returns an issued invoice with so many lines.
func (k *kit) issued(of id.ID, lines int) invoice.Document {
	k.Helper()
	k.pay(of, wallet.TypeTopUp, 1500*money.USD)
	for i := range lines {
		c := k.charge(of, k.IDs.New(id.Deployment), 19_920_000+money.Micros(i))
		if i%3 == 0 {
			k.refund(c, 17)
		}
	}
	k.Pass(2 * time.Hour)
	return k.one(invoice.Filter{Account: of})
}

func (k *kit) file(of id.ID, f invoice.Format) []byte {
	k.Helper()
	d, err := k.svc.GetAny(k.Context(), k.DB, of)
	k.Must(err)
	content, err := k.svc.File(k.Context(), k.DB, d, f)
	k.Must(err)
	if len(content) == 0 {
		k.Fatalf("the %s is empty", f)
	}
	return content
}

func TestFormsAreMadeOnceAndKept(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada Ltd")
		got := k.issued(of, 50)
		again := newKit(t, d, c) // as a server that starts again does
		for _, f := range invoice.Formats {
			first := k.file(got.ID, f)
			if dir := os.Getenv("BILLET_TEST_INVOICES"); dir != "" { // to print them
				k.Must(os.WriteFile(filepath.Join(dir, "sample."+string(f)), first, 0o600))
			}
			k.buyer(of, invoice.Buyer{Party: invoice.Party{Name: "Renamed Ltd"}})
			if !bytes.Equal(first, again.file(got.ID, f)) {
				t.Errorf("the %s changed", f)
			}
		}
		// What is stored is sent, and making the forms again neither changes nor adds a row.
		other := "H4sIAAAAAAACA8tIzcnJBwCGphA2BQAAAA==" // "hello"
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE invoice_rendering SET content = $1 WHERE invoice_id = $2 AND format = 'pdf'`,
				other, got.ID)
			return err
		})
		for range 2 {
			if sent := again.file(got.ID, invoice.PDF); string(sent) != "hello" {
				t.Errorf("the stored PDF is hello, and %d other bytes are sent", len(sent))
			}
			_, err := again.svc.Render(t.Context(), got.ID)
			k.Must(err)
		}
		// A form that is added later is made, and the account is not told again.
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM invoice_rendering WHERE invoice_id = $1 AND format <> 'html'`, got.ID)
			return err
		})
		_, err := again.svc.Render(t.Context(), got.ID)
		k.Must(err)
		if types := k.EventTypes(of, got.ID); len(types) != 1 {
			t.Errorf("the events are %v", types)
		}
		pdf := k.file(got.ID, invoice.PDF)
		if !bytes.HasPrefix(pdf, []byte("%PDF-")) || len(pdf) > 200_000 {
			t.Errorf("a PDF of %d bytes that begins with %q", len(pdf), pdf[:8])
		}
	})
}

// The same document gives the same bytes, so that what is kept can be checked against the content.
func TestPDFIsDeterministic(t *testing.T) {
	k := newKitOn(t)
	got := k.issued(k.tenant("Ada Ltd"), 3)
	first := invoice.RenderPDF(t, got)
	for range 3 {
		if !bytes.Equal(first, invoice.RenderPDF(t, got)) {
			t.Fatal("the PDF differs")
		}
	}
	if !bytes.Equal(first, k.file(got.ID, invoice.PDF)) {
		t.Error("the PDF of the stored content differs from the stored one")
	}
}

func TestHTMLEscapesTexts(t *testing.T) {
	k := newKitOn(t)
	of := k.tenant("x")
	const evil = `<script>alert("1")</script>&'`
	k.buyer(of, invoice.Buyer{Party: invoice.Party{Name: evil, City: evil}, PurchaseOrder: evil})
	got := k.issued(of, 1)
	html := string(k.file(got.ID, invoice.HTML))
	if strings.Contains(html, "<script") || strings.Count(html, "&lt;script&gt;") != 3 {
		t.Error(html)
	}
	if err := xml.Unmarshal(k.file(got.ID, invoice.XML), new(any)); err != nil {
		t.Error(err)
	}
}

// A character that the font does not have is replaced by its number, and the document says so.
func TestPDFShowsMissingCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"Łódź Ünïcode Ελλάδα Болгария 8 × € – ✓": "Łódź Ünïcode Ελλάδα Болгария 8 × € – [U+2713]",
		"東京":            "[U+6771][U+4EAC]",
		"Mu\u0308nchen": "München",
		"plain":         "plain",
	} {
		if got := invoice.Shown(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// The note about replaced characters is also there where only a note has them.
func TestPDFSaysThatCharactersOfANoteAreReplaced(t *testing.T) {
	d := documents(t)["domestic"]
	plain := invoice.RenderPDF(t, d)
	d.Seller.Note = "\u6771"
	replaced := len(invoice.RenderPDF(t, d))
	d.Seller.Note = "[U+6771]"
	if written := len(invoice.RenderPDF(t, d)); replaced <= written || written <= len(plain) {
		t.Errorf("%d bytes, and %d with the same text and without the note about it", replaced, written)
	}
}

func TestXMLAddsUp(t *testing.T) {
	k := newKitOn(t)
	got := k.issued(k.tenant("Ada Ltd"), 50)
	var x struct {
		Lines []struct {
			Total string `xml:"SpecifiedLineTradeSettlement>SpecifiedTradeSettlementLineMonetarySummation>LineTotalAmount"`
		} `xml:"SupplyChainTradeTransaction>IncludedSupplyChainTradeLineItem"`
		Sum string `xml:"SupplyChainTradeTransaction>ApplicableHeaderTradeSettlement>SpecifiedTradeSettlementHeaderMonetarySummation>LineTotalAmount"`
	}
	if err := xml.Unmarshal(k.file(got.ID, invoice.XML), &x); err != nil {
		t.Fatal(err)
	}
	var sum money.Micros
	for _, l := range x.Lines {
		m, err := money.Parse(l.Total)
		if err != nil {
			t.Fatal(err)
		}
		sum += m
	}
	if want, _ := money.Parse(x.Sum); sum != want || want != got.Totals.Net || len(x.Lines) != 50 {
		t.Errorf("%d lines add up to %s, the sum is %s, the net amount %s", len(x.Lines), sum, x.Sum, got.Totals.Net)
	}
}

// Every form states the tax in the seller's tax currency, with the rate, its day and its source.
func TestFormsStateTheTaxInTheTaxCurrency(t *testing.T) {
	k := newKitOn(t)
	k.inCurrency("EUR")
	k.rate("EUR", "2028-02-25", "1", "1.0961")
	k.rate("EUR", "2028-03-01", "1", "1.1") // there was none of the last days
	got := k.issued(k.tenant("Ada Ltd"), 3)
	const rate = "at 1 USD = 0.912326 EUR (1 EUR = 1.0961 USD, ECB, 2028-02-25). The amount in EUR is rounded half-up."
	sentence := "VAT 19% (Germany): $" + got.Tax.Decimal() + " = EUR " + got.TaxConversion.Amount + " " + rate
	if html := string(k.file(got.ID, invoice.HTML)); !strings.Contains(html, sentence) ||
		!strings.Contains(html, `VAT in EUR</th><td class="number">EUR `+got.TaxConversion.Amount+`</td>`) {
		t.Errorf("no %q in %s", sentence, html)
	}
	for _, want := range []string{
		sentence, "<ram:TaxCurrencyCode>EUR</ram:TaxCurrencyCode>",
		`<ram:TaxTotalAmount currencyID="EUR">` + got.TaxConversion.Amount + "</ram:TaxTotalAmount>",
	} {
		if !bytes.Contains(k.file(got.ID, invoice.XML), []byte(want)) {
			t.Errorf("no %q in the XML", want)
		}
	}
	plain := got
	plain.TaxConversion = nil
	if with, without := invoice.RenderPDF(t, got), invoice.RenderPDF(t, plain); len(with) <= len(without)+50 {
		t.Errorf("the PDF has %d bytes, and %d without the conversion", len(with), len(without))
	}
	// A rate that the source states per dollar is written once, and an amount with three decimals
	// is not in the amounts of the XML, which allow two.
	plain.TaxConversion = invoice.Converted("KWD", "0.3071", "1", got.Tax)
	if x := invoice.RenderXML(t, plain); !bytes.Contains(x, []byte("at 1 USD = 0.3071 KWD (x, 2028-02-29).")) ||
		bytes.Contains(x, []byte(`currencyID="KWD"`)) || bytes.Contains(x, []byte("TaxCurrencyCode")) {
		t.Errorf("%s", x)
	}
}

func newKitOn(t *testing.T) *kit {
	c := clock.NewFrozen(dbtest.Start)
	return newKit(t, dbtest.SQLite(t, c), c)
}
