package money_test

import (
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"testing"

	"github.com/billetcloud/billet/internal/money"
)

var amount = regexp.MustCompile(`^-?[0-9]+(\.[0-9]{1,6})?$`)

// What is an amount is read exactly, what is none is refused, and what is written is read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"0", "-0", "12", "-0.5", "2.490001", "9223372036854.775807", "9223372036854.775808", "-9223372036854.775808",
		"-9223372036854.775809", "00012.30",
		"", "-", ".", "1.", ".5", "1.0000001", "+1", "1e3", " 1", "1 ", "0x1", "1_000", "--1", "NaN", "١",
		"99999999999999999999",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := money.Parse(s)
		exact, ok := new(big.Rat).SetString(s)
		good := ok && amount.MatchString(s)
		if good {
			exact.Mul(exact, big.NewRat(int64(money.USD), 1))
			good = exact.Num().IsInt64()
		}
		if good != (err == nil) {
			t.Fatalf("%q: %d, %v", s, got, err)
		}
		if err != nil {
			return
		}
		if exact.Num().Int64() != int64(got) {
			t.Fatalf("%q is %s millionths, not %d", s, exact.Num(), got)
		}
		var unmarshalled money.Micros
		text, err := json.Marshal(got)
		if err == nil {
			err = json.Unmarshal(text, &unmarshalled)
		}
		again, err2 := money.Parse(got.Decimal())
		if err != nil || err2 != nil || unmarshalled != got || again != got {
			t.Fatalf("%d became %s, then %d and %d: %v, %v", got, text, unmarshalled, again, err, err2)
		}
	})
}

// A price for some seconds is the exact one, rounded half-up once, or refused by a panic where it
// does not fit.
func FuzzForSeconds(f *testing.F) {
	f.Add(int64(23_920_000), int64(3599))
	f.Add(int64(1), int64(1800))
	f.Add(int64(math.MaxInt64), int64(3600))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64))
	f.Add(int64(-1), int64(1))
	f.Fuzz(func(t *testing.T, hourly, seconds int64) {
		exact := new(big.Int).Mul(big.NewInt(hourly), big.NewInt(seconds))
		exact.Add(exact, big.NewInt(money.HourSeconds/2)).Div(exact, big.NewInt(money.HourSeconds))
		possible := hourly >= 0 && seconds >= 0 && exact.IsInt64()
		defer func() {
			if p := recover(); (p == nil) != possible {
				t.Errorf("%d × %d s: %v", hourly, seconds, p)
			}
		}()
		if got := money.ForSeconds(money.Micros(hourly), seconds); int64(got) != exact.Int64() {
			t.Errorf("%d × %d s: %d, not %s", hourly, seconds, got, exact)
		}
	})
}
