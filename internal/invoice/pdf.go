package invoice

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// Sizes in millimeters, for A4.
const (
	margin      = 18.0
	bodyWidth   = 210.0 - 2*margin
	bottom      = 297.0 - 22.0
	lineHeight  = 4.6
	fontName    = "Go"
	normalSize  = 9.0
	smallSize   = 7.5
	headingSize = 11.0
)

var lineWidths = [...]float64{64, 38, 20, 24, bodyWidth - 64 - 38 - 20 - 24}

var movementWidths = [...]float64{38, 28, bodyWidth - 38 - 28 - 32, 32}

// sheet is a PDF that is being written.
type sheet struct {
	*fpdf.Fpdf
	head func() // repeats the head of a table on a new page; nil outside of tables
	// replaced is true once a character was written that the fonts do not have.
	replaced bool
}

// pdf writes the document twice: the first time counts the pages. The same document and the same
// version of this server give the same bytes, but they are kept, so nothing depends on that.
func (d Document) pdf() ([]byte, error) { return d.page().pdf(d.Seller.Name, d.IssuedAt) }

func (p page) pdf(author string, at time.Time) ([]byte, error) {
	first, pages, err := p.pdfWith(author, at, 0)
	if err != nil || first == nil {
		return nil, err
	}
	out, _, err := p.pdfWith(author, at, pages)
	return out, err
}

func (p page) pdfWith(author string, at time.Time, pages int) ([]byte, int, error) {
	s := &sheet{Fpdf: fpdf.New("P", "mm", "A4", "")}
	s.AddUTF8FontFromBytes(fontName, "", goregular.TTF)
	s.AddUTF8FontFromBytes(fontName, "B", gobold.TTF)
	s.SetCreationDate(at.UTC().Truncate(time.Second))
	s.SetModificationDate(at.UTC().Truncate(time.Second))
	s.SetCatalogSort(true)
	s.SetTitle(s.shown(p.Title+" "+p.Number), true)
	s.SetAuthor(s.shown(author), true)
	s.SetLang("en-US")
	s.SetMargins(margin, margin, margin)
	s.SetAutoPageBreak(false, 0)
	s.SetFooterFunc(func() {
		s.SetY(297 - 14)
		s.font("", smallSize)
		s.SetTextColor(90, 90, 90)
		s.CellFormat(bodyWidth*0.75, lineHeight, s.shown(p.Foot), "", 0, "L", false, 0, "")
		number := fmt.Sprintf("Page %d of %d", s.PageNo(), pages)
		s.CellFormat(bodyWidth*0.25, lineHeight, number, "", 0, "R", false, 0, "")
		s.SetTextColor(0, 0, 0)
	})
	s.AddPage()
	s.header(p)
	if !p.Receipt {
		s.lines(p.Lines)
	}
	s.pairs("Total", p.Totals)
	s.pairs("Prepaid balance", p.Balance)
	s.movements(p.Movements)
	for _, n := range p.Notes {
		s.shown(n) // also a note may have such characters
	}
	if s.replaced {
		others := "HTML and XML forms of the document have"
		if p.Receipt {
			others = "HTML form of the document has"
		}
		p.Notes = append(slices.Clip(p.Notes), "Characters that this document's font does not have are written as "+
			"[U+…]. The "+others+" them.")
	}
	s.notes(p.Notes)
	var b bytes.Buffer
	err := s.Output(&b)
	return b.Bytes(), s.PageCount(), err
}

func (s *sheet) font(style string, size float64) { s.SetFont(fontName, style, size) }

// need begins a new page if this one does not have so many millimeters left.
func (s *sheet) need(height float64) {
	if s.GetY()+height <= bottom {
		return
	}
	s.AddPage()
	if s.head != nil {
		s.head()
	}
}

func (s *sheet) heading(text string) {
	s.need(20) // with what it is the heading of
	s.Ln(4)
	s.font("B", headingSize)
	s.CellFormat(bodyWidth, 7, text, "", 1, "L", false, 0, "")
	s.font("", normalSize)
}

func (s *sheet) header(p page) {
	s.font("B", 18)
	s.MultiCell(bodyWidth, 9, s.shown(p.Title+" "+p.Number), "", "L", false)
	s.Ln(3)
	top := s.GetY()
	bottomOfBoth := top
	for i, party := range []struct {
		label string
		lines []string
	}{{"From", p.Seller}, {"To", p.Buyer}} {
		x := margin + float64(i)*bodyWidth/2
		s.SetXY(x, top)
		s.font("B", normalSize)
		s.CellFormat(bodyWidth/2-4, lineHeight, party.label, "", 2, "L", false, 0, "")
		s.font("", normalSize)
		for _, l := range party.lines {
			s.SetX(x)
			s.MultiCell(bodyWidth/2-4, lineHeight, s.shown(l), "", "L", false)
		}
		bottomOfBoth = max(bottomOfBoth, s.GetY())
	}
	s.SetXY(margin, bottomOfBoth+4)
	for _, f := range p.Facts {
		s.font("B", normalSize)
		s.CellFormat(38, lineHeight, f.Label, "", 0, "L", false, 0, "")
		s.font("", normalSize)
		s.MultiCell(bodyWidth-38, lineHeight, s.shown(f.Value), "", "L", false)
	}
}

