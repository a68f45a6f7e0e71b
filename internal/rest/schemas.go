package rest

import (
	"reflect"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/money"
	"github.com/danielgtaylor/huma/v2"
)

// successSchema returns a reference to the named schema of the route's envelope: generators make
// one type of it, whatever the number of operations that return it.
func (rr *Router) successSchema(rt *Route) *huma.Schema {
	if rt.out == nil || rt.out.Ref == "" {
		panic("rest: the response of " + rt.ID + " needs a type with a name")
	}
	if rt.OAuth {
		return rt.out
	}
	name := strings.TrimPrefix(rt.out.Ref, schemaPrefix)
	e := &huma.Schema{
		Type: huma.TypeObject, Required: []string{"success", "data"},
		Properties: map[string]*huma.Schema{
			"success": {Type: huma.TypeBoolean, Enum: []any{true}},
			"data":    rt.out,
		},
	}
	if rt.list {
		name += "Page"
		e.Properties["data"] = &huma.Schema{Type: huma.TypeArray, Items: rt.out}
		e.Properties["pagination"] = rr.doc.Components.Schemas.Schema(reflect.TypeFor[Pagination](), true, "")
		e.Required = append(e.Required, "pagination")
		if rt.Warns {
			e.Properties["warnings"] = &huma.Schema{
				Type:        huma.TypeArray,
				Items:       rr.doc.Components.Schemas.Schema(reflect.TypeFor[apierr.FieldError](), true, ""),
				Description: "Filters that match nothing because the value is unknown. Omitted if there are none.",
			}
		}
	} else {
		name += "Envelope"
	}
	rr.doc.Components.Schemas.Map()[name] = e
	return &huma.Schema{Ref: schemaPrefix + name}
}

// finishSchemas completes what the library does not derive: nullable references, and the values of
// enumerations.
func (rr *Router) finishSchemas() {
	registry := rr.doc.Components.Schemas
	for name, schema := range registry.Map() {
		t := registry.TypeFromRef(schemaPrefix + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := schema.Properties[name]
			if p == nil {
				continue
			}
			nullable := f.Type.Kind() == reflect.Pointer && !strings.Contains(options, "omitempty")
			// The alias of money loses the pointer that means "may be null".
			if nullable && f.Type == reflect.TypeFor[*money.Micros]() {
				p.Nullable = true
			}
			if nullable && p.Ref != "" { // a reference cannot be nullable by itself
				schema.Properties[name] = &huma.Schema{
					Description: p.Description, OneOf: []*huma.Schema{{Ref: p.Ref}, {Type: "null"}},
				}
			}
			enumerate(p, f.Type)
		}
	}
}

// closeRequests makes the schemas of requests refuse fields that they do not name. Those of
// responses allow them: a response may get a new field at any time.
func (rr *Router) closeRequests() {
	all := rr.doc.Components.Schemas.Map()
	sent := map[string]bool{}
	for _, m := range rr.paths {
		for _, rt := range m.routes {
			if rt.in.schema != nil {
				reach(all, rt.in.schema, sent)
			}
		}
	}
	for name, schema := range all {
		if schema.Type != huma.TypeObject {
			continue
		}
		if _, isMap := schema.AdditionalProperties.(*huma.Schema); isMap {
			continue
		}
		schema.AdditionalProperties = nil
		if sent[name] {
			schema.AdditionalProperties = false
		}
	}
}

// reach adds the names of all schemas that s refers to.
func reach(all map[string]*huma.Schema, s *huma.Schema, names map[string]bool) {
	if s == nil {
		return
	}
	if name, is := strings.CutPrefix(s.Ref, schemaPrefix); is && !names[name] {
		names[name] = true
		reach(all, all[name], names)
	}
	reach(all, s.Items, names)
	for _, p := range s.Properties {
		reach(all, p, names)
	}
	for _, p := range s.OneOf {
		reach(all, p, names)
	}
	if more, is := s.AdditionalProperties.(*huma.Schema); is {
		reach(all, more, names)
	}
}

// Enum returns the values of a type that has a closed set of them: those that its method Enum
// lists; nil for others.
func Enum(t reflect.Type) []any {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	method := reflect.Zero(t).MethodByName("Enum")
	if t.Kind() != reflect.String || !method.IsValid() {
		return nil
	}
	list := method.Call(nil)[0]
	values := make([]any, list.Len())
	for i := range values {
		values[i] = list.Index(i).String()
	}
	return values
}

// enumerate lists the values of a field whose type has a closed set of them.
func enumerate(p *huma.Schema, t reflect.Type) {
	values := Enum(t)
	if values == nil {
		return
	}
	if p.Type == huma.TypeArray {
		p = p.Items
	}
	if p.Enum == nil {
		p.Enum = values
		if p.Nullable {
			p.Enum = append(slices.Clone(values), nil)
		}
	}
}
