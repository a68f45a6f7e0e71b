package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/money"
	"github.com/danielgtaylor/huma/v2"
)

// MaxBody is the largest body of a request, in bytes.
const MaxBody = 1 << 20

// input describes how a struct is filled from a request. Its fields with a `query` or `path` tag
// are parameters, a field named Body is the JSON body.
type input struct {
	registry huma.Registry
	foreign  map[string]string
	params   []param
	queries  []string // names, for suggestions
	body     []int    // index of Body, nil where the call takes none
	schema   *huma.Schema
	required bool                         // the body has a required field
	aliases  map[string]string            // other names of the body's fields, and the fields' own
	synonyms map[string]map[string]string // by field of the body, other words for its values
	anyQuery bool                         // unknown parameters are ignored
	form     bool                         // the body may be a form
}

type param struct {
	in, name string
	index    []int
	schema   *huma.Schema
	synonyms map[string]string // other words for values
	form     *regexp.Regexp    // of a path's parameter
}

// Checker is an input with rules that span several fields. They are checked even where other fields
// are invalid.
type Checker interface{ Check() []apierr.FieldError }

// newInput reads the tags of t, which must be a struct.
func newInput(registry huma.Registry, foreign map[string]string, t reflect.Type) *input {
	in := &input{registry: registry, foreign: foreign}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		if f.Name == "Body" {
			in.body, in.schema = f.Index, registry.Schema(
				f.Type,
				true,
				t.Name(),
			) // an unnamed type: its input gives it the name
			s := in.resolve(in.schema)
			in.required = len(s.Required) > 0
			in.readNames(f.Type, s)
			continue
		}
		for _, where := range []string{"path", "query"} {
			name := f.Tag.Get(where)
			if name == "" {
				continue
			}
			p := param{in: where, name: name, index: f.Index, form: idForm}
			p.schema = huma.SchemaFromField(registry, f, "")
			if f.Tag.Get("form") == "slug" {
				p.form = slugForm
			}
			p.schema.Nullable = false // a pointer means "may be left out"
			p.synonyms = readSynonyms(f, p.schema)
			enumerate(p.schema, f.Type)
			in.params = append(in.params, p)
			if where == "query" {
				in.queries = append(in.queries, name)
			}
		}
	}
	slices.Sort(in.queries)
	return in
}

// readNames reads the other names that the tag `aka` gives to fields of the body. The field's
// description has them. They are no properties of the schema, because generators would make one
// identifier of ssh_public_key and sshPublicKey.
func (in *input) readNames(t reflect.Type, s *huma.Schema) {
	in.aliases, in.synonyms = map[string]string{}, map[string]map[string]string{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if words := readSynonyms(f, s.Properties[name]); words != nil {
			in.synonyms[name] = words
		}
		other := f.Tag.Get("aka")
		if other == "" {
			continue
		}
		in.aliases[other] = name
		p := s.Properties[name]
		p.Description = strings.TrimSpace(p.Description + " " + other + " is accepted, too.")
	}
}

// readSynonyms reads the tag `means`, such as DEDICATED=VM: other words for the field's values,
// separated by commas. The description has them. They are no values of the schema, because no
// response has them.
func readSynonyms(f reflect.StructField, s *huma.Schema) (words map[string]string) {
	for pair := range strings.SplitSeq(f.Tag.Get("means"), ",") {
		word, value, is := strings.Cut(pair, "=")
		if !is {
			continue
		}
		if words == nil {
			words = map[string]string{}
		}
		words[word] = value
		s.Description = strings.TrimSpace(s.Description + " " + word + " means " + value + ".")
	}
	return words
}

