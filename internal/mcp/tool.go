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
}

// schemaOf is the JSON schema of a type, with the words that some of its fields may have.
func schemaOf[T any](words map[string][]string) *jsonschema.Schema {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: schemas})
	if err != nil {
		panic("mcp: " + err.Error())
	}
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

// about is what a client is told of a tool.
type about struct {
	name, title, text string
	kind              kind
	// words are the values that some fields of the input may have.
	words map[string][]string
}

// patience is how long a tool goes on, retries of its calls included. Clients give a tool up after a minute, and would not hear what is wrong.
const patience = 55 * time.Second

// add offers a tool.
func add[In, Out any](server *sdk.Server, a about, run func(ctx context.Context, in In) (Out, error)) {
	t := &sdk.Tool{
		Name: a.name, Title: a.title, Description: a.text, Annotations: a.kind.annotations(a.title),
		InputSchema: schemaOf[In](a.words), OutputSchema: schemaOf[Out](nil),
	}
	sdk.AddTool(server, t, func(ctx context.Context, _ *sdk.CallToolRequest, in In) (*sdk.CallToolResult, any, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		out, err := run(ctx, in)
		if err != nil {
			return nil, nil, told(err)
		}
		plain, err := cleaned(out)
		return nil, plain, err
	})
}

// cleaned is the JSON of v without characters that do not show: they could hide text from the person who watches.
func cleaned(v any) (any, error) {
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
	return walk(plain), nil
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
