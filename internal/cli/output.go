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

// formats are the values of --output.
var formats = []string{"table", "wide", "json", "yaml", "csv", "id"}

func (t *tool) checkFormat() error {
	if !slices.Contains(formats, t.format) {
		return usageError("--output must be one of %s, not %q.", strings.Join(formats, ", "), t.format)
	}
	return nil
}

// formatOf finds the output format in a command line that could not be parsed, so that the error
// has that format.
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

// machineOutput reports whether the output is JSON, YAML or CSV.
func (t *tool) machineOutput() bool {
	return t.format == "json" || t.format == "yaml" || t.format == "csv"
}

// listing defines how a list of T is printed.
type listing[T any] struct {
	// id returns what -o id prints.
	id      func(T) string
	columns []column[T]
	// none is printed on standard error for an empty table.
	none string
}

// list prints items in the selected format.
func list[T any](t *tool, l listing[T], items []T) error {
	if items == nil {
		items = []T{} // [] in JSON, not null
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
			row[i] = escapeFormula(row[i])
		}
		_ = w.Write(row)
	}
	w.Flush()
	return w.Error()
}

// escapeFormula keeps spreadsheets from evaluating a cell as a formula. Numbers are unchanged.
func escapeFormula(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return cell
	}
	if _, err := strconv.ParseFloat(cell, 64); err == nil {
		return cell
	}
	return "'" + cell
}

// shown returns the columns of a table: without wide columns unless wide is set, and without
// columns that are empty in every row.
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

// table prints rows under their headings. A narrow terminal gets fewer columns instead of cut-off
// ids, so the most important columns belong on the left.
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
	noBorders := table.New().Border(lipgloss.Border{}).BorderTop(false).BorderBottom(false).BorderLeft(false).
		BorderRight(false).BorderHeader(false).BorderColumn(false).BorderRow(false)
	return noBorders.Wrap(false).Headers(heads...).Rows(rows...).StyleFunc(func(row, column int) lipgloss.Style {
		s := style(row, column)
		switch {
		case row == table.HeaderRow:
			s = s.Bold(true)
		case row >= 0:
			s = s.Inherit(statusStyle(rows[row][column]))
		}
		if column < len(heads)-1 {
			s = s.PaddingRight(2)
		}
		return s
	}).Render()
}

// statusStyle returns the color of a status.
func statusStyle(status string) lipgloss.Style {
	color := ""
	switch status {
	case "running", "available", "attached", "up", "succeeded", "enabled", "delivered":
		color = "2"
	case "pending", "deploying", "terminating", "stopped", "creating", "attaching", "detaching", "deleting", "degraded",
		"sold out":
		color = "3"
	case "failed", "interrupted", "down", "paused":
		color = "1"
	case "terminated", "deleted":
		color = "8"
	default:
		return lipgloss.NewStyle()
	}
	return lipgloss.NewStyle().Foreground(lipgloss.Color(color))
}

// print writes a line of output, in color if the terminal supports it and NO_COLOR is not set.
func (t *tool) print(line string) error {
	w := colorprofile.NewWriter(t.Out, t.Env)
	_, err := fmt.Fprintln(w, line)
	return err
}

// row is a labeled line in the description of an object.
type row struct{ name, value string }

// show prints one object: v for programs, the rows for users. Rows without a value are left out.
func show(t *tool, id string, v any, rows ...row) error {
	switch t.format {
	case "id":
		_, err := fmt.Fprintln(t.Out, clean(id))
		return err
	case "json", "yaml":
		return t.encode(v)
	case "csv":
		return errCSVForOne
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
			if err := t.print(fmt.Sprintf("%-*s  %s", width, name, statusStyle(line).Render(line))); err != nil {
				return err
			}
		}
	}
	return nil
}

// encode writes v with the API's field names, in JSON or YAML.
func (t *tool) encode(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if t.format != "yaml" {
		_, err = fmt.Fprintf(t.Out, "%s\n", b)
		return err
	}
	var n yaml.Node // JSON is YAML; a node keeps the field order and every digit
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	blockStyle(&n)
	e := yaml.NewEncoder(t.Out)
	e.SetIndent(2)
	return e.Encode(&n)
}

// blockStyle switches a node from brackets to block style.
func blockStyle(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, below := range n.Content {
		blockStyle(below)
	}
}

// clean removes control characters except line feeds, so that text from the server cannot move the
// cursor or color the screen.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, s)
}

// hourly formats a price per hour.
func hourly(m client.Money) string { return m.String() + "/hr" }

// perGPU formats a divided price per hour: rounded to cents if it is at least 10 cents.
func perGPU(m client.Money) string {
	if m >= 10*client.Cent {
		m = (m + client.Cent/2) / client.Cent * client.Cent
	}
	return hourly(m)
}

// total formats an amount with two decimals and thousands separators. Programs get every decimal.
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

// localTime formats a time in the user's time zone.
func localTime(at time.Time) string { return at.Local().Format("2006-01-02 15:04 MST") }

// rfc3339 formats a time for programs.
func rfc3339(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// duration formats a length of time: "42 s", "20 min", "3 h", "3 h 5 min" or "4 days". It rounds
// down.
func duration(d time.Duration) string {
	switch minutes := int(d.Minutes()); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", minutes)
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", minutes/60/24)
	case minutes%60 == 0:
		return fmt.Sprintf("%d h", minutes/60)
	default:
		return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
	}
}

// limit formats a maximum runtime to the minute, however long it is: "20 min", "71 h" or "71 h 5
// min".
func limit(minutes int) string {
	switch hours, rest := minutes/60, minutes%60; {
	case hours == 0:
		return fmt.Sprintf("%d min", rest)
	case rest == 0:
		return fmt.Sprintf("%d h", hours)
	default:
		return fmt.Sprintf("%d h %d min", hours, rest)
	}
}

// valueOr returns what p points to, or otherwise if p is nil.
func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// optionalRFC3339 is rfc3339 for what may not have happened.
func optionalRFC3339(at *time.Time) string {
	if at == nil {
		return ""
	}
	return rfc3339(*at)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
