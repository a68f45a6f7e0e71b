package db

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// values returns the arguments as the database keeps them. It copies the slice only where one
// changes.
func values(args []any) []any {
	copied := false
	for i, a := range args {
		v, changed := value(a)
		if !changed {
			continue
		}
		if !copied {
			args, copied = append([]any(nil), args...), true
		}
		args[i] = v
	}
	return args
}

// value converts what both engines keep alike: times as microseconds since 1970, booleans as 0 and
// 1. It also makes plain texts and numbers of named ones and of those that convert themselves, as
// the drivers would, which take several times as long for it.
func value(a any) (v any, changed bool) {
	switch a := a.(type) {
	case nil, string, int64:
		return a, false
	case time.Time:
		return a.UnixMicro(), true
	case *time.Time:
		if a == nil {
			return nil, true
		}
		return a.UnixMicro(), true
	case bool:
		if a {
			return int64(1), true
		}
		return int64(0), true
	case driver.Valuer:
		if v := reflect.ValueOf(a); v.Kind() == reflect.Pointer && v.IsNil() {
			return a, false
		}
		v, err := a.Value()
		if err != nil {
			return a, false // the driver returns the error
		}
		return v, true
	}
	switch v := reflect.ValueOf(a); v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Int, reflect.Int64:
		return v.Int(), true
	}
	return a, false
}

// pointed returns what the pointer points to, as an argument.
func pointed(pointer any) any {
	switch p := pointer.(type) {
	case *string:
		return *p
	case *int64:
		return *p
	case *time.Time:
		return *p
	case **time.Time:
		return *p
	case *bool:
		return *p
	case column:
		return p
	}
	v := reflect.ValueOf(pointer).Elem()
	_, converts := pointer.(driver.Valuer)
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return nil
	case v.Kind() == reflect.Pointer:
		return pointed(v.Interface())
	case v.Kind() == reflect.String && !converts:
		return v.String()
	case v.Kind() == reflect.Int64 && !converts:
		return v.Int()
	}
	return v.Interface()
}

// destinations returns the pointers as database/sql scans into them. It changes the slice.
func destinations(dest []any) []any {
	for i, d := range dest {
		switch d := d.(type) {
		case *time.Time:
			dest[i] = (*instant)(d)
		case **time.Time:
			dest[i] = nullInstant{d}
		case *bool:
			dest[i] = (*flag)(d)
		}
	}
	return dest
}

// instant scans microseconds since 1970 into a time in UTC.
type instant time.Time

func (t *instant) Scan(src any) error {
	us, is := src.(int64)
	if !is {
		return fmt.Errorf("a time must be an integer, not %T", src)
	}
	*t = instant(at(us))
	return nil
}

// nullInstant is instant for a column that may be NULL.
type nullInstant struct{ at **time.Time }

func (t nullInstant) Scan(src any) error {
	if src == nil {
		*t.at = nil
		return nil
	}
	var at time.Time
	if err := (*instant)(&at).Scan(src); err != nil {
		return err
	}
	*t.at = &at
	return nil
}

// flag scans 0 or 1, and what an engine returns for a condition.
type flag bool

func (f *flag) Scan(src any) error {
	switch v := src.(type) {
	case int64:
		*f = v != 0
	case bool:
		*f = flag(v)
	default:
		return fmt.Errorf("a boolean must be 0 or 1, not %T", src)
	}
	return nil
}

// column is a variable that is not kept as its type says.
type column interface {
	driver.Valuer
	Scan(src any) error
}

// Seconds is a column that keeps a duration as whole seconds.
func Seconds(d *time.Duration) driver.Valuer { return (*seconds)(d) }

type seconds time.Duration

func (s *seconds) Value() (driver.Value, error) { return int64(time.Duration(*s) / time.Second), nil }

func (s *seconds) Scan(src any) error {
	n, is := src.(int64)
	if !is {
		return fmt.Errorf("seconds must be an integer, not %T", src)
	}
	*s = seconds(time.Duration(n) * time.Second)
	return nil
}

// ZeroAsNull is a column that keeps the zero value as NULL.
func ZeroAsNull[T ~string | ~int64](v *T) driver.Valuer { return zeroAsNull[T]{v} }

type zeroAsNull[T ~string | ~int64] struct{ v *T }

func (z zeroAsNull[T]) Value() (driver.Value, error) {
	var zero T
	if *z.v == zero {
		return nil, nil
	}
	return driver.DefaultParameterConverter.ConvertValue(*z.v)
}

func (z zeroAsNull[T]) Scan(src any) error {
	v := reflect.ValueOf(z.v).Elem()
	switch src := src.(type) {
	case nil:
		v.SetZero()
		return nil
	case int64:
		if v.CanInt() {
			v.SetInt(src)
			return nil
		}
	case string:
		if v.Kind() == reflect.String {
			v.SetString(src)
			return nil
		}
	}
	return fmt.Errorf("a %T cannot be read from a %T", *z.v, src)
}

// JSON is a column that keeps a value as JSON text. A nil slice or map is kept as an empty one.
func JSON[T any](v *T) driver.Valuer { return jsonText[T]{v: v} }

// SharedJSON is JSON for lists that show the same rows again and again: decoding a text takes
// longer than reading it from the database, so values are remembered by their text. They are
// shared: nothing may change what a slice or map of one holds.
func SharedJSON[T any](v *T) driver.Valuer { return jsonText[T]{v: v, shared: true} }

type jsonText[T any] struct {
	v      *T
	shared bool
}

func (j jsonText[T]) Value() (driver.Value, error) {
	switch v := reflect.ValueOf(j.v).Elem(); {
	case v.Kind() == reflect.Slice && v.IsNil():
		return "[]", nil
	case v.Kind() == reflect.Map && v.IsNil():
		return "{}", nil
	}
	text, err := json.Marshal(j.v)
	return string(text), err
}

func (j jsonText[T]) Scan(src any) error {
	var text string
	switch src := src.(type) {
	case string:
		text = src
	case []byte:
		text = string(src)
	default:
		return fmt.Errorf("JSON must be a text, not %T", src)
	}
	if j.shared {
		v, err := decodedOf[T]().Of(text)
		*j.v = v
		return err
	}
	var v T
	err := json.Unmarshal([]byte(text), &v)
	*j.v = v
	return err
}
