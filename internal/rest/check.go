package rest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/money"
	"github.com/danielgtaylor/huma/v2"
)

// multiline is the format of strings that may hold line breaks and tabs.
const multiline = "multiline"

// dollars is the format of amounts of money.
const dollars = "decimal"

// checker compares values with schemas and collects every difference.
type checker struct {
	registry huma.Registry
	foreign  map[string]string // explanations of names that other clouds have
	invalid  []apierr.FieldError
}

func (c *checker) add(path, format string, args ...any) {
	if path == "" {
		path = "body"
	}
	c.invalid = append(c.invalid, apierr.FieldError{Field: path, Message: fmt.Sprintf(format, args...)})
}

// check compares v, as parse made it, with the schema.
func (c *checker) check(s *huma.Schema, v any, path string) {
	if s.Ref != "" {
		s = c.registry.SchemaFromRef(s.Ref)
	}
	if v == nil {
		switch {
		case s.Nullable:
		case s.Type == huma.TypeBoolean: // omitting it can mean something else, as for eraseLocalDisks
			c.add(path, "must not be null. Use true or false.")
		default:
			c.add(path, "must not be null; omit it instead.")
		}
		return
	}
	switch s.Type {
	case huma.TypeObject:
		c.object(s, v, path)
	case huma.TypeArray:
		list, ok := v.([]any)
		if !ok {
			c.add(path, "must be a list, not %s.", kind(v))
			return
		}
		if s.MinItems != nil && len(list) < *s.MinItems {
			c.add(path, "must have at least %d entries.", *s.MinItems)
		}
		if s.MaxItems != nil && len(list) > *s.MaxItems {
			c.add(path, "must have at most %d entries, not %d.", *s.MaxItems, len(list))
			return
		}
		for i, item := range list {
			c.check(s.Items, item, path+"["+strconv.Itoa(i)+"]")
		}
	case huma.TypeString:
		text, ok := v.(string)
		if !ok {
			c.add(path, "must be a string, not %s.", kind(v))
			return
		}
		c.text(s, text, path)
	case huma.TypeBoolean:
		if _, ok := v.(bool); !ok {
			c.add(path, "must be true or false, not %s.", kind(v))
		}
	case huma.TypeInteger, huma.TypeNumber:
		n, ok := v.(json.Number)
		if !ok {
			c.add(path, "must be a number, not %s.", kind(v))
			return
		}
		c.number(s, string(n), path)
	}
}

