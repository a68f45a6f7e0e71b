package architecture_test

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

// banned are the words of docs/glossary.md that no text and no name may use, where they are
// unambiguous. A name is read as its words: lookEvery is "look Every".
var banned = []struct{ words, instead string }{
	{`rooms?`, "package"},
	{`halls?`, "core"},
	{`houses?`, "server, packages, repository"},
	{`ground`, "foundation packages"},
	{`doors?`, "auth mode"},
	{`desks?`, "Service"},
	{`sheds?`, "package"},
	{`lanes?`, "queue, worker"},
	{`crowds?`, "limit, batch"},
	{`verbs?`, "command"},
	{`findings|(?:a|an|the|each|this|that|one|every|its|no|new|open|kind of) finding`, "issue, orphan"},
	{`unowned|ghosts?|forsaken|give (?-i:Up)`, "orphan, abandon"},
	{`persons?|people`, "user, member"},
	{`whoever|somebody|nobody`, "name who it is: the user, the operator, the caller"},
	{`he|she|him|his|her|hers|himself|herself`, "the user, the client, they, it"},
	{`anew`, "again"},
	{`amiss`, "wrong"},
	{`to be had`, "available"},
	{`for ever`, "forever, indefinitely"},
	{`ever later`, "with backoff"},
	{`mend(?:s|ed|ing)?`, "fix"},
	{`(?:come|comes|came|coming) back`, "is released, returns"},
	{`set aside|sets aside|held back|kept back`, "hold, held"},
	{`overdrawn|arrears`, "past due"},
	{`(?:tell|tells|told|say|says|telling) whether`, "reports whether"},
	{`looks?|looked|looking`, "poll, reconcile, check, read, inspect"},
	{`(?:go|goes|went|going) round`, "poll, reconcile, repeat"},
	{`strikes?|struck|striking|hinder(?:s|ed)?`, "inject a fault"},
	{`allowances?`, "spending limit"},
	{`ability|abilities`, "capability"},
	{`planned ends?|ends? by itself`, "auto-terminate"},
	{`e mail|e-mails?`, "email"},
	{`per cent`, "percent"},
	{`colours?|coloured|behaviours?|favours?|honours?|honoured|licences?|catalogues?|neighbours?|programmes?`,
		"US spelling"},
	{`recognis\w+|organis\w+|authoris\w+|initialis\w+|normalis\w+|serialis\w+|summaris\w+`, "US spelling"},
}

// allowed are phrases in which a banned word means something else. The text is checked without
// them.
var allowed = regexp.MustCompile(`(?i)\b(?:` + strings.Join([]string{
	`look(?:s|ed|ing)?[ -]?ups?`,     // a lookup in a table
	`look(?:s|ed|ing)? (?:like|for)`, // resembles; searches
	`(?-i:Look Path|Look up \w+)`,    // names of the standard library
	`(?:fmt|HTTP|formatting) verbs?`, // the field's own term
	`PCIe lanes?`,                    // hardware
	// the Unix account
	`(?:the user|u|chown|sh) nobody|nobody(?::x:65534:65534:nobody|\\n65534|-of-that-name)|ubuntu", "nobody`,
	`natural persons?`,                 // in a license or a law
	`aria person`,                      // none of ours
	`in-house`,                         // plain English
	`licences?(?: of the| file)? SPDX`, // a name of SPDX
}, "|") + `)\b`)

// testNames are left out of documents: a test's name is checked where the test is.
var testNames = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// plainWords splits names into their words.
func plainWords(text string) string {
	return strings.ReplaceAll(camel.ReplaceAllString(text, "$1 $2"), "_", " ")
}

var bannedWord = func() []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, b := range banned {
		out = append(out, regexp.MustCompile(`(?i)\b(?:`+b.words+`)\b`))
	}
	return out
}()

// suspicious is a word with which a banned phrase ends. Few lines have one, and only those are
// compared with every phrase, which takes long.
var suspicious = func() *regexp.Regexp {
	var ends []string
	for _, b := range banned {
		ends = append(ends, lastWords(b.words)...)
	}
	return regexp.MustCompile(`^(?i:` + strings.Join(ends, "|") + `)$`)
}()