// rename gives the fields of a body the names that they have in the schema, and returns those that
// the client wrote.
func (in *input) rename(object map[string]any) (wrote map[string]string, invalid []apierr.FieldError) {
	wrote = map[string]string{}
	for _, other := range slices.Sorted(mapKeys(in.aliases)) {
		value, given := object[other]
		if !given {
			continue
		}
		name := in.aliases[other]
		if _, both := object[name]; both {
			invalid = append(
				invalid,
				apierr.FieldError{Field: other, Message: "is another name of " + name + "; give one of them."},
			)
		} else {
			object[name], wrote[name] = value, other
		}
		delete(object, other)
	}
	for name, words := range in.synonyms {
		if text, is := object[name].(string); is && words[text] != "" {
			object[name] = words[text]
		}
	}
	return wrote, invalid
}

func (in *input) resolve(s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return in.registry.SchemaFromRef(s.Ref)
	}
	return s
}

// A parameter of a path is an id. With the tag form:"slug" it is a slug, as provider.ValidSlug
// says.
var (
	idForm   = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
	slugForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
)

// pathForm is the form of a parameter of the path.
func (in *input) pathForm(name string) *regexp.Regexp {
	for _, p := range in.params {
		if p.in == "path" && p.name == name {
			return p.form
		}
	}
	return idForm
}

// decoded is what could be understood of a request.
type decoded struct {
	invalid []apierr.FieldError
	// wrote are the names that the client gave to fields of the body which have another name.
	wrote map[string]string
	// canonical is the body with sorted names and without spaces, for comparing requests.
	canonical []byte
}

// decode fills the struct that into points to. Errors of the request's form are collected beside
// what could be understood. The error it returns is for what leaves nothing to understand: too
// large, wrong media type.
func (in *input) decode(w http.ResponseWriter, r *http.Request, into any) (decoded, error) {
	var d decoded
	v := reflect.ValueOf(into).Elem()
	d.invalid = in.query(r, v)
	body, err := in.readBody(w, r)
	if err != nil {
		return d, err
	}
	found := in.fillBody(body, v, &d)
	d.invalid = append(d.invalid, found...)
	if c, ok := into.(Checker); ok {
		more := c.Check()
		if slices.ContainsFunc(d.invalid, func(at apierr.FieldError) bool { return inBody(at.Field) }) {
			// Invalid fields are not in the struct. They were sent nevertheless.
			more = slices.DeleteFunc(more, func(at apierr.FieldError) bool { return at.Field == "body" })
		}
		if f, is := errors.AsType[*apierr.Error](merged(d.invalid, nil, apierr.Invalid(more).OrNil())); is {
			d.invalid = f.Fields()
		}
	}
	return d, nil
}

// asWritten gives fields the names that the client wrote.
func (d *decoded) asWritten(fields []apierr.FieldError) {
	for i, f := range fields {
		if other := d.wrote[root(f.Field)]; other != "" {
			fields[i].Field = other + strings.TrimPrefix(f.Field, root(f.Field))
		}
	}
}

// inWrittenNames is what a service found wrong with a request, in the names that the client wrote.
func (d *decoded) inWrittenNames(err error) error {
	f, is := errors.AsType[*apierr.Error](err)
	if len(d.wrote) == 0 || !is || f.Code != apierr.InvalidRequest || len(f.Fields()) == 0 {
		return err
	}
	fields := slices.Clone(f.Fields())
	d.asWritten(fields)
	return apierr.Invalid(fields).OrNil()
}

// inBody reports whether the field is one of the body's.
func inBody(field string) bool {
	return field != "query" && !strings.HasPrefix(field, "query.") && !strings.HasPrefix(field, "header.")
}

