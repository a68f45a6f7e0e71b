package mcp

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/google/jsonschema-go/jsonschema"
)

// decode returns the input of a call, or an error that names every invalid field. Null means that a
// field is not set, because many clients send null for unused fields.
func decode[In any](tool string, schema *jsonschema.Schema, arguments json.RawMessage) (In, *toolError) {
	var in In
	var inputs map[string]json.RawMessage
	if len(arguments) > 0 {
		if err := json.Unmarshal(arguments, &inputs); err != nil {
			return in, invalid(
				[]client.FieldError{{Field: "arguments", Message: "must be an object with the tool's inputs."}},
			)
		}
	}
	var wrong []client.FieldError
	add := func(field, message string) { wrong = append(wrong, client.FieldError{Field: field, Message: message}) }
	known := slices.Sorted(maps.Keys(schema.Properties))
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		p := schema.Properties[name]
		if p == nil {
			add(clean(name), unknownInput(tool, name, known))
			continue
		}
		if string(inputs[name]) == "null" {
			delete(inputs, name)
			continue
		}
		if message := mismatch(p, inputs[name]); message != "" {
			add(name, message)
			continue
		}
		if p.Format == "date-time" { // encoding/json accepts other forms as well
			var text string
			_ = json.Unmarshal(inputs[name], &text) // a string, see mismatch
			at, is := clock.ParseRFC3339(text)
			if !is {
				add(name, unreadable(p))
				continue
			}
			inputs[name] = json.RawMessage(strconv.Quote(at.Format(time.RFC3339Nano)))
		}
		// What the schema cannot express: a time, an amount with too many decimals, a number too
		// large.
		one, err := json.Marshal(map[string]json.RawMessage{name: inputs[name]})
		if err == nil {
			err = json.Unmarshal(one, &in)
		}
		if err != nil {
			add(name, unreadable(p))
		}
	}
	for _, name := range schema.Required {
		if _, set := inputs[name]; !set {
			add(name, "is required: "+describe(schema.Properties[name])+".")
		}
	}
	if len(wrong) > 0 {
		return in, invalid(wrong)
	}
	return in, nil
}

// unreadable is the message for a value of the right type that cannot be used.
func unreadable(s *jsonschema.Schema) string {
	if slices.Contains(typesOf(s), "number") {
		return "must be a number with at most six decimals, below one trillion."
	}
	return "must be " + describe(s) + "."
}

// unknownInput is the message for a field that the tool does not have.
func unknownInput(tool, name string, known []string) string {
	if near := apierr.Nearest(name, known); near != "" {
		return fmt.Sprintf("is not an input of %s. Did you mean %s?", tool, near)
	}
	if len(known) == 0 {
		return fmt.Sprintf("is not an input of %s, which has none.", tool)
	}
	return fmt.Sprintf("is not an input of %s. Inputs: %s.", tool, strings.Join(known, ", "))
}

// mismatch describes how a value differs from the schema of its field, or returns "".
func mismatch(s *jsonschema.Schema, raw json.RawMessage) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return "is not JSON."
	}
	types := typesOf(s)
	if len(types) > 0 && !slices.Contains(types, typeOf(v)) &&
		!(typeOf(v) == "integer" && slices.Contains(types, "number")) {
		return "must be " + describe(s) + "."
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return reflect.DeepEqual(e, v) }) {
		message := "must be " + describe(s) + "."
		if text, is := v.(string); is {
			if near := apierr.Nearest(text, enumOf(s)); near != "" {
				message += " Did you mean " + near + "?"
			}
		}
		return message
	}
	if list, is := v.([]any); is && s.Items != nil {
		for i, item := range list {
			text, err := json.Marshal(item)
			if err != nil {
				return "is not JSON."
			}
			if message := mismatch(s.Items, text); message != "" {
				return fmt.Sprintf("entry %d %s", i+1, message)
			}
		}
	}
	return ""
}

// typesOf returns the types that a schema allows, or none for any.
func typesOf(s *jsonschema.Schema) []string {
	if s.Type != "" {
		return []string{s.Type}
	}
	return s.Types
}

// typeOf returns JSON Schema's name for a value's type.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}

func enumOf(s *jsonschema.Schema) []string {
	words := make([]string, len(s.Enum))
	for i, e := range s.Enum {
		words[i] = fmt.Sprint(e)
	}
	return words
}

// describe describes the values of a field.
func describe(s *jsonschema.Schema) string {
	if len(s.Enum) > 0 {
		return "one of " + strings.Join(enumOf(s), ", ")
	}
	for _, t := range typesOf(s) {
		switch t {
		case "string":
			if s.Format == "date-time" {
				return "an RFC 3339 time, such as 2030-01-31T09:00:00Z"
			}
			return "a string"
		case "integer":
			return "a whole number"
		case "number":
			return "a number"
		case "boolean":
			return "true or false"
		case "array":
			return "a list"
		}
	}
	return "an object"
}