// row writes the cells of a table's row. The first numbers of them are texts, which break.
func (s *sheet) row(widths []float64, texts int, cells ...string) {
	s.font("", smallSize)
	broken, most := make([][]string, len(cells)), 1
	for i, c := range cells {
		broken[i] = s.broken(s.shown(c), widths[i]-2)
		most = max(most, len(broken[i]))
	}
	const height = 3.8
	s.need(float64(most)*height + 1.5)
	s.font("", smallSize) // the head of a new page has another
	top := s.GetY()
	x := margin
	for i, lines := range broken {
		align := "R"
		if i < texts {
			align = "L"
		}
		for n, l := range lines {
			s.SetXY(x, top+0.7+float64(n)*height)
			s.CellFormat(widths[i], height, l, "", 0, align, false, 0, "")
		}
		x += widths[i]
	}
	y := top + float64(most)*height + 1.5
	s.SetDrawColor(210, 210, 210)
	s.Line(margin, y, margin+bodyWidth, y)
	s.SetXY(margin, y)
}

// broken returns the text in lines of that width. A word that is longer is broken, too.
func (s *sheet) broken(text string, width float64) []string {
	var all []string
	for part := range strings.SplitSeq(text, "\n") {
		line := ""
		for word := range strings.SplitSeq(part, " ") {
			if joined := strings.TrimPrefix(line+" "+word, " "); s.GetStringWidth(joined) <= width {
				line = joined
				continue
			}
			if line != "" {
				all = append(all, line)
			}
			line = ""
			for _, r := range word {
				if s.GetStringWidth(line+string(r)) > width && line != "" {
					all, line = append(all, line), ""
				}
				line += string(r)
			}
		}
		all = append(all, line)
	}
	return all
}

func (s *sheet) tableHead(widths []float64, texts int, labels ...string) {
	head := func() {
		s.font("B", smallSize)
		s.SetFillColor(238, 238, 238)
		for i, l := range labels {
			align := "R"
			if i < texts {
				align = "L"
			}
			s.CellFormat(widths[i], 6, l, "", 0, align, true, 0, "")
		}
		s.Ln(6)
	}
	head()
	s.head = head
}

func (s *sheet) lines(all []pageLine) {
	s.heading("Lines")
	if len(all) == 0 {
		s.CellFormat(bodyWidth, lineHeight, "Nothing was used.", "", 1, "L", false, 0, "")
		return
	}
	s.tableHead(lineWidths[:], 2, "Item", "Time (UTC)", "Hours", "Per hour", "Amount")
	for _, l := range all {
		name := l.Name
		if l.Detail != "" {
			name += "\n" + l.Detail
		}
		s.row(lineWidths[:], 2, name, l.Interval, l.Hours, l.Rate, l.Amount)
	}
	s.head = nil
}

func (s *sheet) movements(all []pageMovement) {
	if len(all) == 0 {
		return
	}
	s.heading("Payments, credits and adjustments")
	s.tableHead(movementWidths[:], 3, "Time (UTC)", "Type", "Description", "Amount")
	for _, m := range all {
		s.row(movementWidths[:], 3, m.At, m.Type, m.Description, m.Amount)
	}
	s.head = nil
}

func (s *sheet) pairs(title string, all []pair) {
	if len(all) == 0 {
		return
	}
	s.need(float64(len(all))*lineHeight + 16)
	s.heading(title)
	for _, p := range all {
		style := ""
		if p.Strong {
			style = "B"
		}
		s.font(style, normalSize)
		s.SetX(margin + bodyWidth - 110)
		s.CellFormat(75, lineHeight, s.shown(p.Label), "", 0, "L", false, 0, "")
		s.CellFormat(35, lineHeight, p.Value, "", 1, "R", false, 0, "")
	}
}

func (s *sheet) notes(all []string) {
	s.Ln(5)
	for _, n := range all {
		s.font("", smallSize)
		text := s.broken(s.shown(n), bodyWidth-2)
		s.need(float64(len(text))*3.8 + 2)
		for _, l := range text {
			s.CellFormat(bodyWidth, 3.8, l, "", 1, "L", false, 0, "")
		}
		s.Ln(1.5)
	}
}

// glyphs are the fonts' characters. Both have the same.
var glyphs = sync.OnceValues(func() (*sfnt.Font, error) { return sfnt.Parse(goregular.TTF) })

// shown returns the text with what the fonts do not have written as [U+4E2D], so that it is seen
// to be missing. The library itself would draw a box, or nothing.
func (s *sheet) shown(text string) string {
	font, err := glyphs()
	if err != nil {
		s.SetError(err)
		return ""
	}
	var b strings.Builder
	var buffer sfnt.Buffer
	for _, r := range norm.NFC.String(text) {
		if i, err := font.GlyphIndex(&buffer, r); r != '\n' && (err != nil || i == 0) {
			s.replaced = true
			_, _ = fmt.Fprintf(&b, "[U+%04X]", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
