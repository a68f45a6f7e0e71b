package money_test

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/billetcloud/billet/internal/money"
	"pgregory.net/rapid"
)

func TestDecimalAndString(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in            money.Micros
		decimal, text string
	}{
		{0, "0", "$0.00"},
		{money.Dollars(50), "50", "$50.00"},
		{2_490_000, "2.49", "$2.49"},
		{1, "0.000001", "$0.000001"},
		{-1_500_000, "-1.5", "-$1.50"},
		{-1 << 63, "-9223372036854.775808", "-$9223372036854.775808"},
	} {
		if got := c.in.Decimal(); got != c.decimal {
			t.Errorf("Decimal(%d) = %q, want %q", int64(c.in), got, c.decimal)
		}
		if got := c.in.String(); got != c.text {
			t.Errorf("String(%d) = %q, want %q", int64(c.in), got, c.text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "-", ".", "1.", ".5", "1.0000001", "1e3", "+1", " 1", "1 ", "0x1", "1,5", "--1",
		"9223372036855", "NaN", "1.-5", `"1"`} {
		if v, err := money.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %d, want an error", s, v)
		}
	}
}

func TestAmountsRoundTripAsJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := money.Micros(rapid.Int64Min(-1<<63+1).Draw(t, "micros"))
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back money.Micros
		if err := json.Unmarshal(b, &back); err != nil || back != m {
			t.Fatalf("%d became %s became %d (%v)", m, b, back, err)
		}
	})
}

func TestForSecondsRoundsHalfUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(0, 1<<62).Draw(t, "rate")
		seconds := rapid.Int64Range(0, money.HourSeconds).Draw(t, "seconds")
		// floor((2·rate·seconds + 3600) / 7200) in unbounded integers.
		n := new(big.Int).Mul(big.NewInt(rate), big.NewInt(seconds))
		n.Lsh(n, 1).Add(n, big.NewInt(money.HourSeconds)).Quo(n, big.NewInt(2*money.HourSeconds))
		if got := money.ForSeconds(money.Micros(rate), seconds); int64(got) != n.Int64() {
			t.Fatalf("ForSeconds(%d, %d) = %d, want %s", rate, seconds, got, n)
		}
	})
}

func TestForSeconds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hourly  money.Micros
		seconds int64
		want    money.Micros
	}{
		{1799, 1, 0}, {1800, 1, 1}, {5399, 1, 1}, {5400, 1, 2}, {7, money.HourSeconds, 7}, {7, 0, 0},
	} {
		if got := money.ForSeconds(c.hourly, c.seconds); got != c.want {
			t.Errorf("ForSeconds(%d, %d) = %d, want %d", c.hourly, c.seconds, got, c.want)
		}
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	if got := money.Dollars(10).Percent(1250); got != 11_250_000 {
		t.Errorf("10 USD and 12.5 %% = %s", got)
	}
}

func TestOverflowPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("an amount that does not fit was returned")
		}
	}()
	money.Micros(1 << 62).Times(4)
}
