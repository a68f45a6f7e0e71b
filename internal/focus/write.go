package focus

import (
	"encoding/csv"
	"io"
	"strings"
)

// Writer writes rows to a file.
type Writer struct {
	columns []column
	csv     *csv.Writer // nil for JSON lines
	out     io.Writer
}

// NewCSV returns a writer of CSV with a line of heads. It writes the heads at once.
func NewCSV(out io.Writer, v Version) (*Writer, error) {
	w := &Writer{columns: of(v), csv: csv.NewWriter(out), out: out}
	heads := make([]string, len(w.columns))
	for i, c := range w.columns {
		heads[i] = c.name
	}
	return w, w.csv.Write(heads)
}

// NewJSONLines returns a writer of JSON lines: an object for each row, with the columns in their
// order. Numbers are JSON numbers.
func NewJSONLines(out io.Writer, v Version) *Writer {
	return &Writer{columns: of(v), out: out}
}

// Write writes the rows.
func (w *Writer) Write(rows []Row) error {
	for i := range rows {
		if w.csv == nil {
			if _, err := io.WriteString(w.out, w.line(&rows[i])); err != nil {
				return err
			}
			continue
		}
		record := make([]string, len(w.columns))
		for j, c := range w.columns {
			record[j] = c.value(&rows[i])
			if c.free {
				record[j] = Harmless(record[j])
			}
		}
		if err := w.csv.Write(record); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) line(r *Row) string {
	var b strings.Builder
	for i, c := range w.columns {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		b.WriteString(`"` + c.name + `":`)
		switch v := c.value(r); {
		case v == "":
			b.WriteString("null")
		case c.kind == text:
			b.WriteString(encode(v))
		default:
			b.WriteString(v)
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if w.csv == nil {
		return nil
	}
	w.csv.Flush()
	return w.csv.Error()
}

// Harmless prevents spreadsheets from taking a text for a formula: such a text gets an apostrophe
// before it.
func Harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}
