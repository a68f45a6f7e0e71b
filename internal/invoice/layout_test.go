package invoice_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// pagesOf returns what a PDF draws on each of its pages.
func pagesOf(t *testing.T, pdf []byte) (all [][]byte) {
	t.Helper()
	for _, s := range regexp.MustCompile(`(?s)stream\n(.*?)\nendstream`).FindAllSubmatch(pdf, -1) {
		r, err := zlib.NewReader(bytes.NewReader(s[1]))
		if err != nil {
			continue // not compressed
		}
		drawn, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(drawn, []byte("BT ")) {
			all = append(all, drawn)
		}
	}
	return all
}

// TestPDFHasTheReviewedLayout notices that the layout of a document changed. Then review the file
// that TestFormsAreMadeOnceAndKept writes with BILLET_TEST_INVOICES, and change the hash.
func TestPDFHasTheReviewedLayout(t *testing.T) {
	sum := sha256.New()
	for _, name := range []string{"debt", "credit-note-domestic"} {
		for _, page := range pagesOf(t, invoice.RenderPDF(t, documents(t)[name])) {
			_, _ = sum.Write(page)
		}
	}
	const want = "151eadc03c7a14f9a9eac6e5e06acd0283e20743da3aa44564a0768d34a56cf3"
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("the pages have the hash %s, want %s", got, want)
	}
}

// Wherever the lines end on a page, nothing but the footer is drawn below the others.
func TestPDFStaysOnItsPages(t *testing.T) {
	const point = 25.4 / 72                       // in millimeters
	const footer, lowest = 14 / point, 22 / point // from the bottom of the page
	d := documents(t)["debt"]
	line, two := d.Lines[0], false
	for n := 12; n < 26; n++ {
		d.Lines = nil
		for range n {
			d.Lines = append(d.Lines, line)
		}
		pages := pagesOf(t, invoice.RenderPDF(t, d))
		two = two || len(pages) == 2
		for i, page := range pages {
			for _, at := range regexp.MustCompile(`BT [-\d.]+ ([-\d.]+) Td`).FindAllSubmatch(page, -1) {
				y, err := strconv.ParseFloat(string(at[1]), 64)
				if err != nil {
					t.Fatal(err)
				}
				if y > footer && y < lowest {
					t.Errorf("with %d lines, something is drawn %.1f mm above the end of page %d", n, y*point, i+1)
				}
			}
		}
	}
	if !two {
		t.Error("no document has two pages")
	}
}

// An invoice whose tax is not known is not given up: the job fails until the operator sets a rate.
func TestInvoiceWithoutARateIsRetried(t *testing.T) {
	k := newKitOn(t)
	of := k.tenant("Ada Ltd")
	k.pay(of, wallet.TypeTopUp, 50*money.USD)
	rates := func(all ...invoice.TaxRate) {
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.svc.SetTaxRates(ctx, tx, all)
			return err
		})
	}
	rates()
	k.Clock.Advance(2 * time.Hour)
	_, err := k.svc.Issue(t.Context(), of+"/2028-02")
	enginetest.WantError(t, err, apierr.Conflict, "No tax rate")
	rates(invoice.TaxRate{Country: "DE", From: "2007-01-01", Percent: 1900})
	_, err = k.svc.Issue(t.Context(), of+"/2028-02")
	k.Must(err)
	k.one(invoice.Filter{})
}