func (c *checker) object(s *huma.Schema, v any, path string) {
	object, ok := v.(map[string]any)
	if !ok {
		c.add(path, "must be an object, not %s.", kind(v))
		return
	}
	for _, name := range slices.Sorted(mapKeys(s.Properties)) {
		if value, given := object[name]; given {
			c.check(s.Properties[name], value, join(path, name))
		} else if slices.Contains(s.Required, name) {
			c.add(join(path, name), "is required.")
		}
	}
	if _, open := s.AdditionalProperties.(*huma.Schema); open { // a map: its contents are checked elsewhere
		return
	}
	for _, name := range slices.Sorted(mapKeys(object)) {
		if s.Properties[name] == nil {
			c.add(Shown(join(path, name)), "%s", c.unknown("field", name, slices.Sorted(mapKeys(s.Properties))))
		}
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (c *checker) text(s *huma.Schema, text, path string) {
	if r, position := controlCharacter(text, s.Format == multiline); position > 0 {
		c.add(path, "contains a control character, U+%04X at position %d; remove it.", r, position)
		return
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, any(text)) {
		c.add(path, "%s", notOneOf(s.Enum, text))
		return
	}
	n := utf8.RuneCountInString(text)
	switch {
	case s.MinLength != nil && n == 0 && *s.MinLength > 0:
		c.add(path, "must not be empty.")
	case s.MinLength != nil && n < *s.MinLength:
		c.add(path, "must have at least %d characters.", *s.MinLength)
	case s.MaxLength != nil && n > *s.MaxLength:
		c.add(path, "must have at most %d characters, not %d.", *s.MaxLength, n)
	case s.Pattern != "" && !pattern(s.Pattern).MatchString(text):
		c.add(path, "must be %s.", s.PatternDescription)
	case s.Format == "date-time":
		c.time(text, path)
	}
}

// controlCharacter returns the first control character that is not allowed, and its position; 0 for
// none.
func controlCharacter(text string, lines bool) (r rune, position int) {
	n := 0
	for _, r := range text {
		n++
		isLine := lines && (r == '\n' || r == '\r' || r == '\t')
		if (r < ' ' || r == 0x7f) && !isLine {
			return r, n
		}
	}
	return 0, 0
}

// notOneOf is the message for a text that is none of the values.
func notOneOf(values []any, text string) string {
	known := make([]string, len(values))
	for i, v := range values {
		known[i] = fmt.Sprint(v)
	}
	message := "must be one of " + strings.Join(known, ", ") + "."
	if near := apierr.Nearest(text, known); near != "" {
		message += " Did you mean " + near + "?"
	}
	return message
}

func (c *checker) time(text, path string) {
	t, is := clock.ParseRFC3339(text)
	if !is {
		c.add(path, "must be a time such as 2027-01-31T18:30:00Z (RFC 3339).")
		return
	}
	// In UTC, as responses have it: the offset may move it into the year 10000, which JSON cannot
	// represent.
	if year := t.UTC().Year(); year < 1970 || year > 9999 {
		c.add(path, "must be between the years 1970 and 9999.")
	}
}

// normalized returns a valid value with its times as encoding/json reads them.
func (in *input) normalized(s *huma.Schema, v any) any {
	s = in.resolve(s)
	switch v := v.(type) {
	case string:
		if t, is := clock.ParseRFC3339(v); is && s.Format == "date-time" {
			return t.Format(time.RFC3339Nano)
		}
	case []any:
		if s.Items != nil {
			for i := range v {
				v[i] = in.normalized(s.Items, v[i])
			}
		}
	case map[string]any:
		for name, p := range s.Properties {
			if value, given := v[name]; given {
				v[name] = in.normalized(p, value)
			}
		}
	}
	return v
}

var patterns sync.Map // text to *regexp.Regexp; the texts are those of our schemas

func pattern(text string) *regexp.Regexp {
	if re, ok := patterns.Load(text); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(text)
	patterns.Store(text, re)
	return re
}

func (c *checker) number(s *huma.Schema, text, path string) {
	var value float64
	switch {
	case s.Format == dollars:
		m, err := money.Parse(text)
		if err != nil {
			c.add(path, "must be an amount in US dollars with at most six decimals, such as 23.92.")
			return
		}
		value = float64(m) / float64(money.USD) // for the bounds only
	case s.Type == huma.TypeInteger:
		if strings.ContainsAny(text, ".eE") {
			c.add(path, "must be a whole number.")
			return
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			c.add(path, "is too large.")
			return
		}
		value = float64(n)
	default:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			c.add(path, "is too large.")
			return
		}
		value = f
	}
	low, high := s.Minimum, s.Maximum
	switch {
	case low != nil && high != nil && (value < *low || value > *high):
		c.add(path, "must be between %s and %s.", plain(*low), plain(*high))
	case low != nil && value < *low:
		c.add(path, "must be at least %s.", plain(*low))
	case high != nil && value > *high:
		c.add(path, "must be at most %s.", plain(*high))
	case s.ExclusiveMinimum != nil && value <= *s.ExclusiveMinimum:
		c.add(path, "must be more than %s.", plain(*s.ExclusiveMinimum))
	}
}

func plain(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

// unknown is the message for a name that the operation does not have.
func (c *checker) unknown(what, name string, known []string) string {
	if why := c.foreign[name]; why != "" && !slices.Contains(known, name) {
		return fmt.Sprintf("is not a %s of this operation; %s.", what, why)
	}
	if near := apierr.Nearest(name, known); near != "" {
		return fmt.Sprintf("is not a %s of this operation; did you mean %s?", what, near)
	}
	if len(known) == 0 {
		return fmt.Sprintf("is not a %s of this operation, which takes none.", what)
	}
	return fmt.Sprintf("is not a %s of this operation; it takes %s.", what, strings.Join(known, ", "))
}