// readBody returns the body, of which there may be none.
func (in *input) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, is := errors.AsType[*http.MaxBytesError](err); is {
		return nil, apierr.New(apierr.RequestTooLarge, "The request body exceeds 1 MiB (1,048,576 bytes).")
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, apierr.New(apierr.RequestTimeout, "The request body did not arrive in time. Send it again.")
	case err != nil:
		invalid := apierr.Invalid([]apierr.FieldError{{Field: "body", Message: "is incomplete; send all of it."}})
		invalid.Cause = err
		return nil, invalid
	case len(body) == 0 && in.form:
		return []byte("{}"), nil // a form without parameters
	case len(body) == 0:
		return nil, nil
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, apierr.New(apierr.UnsupportedMediaType, "Send the body without Content-Encoding.")
	}
	// A missing type means JSON. Form posts, which browsers send across sites, always have one.
	if given := r.Header.Get("Content-Type"); given != "" {
		media, params, err := mime.ParseMediaType(given)
		if in.form && err == nil && media == formMedia {
			return in.formObject(body)
		}
		if charset, has := params["charset"]; err != nil || media != "application/json" ||
			(has && !strings.EqualFold(charset, "utf-8")) {
			return nil, apierr.New(
				apierr.UnsupportedMediaType,
				"Send the body as UTF-8 JSON with the header Content-Type: application/json.",
			)
		}
	}
	return body, nil
}

func (in *input) query(r *http.Request, v reflect.Value) []apierr.FieldError {
	c := checker{registry: in.registry, foreign: in.foreign}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		c.add("query", "is not a valid query string: use %%XX for special characters and & between parameters.")
	}
	for _, name := range slices.Sorted(mapKeys(values)) {
		if !slices.Contains(in.queries, name) {
			if in.anyQuery {
				continue
			}
			c.add("query."+Shown(name), "%s", c.unknown("query parameter", name, in.queries))
		} else if n := len(values[name]); n > 1 && !in.lists(name) {
			c.add("query."+name, "is given %d times; send it once.", n)
			delete(values, name)
		}
	}
	for _, p := range in.params {
		text, given := "", false
		if p.in == "path" {
			// What has not the form is not sent to the database: the service answers NOT_FOUND for
			// "".
			if text := r.PathValue(p.name); p.form.MatchString(text) {
				v.FieldByIndex(p.index).SetString(text)
			}
			continue
		}
		if list := values[p.name]; len(list) > 0 {
			text, given = strings.Join(list, ","), true // a list may have commas, several parameters, or both
		}
		// An empty text filters nothing: forms send such parameters.
		if !given ||
			(text == "" && (p.schema.Type == huma.TypeArray ||
				p.schema.Type == huma.TypeString && p.schema.Enum == nil && p.schema.Format != "date-time")) {
			continue
		}
		if err := setParam(&c, p, v.FieldByIndex(p.index), text); err != nil {
			c.add("query."+p.name, "%s", err.Error())
		}
	}
	return c.invalid
}

// lists reports whether a query parameter takes a list of values.
func (in *input) lists(name string) bool {
	return slices.ContainsFunc(in.params, func(p param) bool {
		return p.in == "query" && p.name == name && p.schema.Type == huma.TypeArray
	})
}

// setParam checks a parameter's text as if it stood in a JSON body, and sets the field.
func setParam(c *checker, p param, field reflect.Value, text string) error {
	path := "query." + p.name
	if !isUTF8(text) {
		c.add(path, "is not valid UTF-8.")
		return nil
	}
	var value any = text
	raw := text
	switch p.schema.Type {
	case huma.TypeBoolean:
		raw = strings.ToLower(text) // Python writes True
		if raw != "true" && raw != "false" {
			c.add(path, "must be true or false.")
			return nil
		}
		value = raw == "true"
	case huma.TypeInteger, huma.TypeNumber:
		if !isNumber(text) {
			c.add(path, "must be a number.")
			return nil
		}
		value = json.Number(text)
	case huma.TypeArray:
		items := []any{}
		for _, item := range strings.Split(text, ",") {
			items = append(items, spelled(p.schema.Items, p.value(item)))
		}
		value, raw = items, string(Encode(items))
	default:
		if p.schema.Format == "date-time" && strings.Contains(text, " ") {
			c.add(path, "must be a time such as 2027-01-31T18:30:00Z; write the plus sign of an offset as %%2B.")
			return nil
		}
		value = spelled(p.schema, p.value(text))
		raw = string(Encode(value))
	}
	before, schema := len(c.invalid), p.schema
	if items, is := value.([]any); is && len(items) == 1 { // its errors need no position
		value, schema = items[0], p.schema.Items
	}
	if c.check(schema, value, path); len(c.invalid) > before {
		return nil
	}
	if t, is := clock.ParseRFC3339(text); is && p.schema.Format == "date-time" {
		raw = string(Encode(t))
	}
	if err := json.Unmarshal([]byte(raw), field.Addr().Interface()); err != nil {
		return errors.New("has a value that this operation does not accept.")
	}
	return nil
}

