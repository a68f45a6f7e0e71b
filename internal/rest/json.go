package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
)

// maxDepth limits the nesting of a body, far above what any request needs.
const maxDepth = 16

// Encode returns v as compact JSON. It panics where v cannot be encoded, which is a bug.
func Encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("rest: cannot encode %T: %v", v, err))
	}
	return b.Bytes()[:b.Len()-1]
}

// parse reads one JSON value strictly: objects become map[string]any, numbers stay json.Number. It
// refuses what encoding/json accepts: invalid UTF-8, a duplicate name, anything after the value. A
// syntax error is the only error reported; otherwise the value can be used beside the errors.
func parse(body []byte) (any, []apierr.FieldError) {
	if !utf8.Valid(body) {
		return nil, []apierr.FieldError{{Field: "body", Message: "is not valid UTF-8."}}
	}
	var probe json.RawMessage
	if err := json.Unmarshal(body, &probe); err != nil {
		message := "is not valid JSON: " + strings.TrimPrefix(err.Error(), "json: ") + "."
		if syntax, is := errors.AsType[*json.SyntaxError](err); is &&
			strings.HasSuffix(syntax.Error(), "exceeded max depth") {
			message = errDepth.Error()
		} else if syntax != nil {
			line := 1 + bytes.Count(body[:min(int(syntax.Offset), len(body))], []byte("\n"))
			message = fmt.Sprintf("is not valid JSON: %s (line %d, byte %d).", syntax.Error(), line, syntax.Offset)
		}
		return nil, []apierr.FieldError{{Field: "body", Message: message}}
	}
	p := reader{d: json.NewDecoder(bytes.NewReader(body))}
	p.d.UseNumber()
	v, err := p.value("", 0)
	if err != nil {
		return nil, []apierr.FieldError{{Field: "body", Message: err.Error()}}
	}
	return v, p.invalid
}

type reader struct {
	d       *json.Decoder
	invalid []apierr.FieldError
}

var errDepth = fmt.Errorf("is nested more than %d levels deep.", maxDepth)

func (p *reader) value(path string, depth int) (any, error) {
	t, err := p.d.Token()
	if err != nil {
		return nil, errors.New("is not valid JSON.")
	}
	open, isDelim := t.(json.Delim)
	if !isDelim {
		return t, nil
	}
	if depth == maxDepth {
		return nil, errDepth
	}
	if open == '[' {
		list := []any{}
		for p.d.More() {
			v, err := p.value(path+"["+strconv.Itoa(len(list))+"]", depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := p.d.Token()
		return list, err
	}
	object := map[string]any{}
	for p.d.More() {
		t, err := p.d.Token()
		if err != nil {
			return nil, err
		}
		name := t.(string) // More and a valid text: the next token is a name
		at := join(path, name)
		v, err := p.value(at, depth+1)
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			p.invalid = append(
				p.invalid,
				apierr.FieldError{Field: Shown(at), Message: "is given more than once; send it once."},
			)
		}
		object[name] = v
	}
	_, err = p.d.Token()
	return object, err
}

// join is the path of a name. An empty name is quoted, because an empty path means the body.
func join(path, name string) string {
	if name == "" {
		name = `""`
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// Shown makes a text of the client's fit to be repeated in a message.
func Shown(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, name)
	if r := []rune(clean); len(r) > 64 {
		clean = string(r[:64]) + "…"
	}
	return clean
}
