package sqlite

import (
	"database/sql/driver"
	"strings"

	sqlite "modernc.org/sqlite"
)

// SQLite's own lower() only knows ASCII letters, PostgreSQL's knows all: a search for "ärger" must
// find "Ärger" on both. Use it in no index, because lower case may change with the version of Go.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("lower", 1,
		func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			if text, is := args[0].(string); is {
				return strings.ToLower(text), nil
			}
			return args[0], nil // NULL, and values without case
		})
}
