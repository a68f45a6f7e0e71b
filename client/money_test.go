package client_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/billetcloud/billet/client"
)

func TestMoney(t *testing.T) {
	for text, m := range map[string]client.Money{
		"0": 0, "50": client.Dollars(50), "2.49": 249 * client.Cent, "-0.000001": -1,
		"0.1": 100_000, "1.000001": 1_000_001,
		"9223372036854.775807": math.MaxInt64, "-9223372036854.775808": math.MinInt64,
		"9007199254.740993": 9007199254740993,
	} {
		if got, err := client.ParseMoney(text); err != nil || got != m || m.Decimal() != text {
			t.Errorf("%s is %d (%v), and back %s", text, got, err, m.Decimal())
		}
		b, err := json.Marshal(m)
		var back client.Money
		if err != nil || string(b) != text || json.Unmarshal(b, &back) != nil || back != m {
			t.Errorf("%s in JSON is %s, and back %d", text, b, back)
		}
	}
	for m, want := range map[client.Money]string{
		0: "$0.00", client.Dollars(50): "$50.00", -1: "-$0.000001", 2_500_000: "$2.50", 1_234_567: "$1.234567",
	} {
		if m.String() != want {
			t.Errorf("%d is %s", int64(m), m)
		}
	}
	for _, text := range []string{
		"", "-", ".5", "5.", "+1", "1e3", " 1", "$1", "1.0000001", "1,5", "9223372036854.775808", "--1", "0x1", "null",
	} {
		if got, err := client.ParseMoney(text); !errors.Is(err, client.ErrMoney) {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func FuzzParseMoney(f *testing.F) {
	for _, s := range []string{"1", "-0.000001", "9223372036854.775807", "1e3", "00.10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := client.ParseMoney(s)
		if err != nil {
			return
		}
		if back, err := client.ParseMoney(m.Decimal()); err != nil || back != m {
			t.Errorf("%q is %d, and %s is %d (%v)", s, m, m.Decimal(), back, err)
		}
	})
}
