package gpucheck

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// killed is the exit code of a command that took too long.
const killed = 137

// section is the output of one command of the script.
type section struct {
	text  []byte
	code  int
	ended bool // the line with the code was there
}

// good reports whether the command ran and succeeded.
func (s *section) good() bool { return s != nil && s.ended && s.code == 0 }

// hung reports whether the command took too long.
func (s *section) hung() bool { return s != nil && s.ended && s.code == killed }

// firstLine is what a command that failed says first.
func (s *section) firstLine() string {
	for line := range bytes.Lines(s.text) {
		if text := clean(string(line)); text != "" {
			return text
		}
	}
	return ""
}

// sections is the whole output.
type sections struct {
	by      map[string]*section
	cut     bool
	missing string // a program without which the script cannot run
}

// get returns the section, or nil.
func (s sections) get(name string) *section { return s.by[name] }

// split reads the script's output. Lines of a command begin with |, so no command can write the
// others.
func split(output []byte) sections {
	s := sections{by: map[string]*section{}}
	if len(output) > MaxOutput {
		output, s.cut = output[:MaxOutput], true
	}
	var name string
	var open *section
	for line := range bytes.Lines(output) {
		line = bytes.TrimRight(line, "\r\n")
		if text, is := bytes.CutPrefix(line, []byte("|")); is {
			if open != nil {
				open.text = append(append(open.text, text...), '\n')
			}
			continue
		}
		words := strings.Fields(string(line[:min(len(line), 100)]))
		switch {
		case len(words) == 2 && words[0] == "@missing":
			s.missing = clean(words[1])
		case len(words) == 2 && words[0] == "@begin":
			name, open = words[1], &section{}
			if s.by[name] == nil { // the first counts
				s.by[name] = open
			}
		case len(words) == 3 && words[0] == "@end" && open != nil && words[1] == name:
			if code, err := strconv.Atoi(words[2]); err == nil {
				open.code, open.ended = code, true
			}
			open = nil
		}
	}
	return s
}

// collection reports whether everything was collected.
func (s sections) collection() Check {
	c := Check{CheckCollection, NotChecked, ""}
	switch done := s.get("done"); {
	case s.cut:
		c.Detail = fmt.Sprintf("The machine's output was cut after %d MiB, so the check is incomplete.", MaxOutput>>20)
	case s.missing != "":
		c.Detail = fmt.Sprintf("The check needs the program %s, which is not installed on the machine.", s.missing)
	case len(s.by) == 0:
		c.Detail = "The machine returned no output that could be read."
	case !done.good():
		c.Detail = "The check ended early, so it is incomplete."
	default:
		c.Verdict, c.Detail = Passed, "The check ran to its end."
	}
	return c
}

// maxText is how long a text of the machine may be in a report.
const maxText = 120

// clean makes one short line of a text from the machine.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text[:min(len(text), 8*maxText)])
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText-1]) + "…"
	}
	return text
}

// sentence ends a text that a machine wrote.
func sentence(text string) string { return strings.TrimRight(text, ". ") + "." }
