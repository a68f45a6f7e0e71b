package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Span is a length of time in seconds that is left to chance: half of the lengths are between Min
// and Median, half between Median and Max, and the more seldom the longer. The zero value is none.
type Span struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// Exactly is the span of that one length.
func Exactly(seconds float64) Span { return Span{seconds, seconds, seconds} }

// ParseSpan reads "5", "1-5" and, least, median and most, "30-240-1500".
func ParseSpan(s string) (Span, error) {
	parts := strings.Split(s, "-")
	var n [3]float64
	err := fmt.Errorf("%q are no seconds; write 5, 1-5, or the least, the median and the most: 30-240-1500", s)
	if len(parts) > len(n) {
		return Span{}, err
	}
	for i, p := range parts {
		var e error
		if n[i], e = strconv.ParseFloat(p, 64); e != nil || !(n[i] <= maxSeconds) {
			return Span{}, err
		}
	}
	if n[len(parts)-1] == 0 {
		return Span{}, err
	}
	switch len(parts) {
	case 1:
		return Exactly(n[0]), nil
	case 2:
		return Span{n[0], (n[0] + n[1]) / 2, n[1]}, nil
	}
	return Span{n[0], n[1], n[2]}, nil
}

// String is what ParseSpan reads.
func (s Span) String() string {
	write := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	switch {
	case s.Min == s.Max:
		return write(s.Min)
	case s.Median == (s.Min+s.Max)/2:
		return write(s.Min) + "-" + write(s.Max)
	}
	return write(s.Min) + "-" + write(s.Median) + "-" + write(s.Max)
}

// pick returns the length that belongs to a random number.
func (s Span) pick(random uint64) time.Duration {
	u := float64(random>>11) / (1 << 53)
	seconds := s.Min + (s.Median-s.Min)*2*u
	if u >= 0.5 {
		v := 2*u - 1
		seconds = s.Median + (s.Max-s.Median)*v*v*v
	}
	return time.Duration(seconds * float64(time.Second))
}
