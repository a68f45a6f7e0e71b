package apierr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameLength is the maximum length that CheckName accepts.
const MaxNameLength = 64

// CheckName returns what is wrong with a name that a tenant chooses, as errors of that field, or
// nil: it must have 1 to 64 visible characters of UTF-8, with no space at either end. Names are
// shown in tables and terminals and read by agents, so a name must not change what is displayed
// around it, nor contain hidden instructions. Control, format, tag, private-use and unassigned
// characters are refused, with the character and its position. So are marks at the beginning, which
// would be drawn on the text before. Joiners are visible within the scripts and emoji that use
// them.
func CheckName(field, name string) []FieldError {
	one := func(format string, args ...any) []FieldError {
		return []FieldError{{Field: field, Message: fmt.Sprintf(format, args...)}}
	}
	if name == "" {
		return one("is missing; give 1 to %d characters.", MaxNameLength)
	}
	if n := utf8.RuneCountInString(name); utf8.ValidString(name) && n > MaxNameLength {
		return one("has %d characters; at most %d are allowed.", n, MaxNameLength)
	}
	if wrong := Hidden(name); wrong != "" {
		return one("%s", wrong)
	}
	first, _ := utf8.DecodeRuneInString(name)
	switch {
	case strings.TrimFunc(name, unicode.IsSpace) == "":
		return one("has nothing but spaces; give 1 to %d characters that can be seen.", MaxNameLength)
	case strings.TrimFunc(name, unicode.IsSpace) != name:
		return one("begins or ends with a space; remove it.")
	case unicode.Is(unicode.M, first):
		return one("begins with U+%04X, a mark that would be drawn on what stands before it; remove it.", first)
	}
	return nil
}
