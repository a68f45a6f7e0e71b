package client

import (
	"errors"
	"strconv"
	"strings"
)

// Money is an exact amount in micro-dollars: 1 US dollar is 1,000,000. It can be negative. In JSON
// it is a number of US dollars with at most six decimals.
type Money int64

// Dollar is one US dollar, Cent one US cent.
const (
	Dollar Money = 1_000_000
	Cent   Money = Dollar / 100
)

// ErrMoney is the error of ParseMoney for an invalid amount.
var ErrMoney = errors.New("client: not an amount in US dollars with at most six decimals")

// Dollars returns n US dollars. n must be within ±9,223,372,036,854.
func Dollars(n int64) Money { return Money(n) * Dollar }

// ParseMoney parses a decimal number of US dollars, such as "12", "-0.5" or "2.490001". It never
// rounds: exponents, spaces, plus and dollar signs, more than six decimals, and amounts outside an
// int64 of micro-dollars are ErrMoney.
func ParseMoney(s string) (Money, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, dotted := strings.Cut(digits, ".")
	notDigit := func(r rune) bool { return r < '0' || r > '9' }
	if whole == "" || dotted && fraction == "" || len(fraction) > 6 || strings.ContainsFunc(whole+fraction, notDigit) {
		return 0, ErrMoney
	}
	text := whole + fraction + strings.Repeat("0", 6-len(fraction))
	if negative {
		text = "-" + text
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, ErrMoney
	}
	return Money(n), nil
}

// Decimal returns the shortest decimal number of dollars, which ParseMoney accepts: "2.49", "50",
// "-0.000001".
func (m Money) Decimal() string {
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "-", -n
	}
	s := sign + strconv.FormatUint(n/uint64(Dollar), 10)
	if fraction := n % uint64(Dollar); fraction != 0 {
		digits := strconv.FormatUint(uint64(Dollar)+fraction, 10)[1:]
		s += "." + strings.TrimRight(digits, "0")
	}
	return s
}

// String returns the amount with at least two decimals, and as many as it has: "$50.00",
// "-$0.000001".
func (m Money) String() string {
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

// MarshalJSON encodes the amount as a JSON number of US dollars.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.Decimal()), nil }

// UnmarshalJSON decodes a JSON number of US dollars. The error is ErrMoney for null and for what
// ParseMoney rejects.
func (m *Money) UnmarshalJSON(b []byte) error {
	v, err := ParseMoney(string(b))
	if err != nil {
		return err
	}
	*m = v
	return nil
}
