package money

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Micros is an amount of money in micro-dollars: 1 USD = 1,000,000. It may be negative. In JSON it
// is a number of US dollars with at most six decimals.
type Micros int64

// USD is one US dollar.
const USD Micros = 1_000_000

// HourSeconds is the number of seconds in a billed hour, regardless of the calendar.
const HourSeconds = 3600

// ErrFormat is returned for text that is not a decimal number of dollars with at most six decimals,
// or that does not fit into an int64 of micro-dollars.
var ErrFormat = errors.New("not an amount in US dollars with at most six decimals")

// Dollars returns n whole US dollars.
func Dollars(n int64) Micros { return Micros(n) * USD }

// Parse parses a decimal number of US dollars such as "12", "-0.5" or "2.490001". Exponents,
// spaces, signs other than a leading minus and more than six decimals are refused with ErrFormat:
// an amount that would have to be rounded is probably a typo.
func Parse(s string) (Micros, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, dotted := strings.Cut(digits, ".")
	if whole == "" || (dotted && fraction == "") || len(fraction) > 6 || !allDigits(whole) || !allDigits(fraction) {
		return 0, ErrFormat
	}
	sign := ""
	if negative {
		sign = "-"
	}
	n, err := strconv.ParseInt(sign+whole+fraction+strings.Repeat("0", 6-len(fraction)), 10, 64)
	if err != nil {
		return 0, ErrFormat
	}
	return Micros(n), nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Decimal returns the amount as the shortest decimal number of dollars: "2.49", "50", "-0.000001".
func (m Micros) Decimal() string {
	return string(m.appendDecimal(nil))
}

func (m Micros) appendDecimal(b []byte) []byte {
	n := uint64(m)
	if m < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendUint(b, n/uint64(USD), 10)
	f := n % uint64(USD)
	if f == 0 {
		return b
	}
	b = append(b, '.')
	for unit := uint64(USD) / 10; f > 0; unit /= 10 {
		b = append(b, '0'+byte(f/unit))
		f %= unit
	}
	return b
}

// String returns the amount for display: a dollar sign and at least two decimals, "$50.00",
// "-$0.000001".
func (m Micros) String() string {
	s, negative := strings.CutPrefix(m.Decimal(), "-")
	whole, fraction, _ := strings.Cut(s, ".")
	for len(fraction) < 2 {
		fraction += "0"
	}
	s = "$" + whole + "." + fraction
	if negative {
		return "-" + s
	}
	return s
}

// MarshalJSON writes the amount as a JSON number of dollars.
func (m Micros) MarshalJSON() ([]byte, error) { return m.appendDecimal(make([]byte, 0, 24)), nil }

// AppendJSON appends what MarshalJSON writes.
func (m Micros) AppendJSON(b []byte) []byte { return m.appendDecimal(b) }

// UnmarshalJSON reads a JSON number of dollars. A string, an exponent or more than six decimals are
// refused.
func (m *Micros) UnmarshalJSON(b []byte) error {
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*m = v
	return nil
}

// Value gives the database the amount in micro-dollars.
func (m Micros) Value() (driver.Value, error) { return int64(m), nil }

// Scan reads an amount in micro-dollars from the database.
func (m *Micros) Scan(src any) error {
	n, is := src.(int64)
	if !is {
		return fmt.Errorf("an amount must be an integer of micro-dollars, not %T", src)
	}
	*m = Micros(n)
	return nil
}

// ForSeconds returns the cost of so many seconds at an hourly rate, rounded half-up to the
// micro-dollar. Both must be at least zero. It panics otherwise, and if the result does not fit,
// because a wrong amount would be worse.
func ForSeconds(hourly Micros, seconds int64) Micros {
	return mulDivHalfUp(int64(hourly), seconds, HourSeconds)
}

// Times returns the amount multiplied by n, which is at least zero. It panics if the result does
// not fit.
func (m Micros) Times(n int64) Micros { return mulDivHalfUp(int64(m), n, 1) }

// Percent returns the amount raised by basis points: 1,000 basis points are ten percent. It rounds
// half-up. Both must be at least zero.
func (m Micros) Percent(basisPoints int64) Micros {
	return m + mulDivHalfUp(int64(m), basisPoints, 10_000)
}

func mulDivHalfUp(a, b, div int64) Micros {
	if a < 0 || b < 0 {
		panic(fmt.Sprintf("money: negative operand (%d × %d)", a, b))
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(div)/2, 0)
	hi += carry
	if hi >= uint64(div) {
		panic(fmt.Sprintf("money: %d × %d / %d overflows", a, b, div))
	}
	q, _ := bits.Div64(hi, lo, uint64(div))
	if q > 1<<63-1 {
		panic(fmt.Sprintf("money: %d × %d / %d overflows", a, b, div))
	}
	return Micros(q)
}
