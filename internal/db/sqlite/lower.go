package sqlite

import (
	"database/sql/driver"
	"strings"

	sqlite "modernc.org/sqlite"
)

// SQLite's own lower() knows the letters of ASCII only, PostgreSQL's knows all: a search for "ärger" must find
// "Ärger" on both. No index may be made of it: what is a lower-case letter may change with the version of Go.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("lower", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if text, is := args[0].(string); is {
			return strings.ToLower(text), nil
		}
		return args[0], nil // NULL, and what has no case
	})
}
