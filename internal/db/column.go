package db

import (
	"strconv"
	"strings"
	"time"
)

// Micros returns the instant as the database keeps it: microseconds since 1970 in UTC.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// at returns the instant that the database keeps as us, in UTC.
func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

// In returns n placeholders from $first on, in parentheses: "($3, $4)". n must be at least 1,
// because no engine accepts an empty list.
func In(first, n int) string {
	if n < 1 {
		panic("db: In needs at least one value")
	}
	return string(appendIn(make([]byte, 0, 6*n), first, n))
}

// Tuples returns n lists as of In, each with so many placeholders, for the rows of an INSERT.
func Tuples(first, n, columns int) string {
	b := make([]byte, 0, 6*n*columns)
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendIn(b, first+i*columns, columns)
	}
	return string(b)
}

func appendIn(b []byte, first, n int) []byte {
	b = append(b, '(')
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(append(b, '$'), int64(first+i), 10)
	}
	return append(b, ')')
}

// Like returns a pattern for `lower(column) LIKE $n ESCAPE '\'` that matches the text anywhere,
// regardless of case.
func Like(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
}
