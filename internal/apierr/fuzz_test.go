package apierr_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
)

// A name that is taken cannot change what is displayed around it; one that is not is told why, in
// words that are safe themselves.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a", "", " a", "a\x00", "a\u202eb", "\xff", strings.Repeat("é", 65), "a\u2028b",
		"\ufeff", "训练 🤖", "\u00a0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		faults := apierr.CheckName("name", name)
		if len(faults) == 0 {
			if !utf8.ValidString(name) || name == "" || utf8.RuneCountInString(name) > apierr.MaxNameLength ||
				strings.TrimSpace(name) != name || strings.ContainsFunc(name, neverShown) {
				t.Errorf("%q is taken", name)
			}
			return
		}
		if len(faults) != 1 || faults[0].Field != "name" || !strings.HasSuffix(faults[0].Message, ".") ||
			!utf8.ValidString(faults[0].Message) {
			t.Errorf("%q: %v", name, faults)
		}
		// Any good part of it is good alone, so the refusal is not for the letters.
		plain := strings.Map(onlyLetter, name)
		if plain != "" && len(plain) <= apierr.MaxNameLength && apierr.CheckName("name", plain) != nil {
			t.Errorf("%q is refused", plain)
		}
	})
}

// neverShown reports whether the character is displayed as nothing wherever it stands.
func neverShown(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) ||
		unicode.In(r, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) ||
		(unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d')
}

// onlyLetter drops whatever is not a to z.
func onlyLetter(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}
