package event

import (
	"database/sql/driver"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// data is the column of an event's data. It is read as any JSON, and written as encoding/json would
// write it, but without its reflection: each charged hour writes an event.
type data struct{ v *map[string]any }

func (d data) Value() (driver.Value, error) {
	b := make([]byte, 0, 512)
	b, err := appendData(b, *d.v)
	return string(b), err
}

func (d data) Scan(src any) error {
	return db.JSON(d.v).(interface{ Scan(src any) error }).Scan(src)
}

func appendData(b []byte, data map[string]any) (_ []byte, err error) {
	var few [16]string
	names := slices.AppendSeq(few[:0], maps.Keys(data))
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendText(b, name); err != nil {
			return nil, err
		}
		if b, err = appendValue(append(b, ':'), data[name]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendText(b, v)
	case id.ID:
		return appendText(b, string(v))
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case money.Micros:
		return v.AppendJSON(b), nil
	case time.Time:
		text, err := v.MarshalJSON()
		return append(b, text...), err
	}
	text, err := json.Marshal(v)
	return append(b, text...), err
}

func appendText(b []byte, s string) ([]byte, error) {
	if !plain(s) {
		text, err := json.Marshal(s)
		return append(b, text...), err
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}

// plain reports whether encoding/json would escape nothing in the text. It may be wrong about some
// texts that are plain.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == '"', c == '\\', c == '<', c == '>', c == '&', c == 0x7f:
			return false
		case c == 0xe2: // U+2028 begins with it
			return false
		}
	}
	return utf8.ValidString(s)
}
