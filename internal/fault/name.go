package fault

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameLength is the most characters that CheckName accepts.
const MaxNameLength = 64

// CheckName returns what is wrong with the name of anything that a tenant
// names, as faults of that field, and nil for a good one: 1 to 64 characters of
// UTF-8, none of them a control character, a line break or a mark that turns the
// direction of text round, and no space at either end. Names are shown in tables
// and terminals; a name must not be able to
// change what is displayed around it.
func CheckName(field, name string) []Field {
	one := func(format string, args ...any) []Field {
		return []Field{{Field: field, Message: fmt.Sprintf(format, args...)}}
	}
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return one("is missing; give 1 to %d characters.", MaxNameLength)
	case !utf8.ValidString(name):
		return one("is not valid UTF-8 text.")
	case n > MaxNameLength:
		return one("has %d characters; at most %d are allowed.", n, MaxNameLength)
	case strings.ContainsFunc(name, unprintable):
		return one("has a control character, a line break or a mark of text direction in it; remove it.")
	case strings.TrimFunc(name, unicode.IsSpace) == "":
		return one("has nothing but spaces; give 1 to %d characters that can be seen.", MaxNameLength)
	case strings.TrimFunc(name, unicode.IsSpace) != name:
		return one("begins or ends with a space; remove it.")
	}
	return nil
}

// Printable tells whether the text is UTF-8 without any character that changes what is displayed around it.
func Printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unprintable)
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) || r == '\uFEFF'
}
