package client

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// queryOf is the query of a struct whose fields have a tag `query`. Zero values are left out; a list is joined with commas.
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
	panic("client: a query cannot hold a " + v.Type().String()) // the package's own types decide; its tests send every one of them
}

// Change is a field of an update that can be left alone, set, or taken away. Its zero value leaves the field alone.
type Change[T any] struct {
	given bool
	value *T
}

// SetTo returns a Change that sets the field.
func SetTo[T any](v T) Change[T] { return Change[T]{true, &v} }

// Clear returns a Change that takes the field's value away.
func Clear[T any]() Change[T] { return Change[T]{given: true} }

// IsZero tells whether the field is left alone, and so not sent.
func (c Change[T]) IsZero() bool { return !c.given }

// MarshalJSON writes the value, or null.
func (c Change[T]) MarshalJSON() ([]byte, error) { return json.Marshal(c.value) }
