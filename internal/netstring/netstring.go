package netstring

import (
	"strconv"
	"time"
)

// Text appends the number of bytes in decimal, a colon, the text and a comma.
func Text(b []byte, text string) []byte {
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, ':')
	b = append(b, text...)
	return append(b, ',')
}

// Number appends a decimal number as Text.
func Number(b []byte, n int64) []byte {
	var digits [20]byte
	return Text(b, string(strconv.AppendInt(digits[:0], n, 10)))
}

// null begins like no other field.
const null = "-,"

// TextOrNull is Text. "" is null.
func TextOrNull(b []byte, text string) []byte {
	if text == "" {
		return append(b, null...)
	}
	return Text(b, text)
}

// NumberOrNull is Number. nil is null.
func NumberOrNull(b []byte, n *int64) []byte {
	if n == nil {
		return append(b, null...)
	}
	return Number(b, *n)
}

// TimeOrNull is Number of the microseconds since 1970. nil is null.
func TimeOrNull(b []byte, t *time.Time) []byte {
	if t == nil {
		return append(b, null...)
	}
	return Number(b, t.UnixMicro())
}
