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

// limits are the most bytes that the script prints of each section. A test compares them with it.
var limits = map[string]int{
	"pci": 65536, "kernel": 65536, "ports": 65536, "drivers": 1024,
	"ready": 1024, "smi": 1048576, "topo": 65536, "nvlink": 131072, "devicequery": 131072, "cuda": 65536,
	"amdstatic": 262144, "amdmetric": 262144, "rocmsmi": 262144, "rocminfo": 262144,
	"dcgm": 262144, "nvbandwidth": 262144, "allreduce": 131072,
	"done": 0,
}

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
	cut     bool   // something was longer than the script prints
	missing string // a program without which the script cannot run
}

// get returns the section, or nil.
func (s sections) get(name string) *section { return s.by[name] }

// split reads the script's output. Lines of a command begin with |, so no command can write the
// others. The rest of a section that is longer than the script's is left out, and so is a section
// that the script does not have.
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
			switch {
			case open == nil:
			case len(open.text)+len(text) > limits[name]:
				_, known := limits[name]
				s.cut = s.cut || known
			default:
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
			if _, known := limits[name]; known && s.by[name] == nil { // the first counts
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
		c.Detail = "The machine printed too much, which was cut, so the check is incomplete."
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
