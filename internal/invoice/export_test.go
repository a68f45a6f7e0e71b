package invoice

import (
	"testing"

	"codeberg.org/go-pdf/fpdf"
)

// What tests of the package's rules need.
var (
	Contained = contained
	TaxOf     = taxOf
	ToCents   = toCents
	TotalsOf  = totalsOf
	Insert    = (*Service).insert
	Missing   = Buyer.missing
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
