package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// schema is the part of JSON Schema that the API's document uses.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Format     string            `json:"format"`
	Enum       []any             `json:"enum"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"` // only a reference and null
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
}

type parameter struct {
	Name   string `json:"name"`
	In     string `json:"in"`
	Schema schema `json:"schema"`
}

type content map[string]struct {
	Schema schema `json:"schema"`
}

type operation struct {
	ID          string                `json:"operationId"`
	Security    []map[string][]string `json:"security"`
	Parameters  []parameter           `json:"parameters"`
	RequestBody *struct {
		Content content `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content content `json:"content"`
	} `json:"responses"`

	method, path string
}

type document struct {
	Info struct {
		Description string `json:"description"`
	} `json:"info"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func load(t *testing.T) (document, map[string]operation) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	ops := map[string]operation{}
	for path, methods := range d.Paths {
		for method, o := range methods {
			o.method, o.path = strings.ToUpper(method), path
			ops[o.ID] = o
		}
	}
	return d, ops
}

func (o operation) takesKeys() bool {
	return slices.ContainsFunc(o.Security, func(s map[string][]string) bool { return s["bearer"] != nil })
}

// sample returns a value of the schema; a bare one has null or no optional values.
func (d document) sample(s schema, bare bool) any {
	if s.Ref != "" {
		return d.sample(d.Components.Schemas[filepath.Base(s.Ref)], bare)
	}
	if len(s.OneOf) > 0 && !bare {
		return d.sample(s.OneOf[0], bare)
	}
	kind, nullable := s.kind()
	switch {
	case bare && (nullable || len(s.OneOf) > 0):
		return nil
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Format == "date-time":
		return "2028-02-29T12:34:56.789Z"
	}
	switch kind {
	case "string":
		return "text"
	case "integer":
		return json.Number("7")
	case "number":
		if s.Format == "decimal" {
			return json.Number("9007199254.740993") // no float64 has it
		}
		return json.Number("0.5")
	case "boolean":
		return true
	case "array":
		return []any{d.sample(*s.Items, bare)}
	}
	o := map[string]any{}
	for name, p := range s.Properties {
		if !bare || slices.Contains(s.Required, name) {
			o[name] = d.sample(p, bare)
		}
	}
	if len(s.Properties) == 0 && !bare {
		o["free"] = json.Number("12.345678")
	}
	return o
}

func (s schema) kind() (kind string, nullable bool) {
	switch t := s.Type.(type) {
	case string:
		return t, false
	case []any:
		for _, k := range t {
			if k == "null" {
				nullable = true
			} else {
				kind = k.(string)
			}
		}
	}
	return kind, nullable
}

// told records the requests to a server that follows the document.
type told struct {
	mu    sync.Mutex
	op    string
	query map[string]bool
	body  map[string]bool
	sent  []string // bodies of answers
	wrong []string
}

func (w *told) fault(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

func (d document) serve(ops map[string]operation, w *told, bare bool) http.Handler {
	routes := map[string]*regexp.Regexp{}
	for id, o := range ops {
		routes[id] = regexp.MustCompile("^" + regexp.MustCompile(`\{\w+\}`).ReplaceAllString(o.path, "[^/]+") + "$")
	}
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		var o operation
		for id, route := range routes {
			// A path that is spelled out wins over one with a parameter.
			if ops[id].method == r.Method && route.MatchString(r.URL.Path) &&
				(o.ID == "" || !strings.Contains(ops[id].path, "{")) {
				o = ops[id]
			}
		}
		w.op = o.ID
		w.check(d, o, r)
		d.answer(out, r, o, w, bare)
	})
}

// check notes what is wrong with a request of the operation, and what it has.
func (w *told) check(d document, o operation, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer pk_live_test" {
		w.fault("%s: no key", o.ID)
	}
	if (r.Header.Get("Idempotency-Key") != "") != (r.Method == http.MethodPost && honorsKey(r.URL.Path)) {
		w.fault("%s %s: Idempotency-Key %q", r.Method, o.ID, r.Header.Get("Idempotency-Key"))
	}
	for name, values := range r.URL.Query() {
		i := slices.IndexFunc(o.Parameters, func(p parameter) bool { return p.In == "query" && p.Name == name })
		if i < 0 {
			w.fault("%s: no parameter %s", o.ID, name)
			continue
		}
		w.query[name] = true
		if len(values) != 1 || !fits(o.Parameters[i].Schema, values[0]) {
			w.fault("%s: %s=%s is no %v %s", o.ID, name, values, o.Parameters[i].Schema.Type,
				o.Parameters[i].Schema.Format)
		}
	}
	if o.RequestBody != nil {
		s := d.Components.Schemas[filepath.Base(o.RequestBody.Content["application/json"].Schema.Ref)]
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil ||
			r.Header.Get("Content-Type") != "application/json" {
			w.fault("%s: body: %v", o.ID, err)
		}
		for name := range body {
			if _, known := s.Properties[name]; !known {
				w.fault("%s: no field %s", o.ID, name)
			}
			w.body[name] = true
		}
	}
}

// answer answers a request of the operation with a sample.
func (d document) answer(out http.ResponseWriter, r *http.Request, o operation, w *told, bare bool) {
	for _, status := range []string{"200", "201", "202"} {
		answer, has := o.Responses[status]
		if !has {
			continue
		}
		code, _ := strconv.Atoi(status)
		switch s := answer.Content["application/json"].Schema; r.Header.Get("Accept") {
		case "application/json":
			body, err := json.Marshal(d.sample(s, bare))
			if err != nil {
				w.fault("%v", err)
			}
			w.sent = append(w.sent, string(body))
			out.Header().Set("Content-Type", "application/json")
			out.WriteHeader(code)
			_, _ = out.Write(body)
		case "text/event-stream":
			event, _ := json.Marshal(d.sample(d.Components.Schemas["Event"], bare))
			_, _ = fmt.Fprintf(out, "id: evt_2\ndata: %s\n\n", event)
		case "text/csv":
			_, _ = io.WriteString(out, "id,type\n")
		}
		return
	}
	w.fault("%s %s is no operation", r.Method, r.URL)
	out.WriteHeader(http.StatusNotFound)
}

func fits(s schema, text string) bool {
	kind, _ := s.kind()
	var err error
	switch {
	case s.Format == "date-time":
		_, err = time.Parse(time.RFC3339, text)
	case kind == "integer":
		_, err = strconv.Atoi(text)
	case kind == "number":
		_, err = strconv.ParseFloat(text, 64)
	case kind == "boolean":
		_, err = strconv.ParseBool(text)
	}
	return err == nil && text != ""
}