// value returns the parameter's value that the text is another word for, or the text. A leading
// hyphen, as in sort keys, is kept.
func (p param) value(text string) string {
	plain, down := strings.CutPrefix(text, "-")
	for word, value := range p.synonyms {
		switch {
		case !strings.EqualFold(word, plain):
		case down:
			return "-" + value
		default:
			return value
		}
	}
	return text
}

// spelled returns the schema's own spelling of one of its values: filters ignore case.
func spelled(s *huma.Schema, text string) string {
	for _, word := range s.Enum {
		if w, is := word.(string); is && strings.EqualFold(w, text) {
			return w
		}
	}
	return text
}

func isUTF8(s string) bool { return strings.ToValidUTF8(s, "") == s }

// isNumber reports whether the text is a JSON number.
func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || (s[0] >= '0' && s[0] <= '9')) && json.Valid([]byte(s))
}

// fillBody checks the whole body and sets every top-level field that is valid.
func (in *input) fillBody(body []byte, v reflect.Value, d *decoded) []apierr.FieldError {
	if len(body) == 0 {
		if in.required {
			return []apierr.FieldError{{Field: "body", Message: "is missing; send a JSON object."}}
		}
		return nil
	}
	tree, found := parse(body)
	if tree == nil && len(found) > 0 {
		return found
	}
	d.canonical = Encode(tree)
	c := checker{registry: in.registry, foreign: in.foreign, invalid: found}
	if in.body == nil {
		c.check(&huma.Schema{Type: huma.TypeObject}, tree, "")
		return c.invalid
	}
	object, _ := tree.(map[string]any)
	var twice []apierr.FieldError
	d.wrote, twice = in.rename(object)
	c.invalid = append(c.invalid, twice...)
	c.check(in.schema, tree, "")
	invalid := map[string]bool{}
	for _, f := range c.invalid {
		invalid[root(f.Field)] = true
	}
	d.asWritten(c.invalid)
	into := v.FieldByIndex(in.body).Addr().Interface()
	properties := in.resolve(in.schema).Properties
	for name, value := range object {
		if invalid[name] || properties[name] == nil {
			continue
		}
		one := Encode(map[string]any{name: in.normalized(properties[name], value)})
		if err := json.Unmarshal(one, into); err != nil {
			message := "has a value that this operation does not accept."
			if errors.Is(err, money.ErrFormat) {
				message = "must be an amount in US dollars with at most six decimals."
			}
			c.add(name, "%s", message)
		}
	}
	return c.invalid
}

// SetOrNull is a body field that can be set, set to null, or left out.
type SetOrNull[T any] struct {
	Given bool
	Value *T
}

// UnmarshalJSON is called for null too, and not at all when the field is left out.
func (s *SetOrNull[T]) UnmarshalJSON(b []byte) error {
	s.Given = true
	if bytes.Equal(b, []byte("null")) {
		s.Value = nil
		return nil
	}
	return json.Unmarshal(b, &s.Value)
}

// Schema is that of T, or null.
func (SetOrNull[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), false, "")
	if s.Type == huma.TypeObject || s.Type == "" {
		panic(fmt.Sprintf("rest: SetOrNull of %s", reflect.TypeFor[T]()))
	}
	s.Nullable = true
	return &s
}
