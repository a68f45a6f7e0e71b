package httpapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/danielgtaylor/huma/v2"
)

// successSchema returns a reference to the named schema of the route's envelope: generators make one
// type of it, whatever the number of calls that answer it.
func (s *server) successSchema(rt *route) *huma.Schema {
	if rt.out == nil || rt.out.Ref == "" {
		panic("httpapi: the answer of " + rt.id + " needs a type with a name")
	}
	if rt.oauth {
		return rt.out
	}
	name := strings.TrimPrefix(rt.out.Ref, prefix)
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
		e.Properties["pagination"] = s.doc.Components.Schemas.Schema(reflect.TypeFor[pagination](), true, "")
		e.Required = append(e.Required, "pagination")
	} else {
		name += "Envelope"
	}
	s.doc.Components.Schemas.Map()[name] = e
	return &huma.Schema{Ref: prefix + name}
}

// shutRequests has the schemas of requests refuse what they do not name, and those of answers let it
// pass: an answer may get a new field at any time.
func (s *server) shutRequests() {
	all := s.doc.Components.Schemas.Map()
	sent := map[string]bool{}
	for _, m := range s.paths {
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
	if name, is := strings.CutPrefix(s.Ref, prefix); is && !names[name] {
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

// document finishes the schemas and writes everything down.
func (s *server) document() []byte {
	registry := s.doc.Components.Schemas
	s.addEventTypes()
	for name, schema := range registry.Map() {
		t := registry.TypeFromRef(prefix + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := schema.Properties[name]
			if p == nil {
				continue
			}
			// The alias of money loses the pointer that says "may be null".
			if f.Type == reflect.TypeFor[*money.Micros]() && !strings.Contains(options, "omitempty") {
				p.Nullable = true
			}
			if p.Ref != "" && f.Type.Kind() == reflect.Pointer && !strings.Contains(options, "omitempty") { // a reference cannot say it by itself
				schema.Properties[name] = &huma.Schema{Description: p.Description, OneOf: []*huma.Schema{{Ref: p.Ref}, {Type: "null"}}}
			}
			closed(p, f.Type)
		}
	}
	s.shutRequests()
	if f := registry.Map()["OauthFailure"]; f != nil {
		for _, c := range oauthCodes {
			f.Properties["error"].Enum = append(f.Properties["error"].Enum, string(c.code))
		}
	}
	if f := registry.Map()["FailureBody"]; f != nil {
		f.Properties["code"].Enum = nil
		for _, c := range codes {
			f.Properties["code"].Enum = append(f.Properties["code"].Enum, string(c.code))
		}
	}
	b, err := s.doc.MarshalJSON()
	if err != nil {
		panic("httpapi: " + err.Error())
	}
	var compact json.RawMessage = b
	return encode(compact)
}

// words are the types that have a closed set of values, so that generated clients know them.
var words = map[reflect.Type][]any{
	reflect.TypeFor[deployment.Status]():        anys(deployment.Statuses),
	reflect.TypeFor[deployment.Action]():        {"reboot", "power-on", "power-off", "reinstall"},
	reflect.TypeFor[provider.InstanceType]():    {"BARE_METAL", "VM", "SPOT", "CLUSTER"},
	reflect.TypeFor[volume.Status]():            {"creating", "available", "attaching", "attached", "detaching", "deleting", "deleted", "failed"},
	reflect.TypeFor[catalog.Status]():           {"up", "degraded", "down"},
	reflect.TypeFor[event.Type]():               anys(event.Types()),
	reflect.TypeFor[catalog.Reason]():           anys(catalog.Reasons),
	reflect.TypeFor[wallet.Type]():              anys(wallet.Types),
	reflect.TypeFor[wallet.GroupBy]():           {"day", "deployment", "gpuType", "provider"},
	reflect.TypeFor[account.Scope]():            anys(append(account.Owner.Scopes(), account.OperatorScopes()...)),
	reflect.TypeFor[account.Role]():             anys(account.Roles),
	reflect.TypeFor[account.InvitationStatus](): anys(account.InvitationStatuses),
	reflect.TypeFor[audit.Kind]():               anys(audit.Kinds),
	reflect.TypeFor[issue.Kind]():               anys(issue.Kinds),
	reflect.TypeFor[issue.State]():              anys(issue.States),
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func anys[T ~string](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// closed lists the values of a field whose type has a closed set of them.
func closed(p *huma.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	values := words[t]
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
