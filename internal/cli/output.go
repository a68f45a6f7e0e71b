package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/billetcloud/billet/client"
	"github.com/charmbracelet/colorprofile"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// formats are how billet answers.
var formats = []string{"table", "wide", "json", "yaml", "csv", "id"}

func (t *tool) checkFormat() error {
	if !slices.Contains(formats, t.format) {
		return usage("-o %q is none of %s.", t.format, strings.Join(formats, ", "))
	}
	return nil
}

// formatOf finds the format in a command line that could not be read to its end, so that a program can read even what is wrong with it.
func formatOf(args []string, format string) string {
	for i, arg := range args {
		value := ""
		switch {
		case arg == "--":
			return format
		case (arg == "-o" || arg == "--output") && i+1 < len(args):
			value = args[i+1]
		case strings.HasPrefix(arg, "--output="):
			value = strings.TrimPrefix(arg, "--output=")
		case strings.HasPrefix(arg, "-o"):
			value = strings.TrimPrefix(strings.TrimPrefix(arg, "-o"), "=")
		}
		if slices.Contains(formats, value) {
			format = value
		}
	}
	return format
}

// forPrograms tells whether a program reads the answer.
func (t *tool) forPrograms() bool {
	return t.format == "json" || t.format == "yaml" || t.format == "csv"
}

// column is one of a table. T is what a row is of.
type column[T any] struct {
	// name is the API's name of the field, for CSV; empty for what only people see. head is what they read above it.
	name, head string
	// text is the cell for people; raw is it for programs, text where it is nil.
	text, raw func(T) string
	// wide has it in -o wide and csv only; right puts numbers under each other.
	wide, right bool
}

// listing is how things of one kind are listed.
type listing[T any] struct {
	// id is what -o id prints.
	id      func(T) string
	columns []column[T]
	// none is said on standard error where a table has no rows.
	none string
}

// list answers with several things.
func list[T any](t *tool, l listing[T], items []T) error {
	if items == nil {
		items = []T{} // [] in JSON, and not null
	}
	switch t.format {
	case "id":
		for _, item := range items {
			if _, err := fmt.Fprintln(t.Out, clean(l.id(item))); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return l.csv(t.Out, items)
	case "json", "yaml":
		return t.encode(items)
	}
	if len(items) == 0 {
		t.note("%s", l.none)
		return nil
	}
	return l.table(t, items)
}

func (l listing[T]) csv(out io.Writer, items []T) error {
	columns := slices.DeleteFunc(slices.Clone(l.columns), func(c column[T]) bool { return c.name == "" })
	w := csv.NewWriter(out)
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.name
	}
	_ = w.Write(row) // Flush keeps the error
	for _, item := range items {
		for i, c := range columns {
			if row[i] = c.text(item); c.raw != nil {
				row[i] = c.raw(item)
			}
			row[i] = noFormula(row[i])
		}
		_ = w.Write(row)
	}
	w.Flush()
	return w.Error()
}

// noFormula keeps spreadsheets from taking a text for a formula. Numbers stay as they are.
func noFormula(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return cell
	}
	if _, err := strconv.ParseFloat(cell, 64); err == nil {
		return cell
	}
	return "'" + cell
}

// shown are the columns of a table: without those for -o wide, and without those that have nothing
// to say of any row.
func (l listing[T]) shown(items []T, wide bool) []column[T] {
	return slices.DeleteFunc(slices.Clone(l.columns), func(c column[T]) bool {
		return c.wide && !wide || !slices.ContainsFunc(items, func(item T) bool { return c.text(item) != "" })
	})
}

func (l listing[T]) table(t *tool, items []T) error {
	columns := l.shown(items, t.format == "wide")
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.head
	}
	rows := make([][]string, len(items))
	for r, item := range items {
		rows[r] = make([]string, len(columns))
		for i, c := range columns {
			rows[r][i] = strings.ReplaceAll(clean(c.text(item)), "\n", " ")
		}
	}
	return t.table(heads, rows, func(row, i int) lipgloss.Style {
		style := lipgloss.NewStyle()
		if columns[i].right {
			style = style.Align(lipgloss.Right)
		}
		return style
	})
}

