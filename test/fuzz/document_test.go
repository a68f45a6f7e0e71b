package fuzz_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// document is the server's OpenAPI document.
type document struct {
	operations []*operation
	schemas    map[string]*schema
	codes      []string
	validator  validator.Validator
}

// operation is one operation.
type operation struct {
	ID         string `json:"operationId"`
	Method     string `json:"-"`
	Path       string `json:"-"`
	Parameters []parameter
	Body       *struct {
		Required bool
		Content  map[string]struct{ Schema *schema }
	} `json:"requestBody"`
	Responses map[string]struct{ Content map[string]any }
	Codes     map[string][]string `json:"x-codes"` // by status
	Security  []map[string]any
}

type parameter struct {
	Name, In string
	Schema   *schema
}

// schema is the part of JSON Schema that is used here.
type schema struct {
	Ref                                      string `json:"$ref"`
	Type                                     kinds
	Format                                   string
	Enum                                     []any
	MinLength, MaxLength, MinItems, MaxItems *int
	Minimum, Maximum, ExclusiveMinimum       *float64
	Pattern                                  string
	Properties                               map[string]*schema
	Required                                 []string
	Items                                    *schema
}

// kinds are the possible types of a value.
type kinds []string

func (k *kinds) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(k))
	}
	*k = make(kinds, 1)
	return json.Unmarshal(b, &(*k)[0])
}

func (s *schema) nullable() bool { return slices.Contains(s.Type, "null") }

// kind returns the type of a value that is not null.
func (s *schema) kind() string {
	for _, k := range s.Type {
		if k != "null" {
			return k
		}
	}
	return ""
}

func read(t testing.TB, text []byte) *document {
	t.Helper()
	var raw struct {
		Paths      map[string]map[string]*operation
		Components struct{ Schemas map[string]*schema }
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	d := &document{schemas: raw.Components.Schemas}
	for path, item := range raw.Paths {
		for method, o := range item {
			o.Method, o.Path = strings.ToUpper(method), path
			d.operations = append(d.operations, o)
		}
	}
	slices.SortFunc(d.operations, func(a, b *operation) int { return strings.Compare(a.ID, b.ID) })
	for _, c := range d.resolve(d.schemas["FailureBody"]).Properties["code"].Enum {
		d.codes = append(d.codes, c.(string))
	}
	if len(d.operations) < 30 || len(d.codes) < 20 {
		t.Fatalf("the document has %d operations and %d codes", len(d.operations), len(d.codes))
	}
	strict, err := closed(text)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := libopenapi.NewDocument(strict)
	if err != nil {
		t.Fatal(err)
	}
	v, faults := validator.NewValidator(parsed)
	if err := errors.Join(faults...); err != nil {
		t.Fatal(err)
	}
	d.validator = v
	return d
}

// closed returns the document with schemas that allow no undeclared fields, so that an
// undocumented field of an answer is an error.
func closed(text []byte) ([]byte, error) {
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	var shut func(any)
	shut = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				shut(item)
			}
		case map[string]any:
			if _, has := v["properties"].(map[string]any); has && v["type"] == "object" {
				v["additionalProperties"] = false
			}
			for _, item := range v {
				shut(item)
			}
		}
	}
	shut(tree)
	return json.Marshal(tree)
}

func (d *document) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	return s
}

// body returns the schema of the operation's body, nil if it has none.
func (d *document) body(o *operation) *schema {
	if o.Body == nil {
		return nil
	}
	return d.resolve(o.Body.Content["application/json"].Schema)
}

// needs reports whether the operation accepts that security scheme: bearer, apiKeyHeader or
// sessionCookie.
func (o *operation) needs(scheme string) bool {
	return slices.ContainsFunc(o.Security, func(s map[string]any) bool { _, is := s[scheme]; return is })
}

// once reports whether the operation honors an Idempotency-Key.
func (o *operation) once() bool {
	return slices.ContainsFunc(o.Parameters, func(p parameter) bool { return p.Name == "Idempotency-Key" })
}

// codesAt returns the operation's error codes for a status; declared is false if it may not answer
// with that status.
func (o *operation) codesAt(status int) (codes []string, declared bool) {
	codes = o.Codes[strconv.Itoa(status)]
	_, declared = o.Responses[strconv.Itoa(status)]
	return codes, declared || len(codes) > 0
}

// at returns the operation that serves a path, and the methods of the path; none if the path is
// unknown.
func (d *document) at(method string, segments []string) (found *operation, methods []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	literal := strings.Join(segments, "/") // /volumes/pricing takes precedence over /volumes/{id}
	there := slices.ContainsFunc(d.operations, func(o *operation) bool { return o.Path == literal })
	for _, o := range d.operations {
		if o.Path == literal || (!there && fits(o.Path, segments)) {
			methods = append(methods, o.Method)
			if o.Method == method {
				found = o
			}
		}
	}
	return found, methods
}

func fits(path string, segments []string) bool {
	want := strings.Split(path, "/")
	if len(want) != len(segments) {
		return false
	}
	for i, w := range want {
		if w != segments[i] && !(strings.HasPrefix(w, "{") && segments[i] != "") {
			return false
		}
	}
	return true
}
