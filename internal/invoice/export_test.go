package invoice

import (
	"testing"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/billetcloud/billet/internal/money"
)

// What tests of the package's rules need.
var (
	Contained = contained
	TaxOf     = taxOf
	ToCents   = toCents
	TotalsOf  = totalsOf
	Insert    = (*Service).insert
	Missing   = Buyer.missing

	IsCurrency = isCurrency
)

func RenderPDF(t *testing.T, d Document) []byte {
	t.Helper()
	b, err := d.pdf()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func RenderXML(t *testing.T, d Document) []byte {
	t.Helper()
	b, err := d.xml()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func Shown(text string) string { return (&sheet{Fpdf: fpdf.New("P", "mm", "A4", "")}).shown(text) }

func Converted(code string, rate, dollars Decimal, tax money.Micros) *TaxConversion {
	r := NewRate{Currency: code, From: "2028-02-29", Rate: rate, Dollars: dollars, Source: "x"}
	return r.entered(time.Time{}).convert(tax)
}