// lastWords returns the last word of each alternative of a regular expression. Spaces, hyphens and
// bars in parentheses separate nothing.
func lastWords(words string) []string {
	depth, out := 0, []string{""}
	for _, r := range words {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		last := &out[len(out)-1]
		switch {
		case depth == 0 && r == '|':
			out = append(out, "")
		case depth == 0 && (r == ' ' || r == '-'):
			*last = ""
		default:
			*last += string(r)
		}
	}
	return out
}

// isSuspicious remembers what suspicious says of each word.
var isSuspicious = map[string]bool{}

// hasSuspicious reports whether the text has a suspicious word.
func hasSuspicious(text string) bool {
	begin := 0
	word := func(end int) bool {
		w := text[begin:end]
		is, known := isSuspicious[w]
		if !known {
			is = suspicious.MatchString(w)
			isSuspicious[strings.Clone(w)] = is
		}
		return is
	}
	for i := range len(text) {
		switch c := text[i]; {
		case !isWordByte(c):
			if begin < i && word(i) {
				return true
			}
			begin = i + 1
		case c >= 'A' && c <= 'Z' && begin < i && (text[i-1] < 'A' || text[i-1] > 'Z'): // as in plainWords
			if word(i) {
				return true
			}
			begin = i
		}
	}
	return begin < len(text) && word(len(text))
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// isGlossary reports whether the file lists the banned words itself.
func isGlossary(f file) bool {
	return f.path == "docs/glossary.md" || f.path == "test/architecture/language_test.go"
}

// bannedWordsIn returns a message for each banned word in the text.
func bannedWordsIn(text string) []string {
	if !hasSuspicious(text) {
		return nil
	}
	plain := allowed.ReplaceAllString(plainWords(text), " ")
	var out []string
	for i, word := range bannedWord {
		if hit := word.FindString(plain); hit != "" {
			out = append(out, fmt.Sprintf("%q is banned; use %s", hit, banned[i].instead))
		}
	}
	return out
}

// TestSuspicious: each banned phrase ends with a suspicious word, so none is overlooked.
func TestSuspicious(t *testing.T) {
	for _, text := range []string{
		"room", "a finding", "kind of finding", "give Up", "giveUp", "to be had", "For ever", "came back", "kept back",
		"tells whether", "went round", "planned end", "end by itself", "e-mails", "e_mail", "per cent", "honoured",
		"LICENCES", "recognising", "Ever later", "NextHouse",
	} {
		if !hasSuspicious(text) || len(bannedWordsIn(text)) == 0 {
			t.Errorf("%q: got suspicious %t and %v, want a violation", text, hasSuspicious(text), bannedWordsIn(text))
		}
	}
}

func TestTextsUseTheGlossarysWords(t *testing.T) {
	for _, f := range allFiles(t) {
		if isGlossary(f) {
			continue
		}
		if path.Ext(f.path) == ".md" {
			f.text = testNames.ReplaceAllString(f.text, "")
		}
		name := strings.NewReplacer("-", " ", ".", " ").Replace(path.Base(f.path))
		for _, v := range bannedWordsIn(name) {
			t.Errorf("%s: the file's name: %s", f.path, v)
		}
		i := 0
		for line := range strings.Lines(f.text) {
			i++
			for _, v := range bannedWordsIn(line) {
				t.Errorf("%s:%d: %s", f.path, i, v)
			}
		}
	}
}

func TestBannedWords(t *testing.T) {
	for text, want := range map[string]int{
		"lookEvery time.Duration":                  1,
		"a ROOM_COUNT of 3":                        1,
		"bedrooms, warehouses and foreground":      0,
		"backgroundColor":                          0,
		"os.LookupEnv looks up what it looks like": 0,
		"exec.LookPath(name)":                      0,
		"finding the offer":                        0,
		"one finding":                              1,
		"func giveUp()":                            1,
		"LOOKED, or it is to be had":               2,
		"one kind of finding":                      1,
		"an e-mail comes back for ever":            3,
		"do not give up":                           0,
		"Each person tells whether it is amiss.":   3,
	} {
		if got := bannedWordsIn(text); len(got) != want {
			t.Errorf("%q: got %d violations, want %d: %v", text, len(got), want, got)
		}
	}
}
