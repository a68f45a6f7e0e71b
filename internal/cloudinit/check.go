package cloudinit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
	"go.yaml.in/yaml/v4"
)

// MaxBytes is how long a text may be.
const MaxBytes = 64 << 10

// maxValues is how many values a text may have once its aliases are followed.
const maxValues = 20_000

// maxProblems is how many problems are reported at once.
const maxProblems = 20

// Problem is one thing that is wrong with a text.
type Problem struct {
	// Line and Column count from 1, as editors do; 0 if the problem is about the whole text.
	Line, Column int
	// Message continues after the place, or after the name of the field that holds the text. It is
	// in whole sentences, in terms of YAML.
	Message string
}

// String returns the place and the message.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, p.Message)
}

// Sentences returns the problems as texts.
func Sentences(problems []Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.String())
	}
	return all
}

// Trim returns the text as it is given to a machine: without blank lines before its first line,
// which cloud-init ignores and some clouds do not.
func Trim(s string) string { return strings.TrimLeft(s, " \t\r\n") }

// Check returns everything that is wrong with a text: its form, its keys, and the types of their
// values. cloud-init reads what it accepts.
func Check(s string) []Problem {
	_, problems := Parse(s)
	return problems
}

// Parse reads a text, or returns everything that is wrong with it.
func Parse(s string) (*Document, []Problem) {
	root, problem := parse(s)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	d := &Document{}
	if root == nil {
		return d, nil
	}
	c := &checker{}
	c.value(root, &shape{fields: keys}, "")
	if len(c.problems) == 0 {
		d.read(c, root)
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return d, nil
}

// forms are other forms of user data that cloud-init takes, by how they begin.
var forms = []struct{ prefix, name, instead string }{
	{"#!", "a script", "Put its commands under runcmd."},
	{"content-type:", "a multipart message", "Give its cloud-config part alone."},
	{"mime-version:", "a multipart message", "Give its cloud-config part alone."},
	{"## template: jinja", "a Jinja template", "Fill it in first."},
	{"#include", "a list of addresses to include", "Give what is there instead."},
	{"#cloud-config-archive", "a cloud-config archive", "Give one cloud-config instead."},
	{"#cloud-config-jsonp", "a cloud-config patch", "Give the cloud-config itself."},
	{"#cloud-boothook", "a boothook", "Put its commands under bootcmd."},
	{"#part-handler", "a part handler", "Put what it does under runcmd."},
	{"#upstart-job", "an Upstart job", "Write it with write_files."},
	{"\x1f\x8b", "compressed", "Give the text itself."},
	{"i2nsb3vklwnvbmzpz", "encoded in base64", "Give the text itself."},
}

// parse returns the mapping of a text; nil if there are only comments.
func parse(s string) (*yaml.Node, *Problem) {
	whole := func(format string, args ...any) (*yaml.Node, *Problem) {
		return nil, &Problem{Message: fmt.Sprintf(format, args...)}
	}
	trimmed := Trim(s)
	first, _, _ := strings.Cut(trimmed, "\n")
	first = strings.TrimRight(first, " \t\r")
	switch {
	case len(s) > MaxBytes:
		return whole("has %d bytes; at most %d are allowed.", len(s), MaxBytes)
	case first != "#cloud-config":
		for _, f := range forms {
			if strings.HasPrefix(strings.ToLower(trimmed), f.prefix) {
				return whole(
					`is %s; only a cloud-config is taken, which begins with the line "#cloud-config". %s`,
					f.name,
					f.instead,
				)
			}
		}
		return whole(`must be a cloud-config, which begins with the line "#cloud-config".`)
	case !utf8.ValidString(s):
		return whole("must be UTF-8.")
	}
	for i, line := range strings.Split(s, "\n") {
		for at, r := range line {
			if unicode.IsControl(r) && r != '\t' && r != '\r' && r != '\u0085' {
				return nil, &Problem{
					i + 1,
					utf8.RuneCountInString(line[:at]) + 1,
					fmt.Sprintf("has the control character U+%04X; remove it.", r),
				}
			}
		}
	}
	documents := yaml.NewDecoder(strings.NewReader(s))
	var doc yaml.Node
	if err := documents.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntax(err)
	}
	var second yaml.Node
	if err := documents.Decode(&second); err == nil {
		return nil, &Problem{second.Line, second.Column, "a second YAML document begins here; only one is taken."}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	if root := doc.Content[0]; root.Kind != yaml.MappingNode {
		return nil, &Problem{root.Line, root.Column, "must be a mapping of keys such as packages and runcmd to values."}
	}
	return doc.Content[0], nil
}

// syntax returns where a text is not YAML.
func syntax(err error) *Problem {
	if e, is := errors.AsType[*yaml.LoadError](err); is {
		return &Problem{
			e.Mark.Line,
			max(e.Mark.Column, min(e.Mark.Line, 1)),
			"is not valid YAML: " + printable(e.Message) + ".",
		}
	}
	return &Problem{Message: "is not valid YAML."}
}

// printable returns a text of limited length without control characters, for a message.
func printable(s string) string {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// checker compares values with shapes and collects the differences.
type checker struct {
	problems []Problem
	values   int
}

func (c *checker) add(n *yaml.Node, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{n.Line, n.Column, fmt.Sprintf(format, args...)})
	}
}

