package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/billetcloud/billet/client"
	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// kind is the effect of a tool, for its annotations.
type kind int

const (
	readOnly     kind = iota
	creates           // repeating it creates another resource
	idempotent        // repeating it has no further effect
	destructive       // destroys data; repeating it has no further effect
	interrupting      // interrupts a machine each time
)

func (k kind) annotations(title string) *sdk.ToolAnnotations {
	return &sdk.ToolAnnotations{
		Title: title, ReadOnlyHint: k == readOnly, DestructiveHint: new(k == destructive || k == interrupting),
		IdempotentHint: k != creates && k != interrupting, OpenWorldHint: new(false),
	}
}

// schemas are the schemas of types that reflection cannot derive.
var schemas = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[client.Money]():    {Type: "number"},
	reflect.TypeFor[json.RawMessage](): {},
	reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
}

// inputSchema returns the JSON schema of a tool's input, with the enumerations of its fields. It is
// closed, so a misspelled field is an error.
func inputSchema[T any](enums map[string][]string) *jsonschema.Schema {
	s := schemaOf[T]()
	for field, list := range enums {
		p := s.Properties[field]
		if p.Items != nil {
			p = p.Items
		}
		for _, w := range list {
			p.Enum = append(p.Enum, w)
		}
	}
	return s
}

// outputSchema returns the JSON schema of a tool's result. Its root is an object, as the protocol
// requires. It is open, so that new fields break no client.
func outputSchema[T any]() *jsonschema.Schema {
	s := schemaOf[T]()
	s.Type, s.Types = "object", nil // even if T is a pointer
	openObjects(s)
	return s
}

func schemaOf[T any]() *jsonschema.Schema {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: schemas})
	if err != nil {
		panic("mcp: " + err.Error())
	}
	return s
}

// openObjects allows unknown fields in every object that has known fields.
func openObjects(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Properties != nil {
		s.AdditionalProperties = nil
	}
	openObjects(s.Items)
	openObjects(s.AdditionalProperties)
	for _, p := range s.Properties {
		openObjects(p)
	}
	for _, p := range s.Defs {
		openObjects(p)
	}
}

// toolSpec describes a tool to clients.
type toolSpec struct {
	name, title, text string
	kind              kind
	// enums are the allowed values of input fields.
	enums map[string][]string
	// apiFields map fields of the API's request to the inputs of the tool that set them.
	apiFields map[string]string
}

// toolTimeout limits a call, including retries. Clients time out after a minute and would not get
// the error.
const toolTimeout = 55 * time.Second

// addTool adds a tool to the server.
func addTool[In, Out any](server *sdk.Server, spec toolSpec, run func(ctx context.Context, in In) (Out, error)) {
	t := &sdk.Tool{
		Name: spec.name, Title: spec.title, Description: spec.text, Annotations: spec.kind.annotations(spec.title),
		InputSchema: inputSchema[In](spec.enums), OutputSchema: outputSchema[Out](),
	}
	schema := t.InputSchema.(*jsonschema.Schema)
	server.AddTool(t, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		ctx, cancel := context.WithTimeout(ctx, toolTimeout)
		defer cancel()
		in, wrong := decode[In](spec.name, schema, req.Params.Arguments)
		if wrong != nil {
			return failed(wrong), nil
		}
		out, err := run(ctx, in)
		if err != nil {
			return failed(toToolError(err).inInputTerms(spec, schema)), nil
		}
		text, err := encodeClean(out)
		if err != nil {
			return nil, err
		}
		return &sdk.CallToolResult{
			StructuredContent: json.RawMessage(text), Content: []sdk.Content{&sdk.TextContent{Text: string(text)}},
		}, nil
	})
}

// failed returns the result of a failed call. Its text is JSON. It has no structuredContent, which
// clients validate against the schema of a success.
func failed(r *toolError) *sdk.CallToolResult {
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: r.Error()}}}
}

// encodeClean returns the JSON of v without invisible characters, which could hide text from the
// user.
func encodeClean(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // amounts stay exact
	var plain any
	if err := d.Decode(&plain); err != nil {
		return nil, err
	}
	return json.Marshal(cleanValues(plain))
}

func cleanValues(v any) any {
	switch v := v.(type) {
	case string:
		return clean(v)
	case []any:
		for i := range v {
			v[i] = cleanValues(v[i])
		}
	case map[string]any:
		for name, value := range v {
			delete(v, name)
			v[clean(name)] = cleanValues(value)
		}
	}
	return v
}

// clean removes control, format, private and other invisible characters, such as variation
// selectors, which can spell a hidden message. Line ends become spaces.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Variation_Selector,
			unicode.Other_Default_Ignorable_Code_Point):
			return -1
		}
		return r
	}, s)
}
