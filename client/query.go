package client

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// queryOf returns the query of a struct with `query` tags. Zero values are omitted; lists are
// joined with commas.
func queryOf(v any) url.Values {
	q := url.Values{}
	addQuery(q, reflect.ValueOf(v))
	return q
}

func addQuery(q url.Values, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			addQuery(q, v.Field(i))
			continue
		}
		if field := v.Field(i); !field.IsZero() {
			if text := queryText(field); text != "" {
				q.Set(f.Tag.Get("query"), text)
			}
		}
	}
}

func queryText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	case Money:
		return x.Decimal()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return queryText(v.Elem())
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, queryText(v.Index(i)))
		}
		return strings.Join(parts, ",")
	case reflect.String:
		return v.String()
	}
	panic("client: a query cannot contain a " + v.Type().String()) // the tests cover every query type of this package
}

// Change is a field of an update that can be kept, set or removed. Its zero value keeps the field.
type Change[T any] struct {
	isSet bool
	value *T
}

// SetTo returns a Change that sets the field.
func SetTo[T any](v T) Change[T] { return Change[T]{true, &v} }

// Clear returns a Change that removes the field's value.
func Clear[T any]() Change[T] { return Change[T]{isSet: true} }

// IsZero reports whether the field is kept, and so not sent.
func (c Change[T]) IsZero() bool { return !c.isSet }

// MarshalJSON encodes the value, or null to remove it.
func (c Change[T]) MarshalJSON() ([]byte, error) { return json.Marshal(c.value) }
