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

// decode returns the input of a call, or a refusal that names everything that is wrong with it.
// Null is the same as leaving a field out, as many clients fill in what they do not use.
func decode[In any](tool string, schema *jsonschema.Schema, arguments json.RawMessage) (In, *refusal) {
	var in In
	var given map[string]json.RawMessage
	if len(arguments) > 0 {
		if err := json.Unmarshal(arguments, &given); err != nil {
			return in, invalid([]client.FieldError{{Field: "arguments", Message: "must be an object with the tool's inputs."}})
		}
	}
	var wrong []client.FieldError
	add := func(field, message string) { wrong = append(wrong, client.FieldError{Field: field, Message: message}) }
	known := slices.Sorted(maps.Keys(schema.Properties))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p := schema.Properties[name]
		if p == nil {
			add(clean(name), unknownInput(tool, name, known))
			continue
		}
		if string(given[name]) == "null" {
			delete(given, name)
			continue
		}
		if message := mismatch(p, given[name]); message != "" {
			add(name, message)
			continue
		}
		if p.Format == "date-time" { // which encoding/json reads in other forms, too
			var text string
			_ = json.Unmarshal(given[name], &text) // it is a string: see mismatch
			at, is := clock.ParseRFC3339(text)
			if !is {
				add(name, unreadable(p))
				continue
			}
			given[name] = json.RawMessage(strconv.Quote(at.Format(time.RFC3339Nano)))
		}
		// What the schema cannot say: a time, an amount with too many decimals, a number too large.
		one, err := json.Marshal(map[string]json.RawMessage{name: given[name]})
		if err == nil {
			err = json.Unmarshal(one, &in)
		}
		if err != nil {
			add(name, unreadable(p))
		}
	}
	for _, name := range schema.Required {
		if _, there := given[name]; !there {
			add(name, "is required: "+wanted(schema.Properties[name])+".")
		}
	}
	if len(wrong) > 0 {
		return in, invalid(wrong)
	}
	return in, nil
}

// unreadable is the message for a value of the right type that cannot be taken.
func unreadable(s *jsonschema.Schema) string {
	if slices.Contains(typesOf(s), "number") {
		return "must be a number with at most six decimals, and less than a trillion."
	}
	return "must be " + wanted(s) + "."
}

// unknownInput is the message for a field that the tool does not have.
func unknownInput(tool, name string, known []string) string {
	if near := apierr.Nearest(name, known); near != "" {
		return fmt.Sprintf("is not an input of %s. Did you mean %s?", tool, near)
	}
	if len(known) == 0 {
		return fmt.Sprintf("is not an input of %s, which takes none.", tool)
	}
	return fmt.Sprintf("is not an input of %s, which takes %s.", tool, strings.Join(known, ", "))
}

// mismatch says how a value differs from the schema of its field, and "" where it does not.
func mismatch(s *jsonschema.Schema, raw json.RawMessage) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return "is not JSON."
	}
	types := typesOf(s)
	if len(types) > 0 && !slices.Contains(types, typeOf(v)) && !(typeOf(v) == "integer" && slices.Contains(types, "number")) {
		return "must be " + wanted(s) + "."
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return reflect.DeepEqual(e, v) }) {
		message := "must be " + wanted(s) + "."
		if text, is := v.(string); is {
			if near := apierr.Nearest(text, wordsOf(s)); near != "" {
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

// typesOf returns the types that a schema allows; none is any.
func typesOf(s *jsonschema.Schema) []string {
	if s.Type != "" {
		return []string{s.Type}
	}
	return s.Types
}

// typeOf is the word of JSON schema for a value's type.
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

func wordsOf(s *jsonschema.Schema) []string {
	words := make([]string, len(s.Enum))
	for i, e := range s.Enum {
		words[i] = fmt.Sprint(e)
	}
	return words
}

// wanted says in words what a field takes.
func wanted(s *jsonschema.Schema) string {
	if len(s.Enum) > 0 {
		return "one of " + strings.Join(wordsOf(s), ", ")
	}
	for _, t := range typesOf(s) {
		switch t {
		case "string":
			if s.Format == "date-time" {
				return "a time by RFC 3339, such as 2030-01-31T09:00:00Z"
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
