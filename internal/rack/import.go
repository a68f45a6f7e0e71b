package rack

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
	"go.yaml.in/yaml/v3"
)

// maxFile is how many bytes a file of machines may have.
const maxFile = 4 << 20

// Row is a machine of a file.
type Row struct {
	MachineFields
	// Line is the line in the file where it begins.
	Line int

	wrong []apierr.FieldError
}

// columns are the names of the fields in a file with their places in MachineFields.
var columns = func() map[string]int {
	out, t := map[string]int{}, reflect.TypeFor[MachineFields]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out[name] = i
	}
	return out
}()

// ReadCSV parses a file whose first line names the fields. Lists and labels are apart by spaces,
// and
// a label is name=value. An empty cell is a field that is not given.
func ReadCSV(r io.Reader) ([]Row, error) {
	text, err := bounded(r)
	if err != nil {
		return nil, err
	}
	c := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	c.TrimLeadingSpace = true
	heads, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("read the first line, which names the fields: %w", err)
	}
	if err := checkNames(heads); err != nil {
		return nil, err
	}
	var rows []Row
	for {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := c.FieldPos(0)
		row := Row{Line: line}
		for i, cell := range cells {
			row.set(strings.TrimSpace(heads[i]), strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
}

// ReadYAML parses a file with a list `machines`, each with the fields by name.
func ReadYAML(r io.Reader) ([]Row, error) {
	text, err := bounded(r)
	if err != nil {
		return nil, err
	}
	var file struct {
		Machines []yaml.Node `yaml:"machines"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("the file must have a list `machines`: %w", err)
	}
	var rows []Row
	for _, node := range file.Machines {
		cells := map[string]yaml.Node{}
		if err := node.Decode(&cells); err != nil {
			return nil, fmt.Errorf("line %d: a machine must be fields with values: %w", node.Line, err)
		}
		if err := checkNames(slices.Sorted(maps.Keys(cells))); err != nil {
			return nil, fmt.Errorf("line %d: %w", node.Line, err)
		}
		row := Row{Line: node.Line}
		for _, name := range slices.Sorted(maps.Keys(cells)) {
			row.set(name, flat(cells[name]))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// flat returns a YAML value as it would be in a cell of a CSV file.
func flat(n yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		var parts []string
		for _, one := range n.Content {
			parts = append(parts, one.Value)
		}
		return strings.Join(parts, " ")
	case yaml.MappingNode:
		var parts []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, n.Content[i].Value+"="+n.Content[i+1].Value)
		}
		return strings.Join(parts, " ")
	}
	if n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

func bounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("the file is larger than %d MB", maxFile>>20)
	}
	return text, err
}

// checkNames returns all names that no field has, and those that are there twice.
func checkNames(names []string) error {
	var errs []error
	for i, name := range names {
		name = strings.TrimSpace(name)
		if _, known := columns[name]; !known {
			errs = append(errs, fmt.Errorf("there is no field %.80q", name))
		} else if slices.Contains(names[:i], name) {
			errs = append(errs, fmt.Errorf("the field %s is there twice", name))
		}
	}
	if len(errs) > 0 {
		errs = append(errs, fmt.Errorf("the fields are: %s", strings.Join(slices.Sorted(maps.Keys(columns)), ", ")))
	}
	return errors.Join(errs...)
}

// set parses a cell.
func (r *Row) set(name, text string) {
	if text == "" {
		return
	}
	field := reflect.ValueOf(&r.MachineFields).Elem().Field(columns[name])
	v := reflect.New(field.Type().Elem())
	switch to := v.Interface().(type) {
	case *string:
		*to = text
	case *int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			r.wrong = append(r.wrong, apierr.FieldError{Field: name, Message: "must be a whole number."})
		}
		*to = n
	case *bool:
		is, err := strconv.ParseBool(text)
		if err != nil {
			r.wrong = append(r.wrong, apierr.FieldError{Field: name, Message: "must be true or false."})
		}
		*to = is
	case *money.Micros:
		amount, err := money.Parse(text)
		if err != nil {
			r.wrong = append(r.wrong, apierr.FieldError{
				Field: name, Message: "must be an amount in US dollars, such as 12.5.",
			})
		}
		*to = amount
	case *[]string:
		*to = strings.Fields(text)
	case *map[string]string:
		*to = map[string]string{}
		for _, part := range strings.Fields(text) {
			label, value, is := strings.Cut(part, "=")
			if !is {
				r.wrong = append(r.wrong, apierr.FieldError{Field: name, Message: "must be like site=oslo tier=1."})
				break
			}
			(*to)[label] = value
		}
	}
	field.Set(v)
}

// Import enters all machines of a file or none. It returns INVALID_REQUEST with everything that is
// wrong with any of them, each fault with its line.
func (s *Service) Import(ctx context.Context, tx *db.Tx, rows []Row) ([]Machine, error) {
	others, err := s.fit(ctx, tx, len(rows))
	if err != nil {
		return nil, err
	}
	added, all := []Machine{}, []apierr.FieldError{}
	for i, row := range rows {
		m, wrong, err := s.draft(row.MachineFields, tx, others)
		if err != nil {
			return nil, err
		}
		for j, before := range added {
			(*faults)(&wrong).clash(m, before, fmt.Sprintf("line %d", rows[j].Line))
		}
		all = append(all, onLine(rows[i].Line, row.wrong, wrong)...)
		added = append(added, m)
	}
	if err := apierr.Invalid(all).OrNil(); err != nil {
		return nil, err
	}
	for _, m := range added {
		if err := s.insert(ctx, tx, m); err != nil {
			return nil, err
		}
	}
	return added, nil
}

// onLine returns the faults with their line. A cell that cannot be read is not judged again.
func onLine(line int, unread, wrong []apierr.FieldError) (out []apierr.FieldError) {
	for _, f := range unread {
		out = append(out, apierr.FieldError{Field: fmt.Sprintf("line %d, %s", line, f.Field), Message: f.Message})
	}
	for _, f := range wrong {
		if !slices.ContainsFunc(unread, func(u apierr.FieldError) bool { return u.Field == f.Field }) {
			out = append(out, apierr.FieldError{Field: fmt.Sprintf("line %d, %s", line, f.Field), Message: f.Message})
		}
	}
	return out
}