// value checks one value. name is its path, "" for the whole text.
func (c *checker) value(n *yaml.Node, s *shape, name string) {
	c.values++
	if c.values == maxValues {
		c.add(n, "the text has more than %d values once its aliases are followed.", maxValues)
	}
	if c.values >= maxValues {
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.MappingNode && (s.any || s.fields != nil || s.others != nil):
		c.mapping(n, s, name)
	case n.Kind == yaml.SequenceNode && (s.any || s.items != nil):
		for i, item := range n.Content {
			items := s.items
			if items == nil {
				items = s
			}
			c.value(item, items, fmt.Sprintf("%s[%d]", name, i))
		}
	case n.Kind == yaml.ScalarNode && (s.any || fits(n, s)):
	default:
		c.add(n, "%s must be %s, not %s.", name, s, describe(n))
	}
}

func (c *checker) mapping(n *yaml.Node, s *shape, name string) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			c.add(key, "a key must be a plain word.")
			continue
		}
		if key.Tag == "!!merge" {
			c.add(key, "merge keys (<<) are not taken; write the keys out.")
			continue
		}
		path := join(name, key.Value)
		if seen[key.Value] {
			c.add(key, "%s is given twice.", path)
			continue
		}
		seen[key.Value] = true
		switch known := s.fields[key.Value]; {
		case known != nil:
			c.value(value, known, path)
		case s.others != nil:
			c.value(value, s.others, path)
		case s.any:
			c.value(value, anything, path)
		default:
			c.add(key, "%s", unknown(path, key.Value, name, s))
		}
	}
	for _, want := range s.required {
		if !seen[want] {
			c.add(n, "%s is required.", join(name, want))
		}
	}
}

// unknown returns the message for a key that is not known at its place.
func unknown(path, key, parent string, s *shape) string {
	known := slices.Sorted(maps.Keys(s.fields))
	where := "a cloud-config"
	if parent != "" {
		where = parent
	}
	message := printable(path) + " is not a key of " + where + "."
	if near := apierr.Nearest(key, known); near != "" {
		return message + " Did you mean " + near + "?"
	}
	if parent != "" && len(known) <= 10 {
		return message + " It takes " + strings.Join(known, ", ") + "."
	}
	return message
}

// join returns the path of a key of the mapping with that name.
func join(name, key string) string {
	if name == "" {
		return printable(key)
	}
	return name + "." + printable(key)
}

// fits reports whether a plain value is of one of the kinds. cloud-init reads YAML 1.1, in which
// yes, no, on and off are booleans too.
func fits(n *yaml.Node, s *shape) bool {
	kind := kindOf(n)
	if kind == integer && slices.Contains(s.scalars, number) {
		return true
	}
	if !slices.Contains(s.scalars, kind) {
		return false
	}
	return kind != text || len(s.words) == 0 || len(s.scalars) > 1 || slices.Contains(s.words, n.Value)
}

func kindOf(n *yaml.Node) scalar {
	switch n.Tag {
	case "!!bool":
		return boolean
	case "!!int":
		return integer
	case "!!float":
		return number
	case "!!null":
		return null
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		switch strings.ToLower(n.Value) {
		case "yes", "no", "on", "off":
			return boolean
		}
	}
	return text
}

// describe returns what a value is, for "not …".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch kind := kindOf(n); kind {
	case null:
		return "empty"
	case text:
		return strconv.Quote(printable(n.Value))
	default:
		return printable(n.Value) + " (" + strings.TrimPrefix(string(kind), "a ") + "; quote it to make it a string)"
	}
}

// String returns what fits.
func (s *shape) String() string {
	var all []string
	for _, kind := range s.scalars {
		if word := string(kind); kind != null && !slices.Contains(all, word) && !(kind == text && len(s.words) > 0) {
			all = append(all, word)
		}
	}
	if len(s.words) > 0 {
		all = append(all, "one of "+strings.Join(s.words, ", "))
	}
	if s.items != nil {
		all = append(all, "a list")
	}
	if s.fields != nil || s.others != nil {
		all = append(all, "a mapping")
	}
	return strings.Join(all, " or ")
}
