package apierr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Characters that choose the form of the one before them: of an emoji, the colored and the plain
// one.
const variationEmoji, variationPlain = '\uFE0F', '\uFE0E'

// Joiners of letters and emoji, which are drawn as nothing.
const nonJoiner, joiner = '\u200C', '\u200D'

// joined are the scripts that are written with joiners.
var joined = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Nko, unicode.Devanagari, unicode.Bengali,
	unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada,
	unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar, unicode.Tibetan,
}

// hidden returns what an invisible character is, or one that changes what is displayed around it,
// as a noun with its article; "" for a visible one. before and after are its neighbors, 0 for none.
func hidden(before, r, after rune) string {
	switch {
	case r == '\n' || r == '\r' || unicode.In(r, unicode.Zl, unicode.Zp):
		return "a line break"
	case unicode.IsControl(r):
		return "a control character"
	case unicode.Is(unicode.Bidi_Control, r):
		return "a mark of text direction"
	case r >= 0xE0000 && r <= 0xE007F:
		return "an invisible tag character"
	case unicode.Is(unicode.Co, r):
		return "a private-use character"
	case joins(before, r, after) || variesEmoji(before, r):
		return ""
	case unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point),
		r == '\u2800':
		return "an invisible character"
	case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs):
		return "an unassigned character"
	}
	return ""
}

// variesEmoji reports whether the character chooses the form of the one before it.
func variesEmoji(before, r rune) bool {
	if r != variationEmoji && r != variationPlain || before == 0 || unicode.IsSpace(before) {
		return false
	}
	return unicode.In(before, unicode.S, unicode.Nd, unicode.P) || r == variationEmoji && before == joiner
}

// joins reports whether the character joins letters, or emoji to one.
func joins(before, r, after rune) bool {
	if r != joiner && r != nonJoiner {
		return false
	}
	letters := unicode.In(before, joined...) && unicode.In(after, joined...)
	return letters || r == joiner && unicode.In(before, unicode.So, unicode.Sk, unicode.Variation_Selector) &&
		unicode.Is(unicode.So, after)
}

// findHidden returns the first hidden character of a text, its position from 1, and what it is; ""
// for none.
func findHidden(text string) (r rune, at int, what string) {
	runes := []rune(text)
	neighbor := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return 0
		}
		return runes[i]
	}
	for i, r := range runes {
		if what := hidden(neighbor(i-1), r, neighbor(i+1)); what != "" {
			return r, i + 1, what
		}
	}
	return 0, 0, ""
}

// Hidden returns what is wrong with the characters of a text, as the end of a sentence; "" for
// nothing.
func Hidden(text string) string {
	if !utf8.ValidString(text) {
		return "is not valid UTF-8 text."
	}
	if r, at, what := findHidden(text); what != "" {
		return fmt.Sprintf("has %s in it, U+%04X at position %d; remove it.", what, r, at)
	}
	return ""
}

// CheckText returns what is wrong with an optional text such as a description, as errors of that
// field: more than the maximum of characters, or one that is hidden or breaks the line.
func CheckText(field, text string, most int) []FieldError {
	wrong := Hidden(text)
	if n := utf8.RuneCountInString(text); n > most {
		wrong = fmt.Sprintf("has %d characters; at most %d are allowed.", n, most)
	}
	if wrong == "" {
		return nil
	}
	return []FieldError{{Field: field, Message: wrong}}
}

// Printable reports whether the text is UTF-8 in one line without invisible characters, and without
// those that change what is displayed around them.
func Printable(text string) bool { return Hidden(text) == "" }

// Visible returns the text without invisible characters, for texts from outside. A line break
// becomes a space.
func Visible(text string) string {
	runes := []rune(strings.ToValidUTF8(text, ""))
	var out strings.Builder
	for i, r := range runes {
		before, after := rune(0), rune(0)
		if i > 0 {
			before = runes[i-1]
		}
		if i+1 < len(runes) {
			after = runes[i+1]
		}
		switch what := hidden(before, r, after); {
		case what == "":
			out.WriteRune(r)
		case r == '\n' || r == '\t' || unicode.In(r, unicode.Zl, unicode.Zp):
			out.WriteByte(' ')
		}
	}
	return out.String()
}
