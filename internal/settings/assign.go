package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/money"
)

// secrets are the settings that Assign refuses: an argument is visible to all users of the machine.
var secrets = []string{"mail.password", "payments.stripeKey", "payments.stripeWebhookSecret"}

// Names returns the names of all settings that Assign takes, such as "mail.host".
func Names() []string {
	var names []string
	t := reflect.TypeFor[Change]()
	for i := range t.NumField() {
		group := t.Field(i)
		for j := range group.Type.NumField() {
			if name := jsonName(group) + "." + jsonName(group.Type.Field(j)); !slices.Contains(secrets, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// Assign returns the change that assignments such as "mail.host=smtp.example.com" describe. A list
// is written with commas. It returns INVALID_REQUEST with every assignment that cannot be read.
func Assign(assignments []string) (Change, error) {
	var c Change
	var f faults
	for _, a := range assignments {
		name, value, assigned := strings.Cut(a, "=")
		field := fieldOf(&c, name)
		switch {
		case slices.Contains(secrets, name):
			f.add(name, "must not be an argument; read it from standard input or a file.")
		case !field.IsValid():
			f.add(name, "is not a setting; the settings are "+strings.Join(Names(), ", ")+".")
		case !assigned:
			f.add(name, "has no value; write "+name+"=VALUE.")
		default:
			f.add(name, assign(field, value))
		}
	}
	return c, apierr.Invalid(f).OrNil()
}

// fieldOf returns the pointer in the change that has that name.
func fieldOf(c *Change, name string) reflect.Value {
	group, setting, _ := strings.Cut(name, ".")
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if jsonName(v.Type().Field(i)) != group {
			continue
		}
		for j := range v.Field(i).NumField() {
			if jsonName(v.Field(i).Type().Field(j)) == setting {
				return v.Field(i).Field(j)
			}
		}
	}
	return reflect.Value{}
}

// assign sets the pointer to the value, and returns what is wrong with the value.
func assign(pointer reflect.Value, text string) string {
	v := reflect.New(pointer.Type().Elem())
	switch to := v.Interface().(type) {
	case *[]string:
		*to = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return "must be true or false."
		}
		*to = b
	case *money.Micros:
		m, err := money.Parse(text)
		if err != nil {
			return "must be an amount in US dollars, such as 5 or 2.50."
		}
		*to = m
	case *int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "must be an integer."
		}
		*to = n
	default:
		if v.Elem().Kind() != reflect.String {
			panic(fmt.Sprintf("settings: a %s cannot be assigned", v.Elem().Type()))
		}
		v.Elem().SetString(text)
	}
	pointer.Set(v)
	return ""
}
