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

// kind is what a tool does to the world, as its annotations say.
type kind int

const (
	reads    kind = iota // nothing
	makes                // something new: repeated, it makes another
	once                 // something new, and nothing more when it is repeated
	destroys             // takes something away, and nothing more when it is repeated
	disturbs             // interrupts, each time anew
)

func (k kind) annotations(title string) *sdk.ToolAnnotations {
	return &sdk.ToolAnnotations{
		Title: title, ReadOnlyHint: k == reads, DestructiveHint: new(k == destroys || k == disturbs), IdempotentHint: k != makes && k != disturbs, OpenWorldHint: new(false),
	}
}

// schemas are of types that their kind does not tell.
var schemas = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[client.Money]():    {Type: "number"},
	reflect.TypeFor[json.RawMessage](): {},
	reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
}

// inputSchema is the JSON schema of a tool's input, with the words that some of its fields may
// have. It is closed: a mistyped field is refused.
func inputSchema[T any](words map[string][]string) *jsonschema.Schema {
	s := schemaOf[T]()
	for field, list := range words {
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

// outputSchema is the JSON schema of a tool's answer. Its root is an object, as the protocol
// wants, and it is open: an answer that gains a field breaks no client.
func outputSchema[T any]() *jsonschema.Schema {
	s := schemaOf[T]()
	s.Type, s.Types = "object", nil // also where T is a pointer
	open(s)
	return s
}

func schemaOf[T any]() *jsonschema.Schema {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: schemas})
	if err != nil {
		panic("mcp: " + err.Error())
	}
	return s
}

// open allows unknown fields in every object of known fields.
func open(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Properties != nil {
		s.AdditionalProperties = nil
	}
	open(s.Items)
	open(s.AdditionalProperties)
	for _, p := range s.Properties {
		open(p)
	}
	for _, p := range s.Defs {
		open(p)
	}
}

// about is what a client is told of a tool.
type about struct {
	name, title, text string
	kind              kind
	// words are the values that some fields of the input may have.
	words map[string][]string
	// fields are fields of the API's request, each with the input of this tool that decides it.
	fields map[string]string
}

// patience is how long a tool goes on, retries of its calls included. Clients give a tool up
// after a minute, and would not hear what is wrong.
const patience = 55 * time.Second

// add offers a tool.
func add[In, Out any](server *sdk.Server, a about, run func(ctx context.Context, in In) (Out, error)) {
	t := &sdk.Tool{
		Name: a.name, Title: a.title, Description: a.text, Annotations: a.kind.annotations(a.title),
		InputSchema: inputSchema[In](a.words), OutputSchema: outputSchema[Out](),
	}
	schema := t.InputSchema.(*jsonschema.Schema)
	server.AddTool(t, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		in, wrong := decode[In](a.name, schema, req.Params.Arguments)
		if wrong != nil {
			return failed(wrong), nil
		}
		out, err := run(ctx, in)
		if err != nil {
			return failed(told(err).inTermsOf(a, schema)), nil
		}
		text, err := cleaned(out)
		if err != nil {
			return nil, err
		}
		return &sdk.CallToolResult{
			StructuredContent: json.RawMessage(text), Content: []sdk.Content{&sdk.TextContent{Text: string(text)}},
		}, nil
	})
}

// failed is the result of a call that was refused. Its text is JSON; structuredContent is left
// out, because clients hold it to the schema of an answer.
func failed(r *refusal) *sdk.CallToolResult {
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: r.Error()}}}
}

// cleaned is the JSON of v without characters that do not show: they could hide text from the user who watches.
func cleaned(v any) ([]byte, error) {
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
	return json.Marshal(walk(plain))
}

func walk(v any) any {
	switch v := v.(type) {
	case string:
		return clean(v)
	case []any:
		for i := range v {
			v[i] = walk(v[i])
		}
	case map[string]any:
		for name, value := range v {
			delete(v, name)
			v[clean(name)] = walk(value)
		}
	}
	return v
}

// clean takes control, format and private characters out of a text, and whatever else is drawn as nothing: a message can be spelled in variation
// selectors, too. Line ends become spaces.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			return -1
		}
		return r
	}, s)
}