// table prints rows under their heads. A terminal that is too narrow gets fewer columns, since half an id is of no use: put what matters most to the left.
func (t *tool) table(heads []string, rows [][]string, style func(row, column int) lipgloss.Style) error {
	text := render(heads, rows, style)
	if width, _, err := term.GetSize(int(t.Out.Fd())); err == nil && t.format != "wide" {
		for shown := len(heads) - 1; shown >= 2 && lipgloss.Width(text) > width; shown-- {
			narrow := make([][]string, len(rows))
			for i := range rows {
				narrow[i] = rows[i][:shown]
			}
			text = render(heads[:shown], narrow, style)
		}
	}
	for line := range strings.Lines(text) {
		if err := t.print(strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func render(heads []string, rows [][]string, style func(row, column int) lipgloss.Style) string {
	return table.New().Border(lipgloss.Border{}).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderHeader(false).BorderColumn(false).BorderRow(false).
		Wrap(false).Headers(heads...).Rows(rows...).StyleFunc(func(row, column int) lipgloss.Style {
		s := style(row, column)
		switch {
		case row == table.HeaderRow:
			s = s.Bold(true)
		case row >= 0:
			s = s.Inherit(wordStyle(rows[row][column]))
		}
		if column < len(heads)-1 {
			s = s.PaddingRight(2)
		}
		return s
	}).Render()
}

// wordStyle colours the words for a state.
func wordStyle(word string) lipgloss.Style {
	colour := ""
	switch word {
	case "running", "available", "attached", "up", "succeeded", "enabled", "delivered":
		colour = "2"
	case "pending", "deploying", "terminating", "stopped", "creating", "attaching", "detaching", "deleting", "degraded", "sold out":
		colour = "3"
	case "failed", "interrupted", "down", "paused":
		colour = "1"
	case "terminated", "deleted":
		colour = "8"
	default:
		return lipgloss.NewStyle()
	}
	return lipgloss.NewStyle().Foreground(lipgloss.Color(colour))
}

// print writes a line of the answer, with colours only where the terminal has them and NO_COLOR does not forbid them.
func (t *tool) print(line string) error {
	w := colorprofile.NewWriter(t.Out, t.Env)
	_, err := fmt.Fprintln(w, line)
	return err
}

// row is a line of what is known of one thing.
type row struct{ name, value string }

// show answers with one thing: v for programs, the rows for people. A row without a value is left out.
func show(t *tool, id string, v any, rows ...row) error {
	switch t.format {
	case "id":
		_, err := fmt.Fprintln(t.Out, clean(id))
		return err
	case "json", "yaml":
		return t.encode(v)
	case "csv":
		return usage("-o csv is for lists; take json or yaml for one thing.")
	}
	width := 0
	for _, r := range rows {
		if r.value != "" {
			width = max(width, len(r.name))
		}
	}
	for _, r := range rows {
		if r.value == "" {
			continue
		}
		for i, line := range strings.Split(clean(r.value), "\n") {
			name := r.name
			if i > 0 {
				name = ""
			}
			if err := t.print(fmt.Sprintf("%-*s  %s", width, name, wordStyle(line).Render(line))); err != nil {
				return err
			}
		}
	}
	return nil
}

// encode writes v as the API would, in JSON or YAML.
func (t *tool) encode(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if t.format != "yaml" {
		_, err = fmt.Fprintf(t.Out, "%s\n", b)
		return err
	}
	var n yaml.Node // JSON is YAML; a node keeps the order of the fields and every digit
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	blocks(&n)
	e := yaml.NewEncoder(t.Out)
	e.SetIndent(2)
	return e.Encode(&n)
}

// blocks writes a node on lines of its own instead of in brackets.
func blocks(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, below := range n.Content {
		blocks(below)
	}
}

// clean takes control characters away, so that no text of the server can move the cursor or colour the screen. Line ends stay.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, s)
}

// hourly is a price for people.
func hourly(m client.Money) string { return m.String() + "/h" }

// perGPU is a price by the hour that was divided, and so is rounded to the cent where it is not
// smaller than a dime.
func perGPU(m client.Money) string {
	if m >= 10*client.Cent {
		m = (m + client.Cent/2) / client.Cent * client.Cent
	}
	return hourly(m)
}

// total is an amount for people: cents, and commas between thousands. Programs get every decimal.
func total(m client.Money) string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	if m > 0 && m < client.Cent/2 {
		return sign + "<$0.01"
	}
	cents := (m + client.Cent/2) / client.Cent
	whole := strconv.FormatInt(int64(cents/100), 10)
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	return fmt.Sprintf("%s$%s.%02d", sign, whole, int64(cents%100))
}

// when is a time for people, in their zone.
func when(at time.Time) string { return at.Local().Format("2006-01-02 15:04 MST") }

// stamp is a time for programs.
func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// since is how long ago something was, roughly.
func since(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// or is what a pointer points to, or another value.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
