package rackagent

import (
	"strings"
	"unicode"
)

// maxText is how many characters a line on the console, or the message of an error, may have: parts
// of them come from servers of tenants.
const maxText = 300

// printable returns the beginning of a text without what a terminal would act on.
func printable(text string) string {
	var out strings.Builder
	n := 0
	for _, r := range text {
		switch {
		case n == maxText:
			return out.String()
		case r == '\n' || r == '\t':
			r = ' '
		case !unicode.IsPrint(r) || r == unicode.ReplacementChar:
			continue
		}
		out.WriteRune(r)
		n++
	}
	return out.String()
}

// say writes a line to the machine's console.
func (a *Agent) say(line string) { a.Say(printable(line)) }
