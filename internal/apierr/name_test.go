package apierr_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "my laptop", "训练", "naïve 🤖", "it's <b>", strings.Repeat("é", 64), "❤️",
		"👩🏽\u200d🔬", "👩\u200d❤️\u200d👨", "1️⃣", "می\u200cخواهم", "क्\u200dष", "Zoë", "Ω≈ç√", "東京　三号", "한국어", "ไทย",
		"e\u0301te\u0301", "x\u00a0y"} {
		if f := apierr.CheckName("name", good); f != nil {
			t.Errorf("%q: %v", good, f)
		}
	}
	for bad, reason := range map[string]string{
		"":                                   "missing",
		"a\xff":                              "UTF-8",
		strings.Repeat("é", 65):              "has 65 characters",
		"a\nb":                               "line break in it, U+000A at position 2",
		"a\x00":                              "control character",
		"a\u0085b":                           "control character",
		"a\u2028b":                           "line break",
		"a\u202eb":                           "direction in it, U+202E at position 2",
		"a\ufeffb":                           "invisible character in it, U+FEFF at position 2",
		"\u200b":                             "invisible character in it, U+200B at position 1",
		"safe\U000E0041":                     "invisible tag character in it, U+E0041 at position 5",
		"🏴\U000E0067\U000E007F":              "tag character",
		"a\u200db":                           "invisible character in it, U+200D",
		"a\u200c":                            "invisible",
		"\u200d🤖":                            "invisible",
		"م\u200c\u200cم":                     "invisible",
		"a\u00adb":                           "invisible",
		"a\u2060b":                           "invisible",
		"a\u2063b":                           "invisible",
		"a\u034fb":                           "invisible",
		"\u115f":                             "invisible",
		"\u3164":                             "invisible",
		"\uffa0":                             "invisible",
		"\u2800":                             "invisible",
		"a\ufe00b":                           "invisible",
		"a\ufe0f":                            "invisible",
		"🤖\ufe0f\ufe0f":                      "invisible",
		"葛\U000E0100":                        "invisible",
		"\ue000":                             "private-use character in it, U+E000 at position 1",
		"a\U00100000":                        "private-use",
		"a\u0378":                            "unassigned character in it, U+0378 at position 2",
		"a\uffff":                            "unassigned",
		"a\ufffa":                            "invisible",
		"\u0301a":                            "begins with U+0301",
		"  ":                                 "nothing but spaces",
		" a":                                 "begins or ends",
		"a\u00a0":                            "begins or ends",
		"a" + strings.Repeat(" ", 63) + "\t": "characters",
	} {
		f := apierr.CheckName("tags[2]", bad)
		if len(f) != 1 || f[0].Field != "tags[2]" || !strings.Contains(f[0].Message, reason) {
			t.Errorf("%q: %v, want %q", bad, f, reason)
		}
	}
}

func TestHiddenCharactersAreRefused(t *testing.T) {
	t.Parallel()
	taken := map[rune]bool{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		// the planes of private and no characters: some of them
		if !utf8.ValidRune(r) || (r >= 0x40000 && r%251 != 0 && (r < 0xE0000 || r > 0xE1000)) {
			continue
		}
		seen := unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) // letters, marks, numbers, punctuation, symbols, spaces
		ignorable := unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
		good := apierr.CheckName("name", "a"+string(r)+"b") == nil
		if good && (!seen || ignorable) {
			taken[r] = true
		}
		if !good && seen && !ignorable && r != '\u2800' {
			t.Errorf("%U is refused", r)
		}
		if good != apierr.Printable("a"+string(r)+"b") {
			t.Errorf("%U is good in one text and not in another", r)
		}
	}
	if len(taken) > 0 {
		t.Errorf("%d hidden characters are taken: %U", len(taken), slices.Sorted(maps.Keys(taken)))
	}
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	if f := apierr.CheckText("note", "", 3); f != nil {
		t.Errorf("%v", f)
	}
	for bad, want := range map[string]string{"abcd": "has 4 characters; at most 3 are allowed.",
		"a\u200b": "has an invisible character in it, U+200B at position 2; remove it.",
		"\xff":    "is not valid UTF-8 text."} {
		if f := apierr.CheckText("note", bad, 3); len(f) != 1 || f[0].Field != "note" || f[0].Message != want {
			t.Errorf("%q: %v", bad, f)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a\u200bb\U000E0041": "ab",
		"two\nlines\tand\u2028more": "two lines and more", "a\x1b[31m\xff": "a[31m", "❤️ 👩\u200d🔬": "❤️ 👩\u200d🔬",
		"\u202eabc": "abc"} {
		if got := apierr.Visible(in); got != want || !apierr.Printable(got) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
