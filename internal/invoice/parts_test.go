package invoice

import (
	"fmt"
	"slices"
	"testing"

	"codeberg.org/go-pdf/fpdf"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"golang.org/x/image/font/gofont/goregular"
)

func TestParty_lines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		party Party
		want  []string
	}{
		{Party{}, nil},
		{
			Party{Name: "A", AddressLine1: "1 Street", AddressLine2: "Floor 2", PostalCode: "10115", City: "Berlin",
				Country: "DE"},
			[]string{"A", "1 Street", "Floor 2", "10115 Berlin", "Germany"},
		},
		{Party{City: "Austin", State: "TX", Country: "US"}, []string{"Austin, TX", "United States"}},
		{Party{State: "TX"}, []string{"TX"}},
		{Party{PostalCode: "10115"}, []string{"10115"}},
		{Party{Country: "??"}, []string{"??"}},
	} {
		if got := c.party.lines(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %q, want %q", c.party, got, c.want)
		}
	}
}

func TestHoursOf(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]string{
		0: "0.0000", 1: "0.0003", 2: "0.0006", 3599: "0.9997", 3600: "1.0000", 2_678_400: "744.0000", -1800: "-0.5000",
	} {
		if got := hoursOf(seconds); got != want {
			t.Errorf("%d seconds are %s, want %s", seconds, got, want)
		}
	}
}

// A price is never negative, and an amount that no hours explain is for one piece.
func TestCIIPriced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount  money.Micros
		seconds int64
		want    string
	}{
		{19_920_000, 3600, "19.92 for 1.0000 HUR, 1.0000 HUR"},
		{-5_640_000, -1020, "5.64 for 0.2833 HUR, -0.2833 HUR"},
		{0, 3600, "0.00 for 1.0000 HUR, 1.0000 HUR"},
		{10_000, 0, "0.01, 1 C62"},
		{-10_000, 0, "0.01, -1 C62"},
		{-10_000, 3600, "0.01, -1 C62"},
		{10_000, -3600, "0.01, 1 C62"},
		{0, 0, "0.00, 1 C62"},
	} {
		price, quantity := ciiPriced(c.amount, c.seconds)
		got := price.Amount
		if price.For != nil {
			got += " for " + price.For.Value + " " + price.For.Unit
		}
		if got = fmt.Sprintf("%s, %s %s", got, quantity.Value, quantity.Unit); got != c.want {
			t.Errorf("%s for %d seconds: %s, want %s", c.amount, c.seconds, got, c.want)
		}
	}
}

// The legal registration of a seller is on the document if there is one, and not empty otherwise.
func TestCIIAgreement_registration(t *testing.T) {
	t.Parallel()
	var d Document
	if got := d.ciiAgreement().Seller.Legal; got != nil {
		t.Errorf("without a registration: %+v", got)
	}
	d.Seller.Registration = "HRB 12345"
	if got := d.ciiAgreement().Seller.Legal; got == nil || got.ID != "HRB 12345" {
		t.Errorf("with a registration: %+v", got)
	}
}

// Months that have many lines, of either kind, are not all kept.
func TestPreviewsAreBounded(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	kept := func(lines, movements int) int {
		v := newPreviews(Config{Clock: c})
		p := v.of("acc_1")
		p.at = c.Now()
		p.period.Lines = make([]wallet.PeriodLine, lines)
		p.period.Movements = make([]wallet.Transaction, movements)
		v.of("acc_2")
		return len(v.kept)
	}
	for _, x := range []struct{ lines, movements, want int }{
		{maxPreviewLines, 0, 2}, {0, maxPreviewLines, 2}, {maxPreviewLines, 1, 1}, {1, maxPreviewLines, 1},
	} {
		if got := kept(x.lines, x.movements); got != x.want {
			t.Errorf("%d lines and %d movements: %d are kept, want %d", x.lines, x.movements, got, x.want)
		}
	}
	v := newPreviews(Config{Clock: c})
	for i := range maxPreviews + 1 {
		v.of(id.ID(fmt.Sprint("acc_", i))).at = c.Now()
	}
	if len(v.kept) > maxPreviews {
		t.Errorf("%d accounts are kept", len(v.kept))
	}
}

// A text is broken between words where that is enough, and nothing of it is lost or repeated.
func TestSheet_broken(t *testing.T) {
	t.Parallel()
	s := &sheet{Fpdf: fpdf.New("P", "mm", "A4", "")}
	s.AddUTF8FontFromBytes(fontName, "", goregular.TTF)
	s.font("", normalSize)
	width := s.GetStringWidth("mmmm mmmm") // the text that just fits
	for text, want := range map[string][]string{
		"":                       {""},
		"mmmm mmmm":              {"mmmm mmmm"},
		"mmmm mmmm m":            {"mmmm mmmm", "m"},
		"m\nm":                   {"m", "m"},
		"ii mmmmmmmmmmmmmmmm ii": {"ii", "mmmmmmmm", "mmmmmmmm", "ii"},
	} {
		if got := s.broken(text, width); !slices.Equal(got, want) {
			t.Errorf("%q is broken into %q, want %q", text, got, want)
		}
	}
}
