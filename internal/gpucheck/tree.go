package gpucheck

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// element is an element of nvidia-smi's XML. The driver's versions move and rename elements, and
// write a text where another version has elements, so it is read as a tree of whatever is there.
type element struct {
	name, id, text string
	children       []*element
}

// Bounds of a document that is read.
const (
	maxDepth    = 32
	maxElements = 200_000
	maxPerGPU   = 5000 // elements within one of the outermost's; the rest is left out
	maxValue    = 1000 // bytes of text
)

var errNotReadable = errors.New("not readable")

// parseXML reads a document and returns its outermost element.
func parseXML(text []byte) (*element, error) {
	if i := bytes.IndexByte(text, '<'); i > 0 {
		text = text[i:] // a warning before it
	}
	text = bytes.Map(func(r rune) rune { // names of processes may hold anything
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, text)
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false // they may hold a bare &, too
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	open := []*element{{}}
	for n, within := 0, 0; ; {
		token, err := d.Token()
		if err != nil {
			return nil, errNotReadable
		}
		last := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if n++; n > maxElements || len(open) > maxDepth {
				return nil, errNotReadable
			}
			e := &element{name: t.Name.Local}
			for _, a := range t.Attr {
				if a.Name.Local == "id" {
					e.id = a.Value
				}
			}
			if within++; len(open) <= 2 {
				within = 0
			}
			if within <= maxPerGPU {
				last.children = append(last.children, e)
			}
			open = append(open, e)
		case xml.CharData:
			last.text += string(t[:min(len(t), maxValue-len(last.text))])
		case xml.EndElement:
			if len(open) == 1 {
				return nil, errNotReadable
			}
			if open = open[:len(open)-1]; len(open) == 1 {
				return open[0].children[0], nil
			}
		}
	}
}

// at returns the element at a path such as pci/pci_bus_id, or an empty one.
func (e *element) at(path string) *element {
	for name := range strings.SplitSeq(path, "/") {
		next := &element{}
		for _, c := range e.children {
			if c.name == name {
				next = c
				break
			}
		}
		e = next
	}
	return e
}

// value returns the text at a path, "" if the driver does not report it. Drivers have many words
// for that.
func (e *element) value(path string) string {
	text := strings.Trim(strings.TrimSpace(e.at(path).text), "[]")
	switch lower := strings.ToLower(text); {
	case lower == "n/a", lower == "unknown", lower == "err!", strings.HasPrefix(lower, "not supported"),
		strings.Contains(lower, "deprecated"), strings.Contains(lower, "unknown error"),
		strings.Contains(lower, "insufficient permission"):
		return ""
	}
	return text
}

// each calls f for the element and all below it.
func (e *element) each(f func(*element)) {
	f(e)
	for _, c := range e.children {
		c.each(f)
	}
}
