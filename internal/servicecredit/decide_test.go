package servicecredit

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"pgregory.net/rapid"
)

var start = time.Date(2028, 2, 1, 10, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// paid returns charged hours at a price.
func paid(price money.Micros, n int) []CreditedHour {
	out := make([]CreditedHour, n)
	for i := range out {
		out[i] = CreditedHour{
			Hour: int64(i) + 1, From: start.Add(time.Duration(i) * time.Hour), HourlyPrice: price, Charged: price,
		}
	}
	return out
}

func TestDecide(t *testing.T) {
	const price = 8 * money.USD
	part := func(from, to int, failed int64) Claim { return Claim{minute(from), minute(to), failed, 8} }
	whole := func(from, to int) Claim { return part(from, to, 8) }
	usd := func(each ...money.Micros) []money.Micros { return each }
	refunded := paid(price, 1)
	refunded[0].Refunded = 6 * money.USD
	credited := paid(price, 2)
	credited[0].CreditedBefore = 7 * money.USD
	for name, c := range map[string]struct {
		hours  []CreditedHour
		booked []Claim
		claim  Claim
		factor int64 // 100 if it is 0
		now    int   // minute 6000 if it is 0
		want   []money.Micros
	}{
		"an hour":           {hours: paid(price, 2), claim: whole(0, 60), want: usd(price)},
		"across hours":      {hours: paid(price, 3), claim: whole(45, 135), want: usd(2e6, 8e6, 2e6)},
		"two of eight GPUs": {hours: paid(price, 1), claim: part(0, 60, 2), want: usd(2e6)},
		"half the price":    {hours: paid(price, 1), claim: whole(0, 60), factor: 50, want: usd(4e6)},
		"twice the price":   {hours: paid(price, 1), claim: whole(0, 15), factor: 200, want: usd(4e6)},
		"at most what it cost": {
			hours: paid(price, 1), claim: whole(0, 60), factor: 1000, want: usd(price),
		},
		"at most what is left of it": {hours: refunded, claim: whole(0, 30), want: usd(2e6)},
		"at most what is uncredited": {hours: credited, claim: whole(0, 60), want: usd(1e6)},
		"not charged":                {hours: paid(price, 1), claim: whole(120, 180)},
		"free":                       {hours: paid(0, 1), claim: whole(0, 60), want: usd(0)},
		"booked before": {
			hours: paid(price, 1), booked: []Claim{whole(0, 60)}, claim: whole(0, 60), want: usd(0),
		},
		"partly booked before": {
			hours: paid(price, 1), booked: []Claim{whole(0, 30)}, claim: whole(15, 45), want: usd(2e6),
		},
		"more GPUs than before": {
			hours: paid(price, 1), booked: []Claim{part(0, 60, 2)}, claim: whole(0, 60), want: usd(6e6),
		},
		"fewer GPUs than before": {
			hours: paid(price, 1), booked: []Claim{whole(0, 30)}, claim: part(0, 60, 4), want: usd(2e6),
		},
		"rounded half-up": {hours: paid(1, 1), claim: whole(0, 30), want: usd(1)},
		"rounded down":    {hours: paid(1, 1), claim: whole(0, 29), want: usd(0)},
		"of an hour that lasts": {
			hours: paid(price, 1), claim: whole(0, 15), factor: 1000, now: 30, want: usd(4e6),
		},
		"of an hour that began later": {hours: paid(price, 1), claim: whole(0, 15), now: -5, want: usd(0)},
	} {
		factor, now := c.factor, minute(6000)
		if factor == 0 {
			factor = 100
		}
		if c.now != 0 {
			now = minute(c.now)
		}
		got, sum := decide(c.hours, c.booked, c.claim, factor, now)
		var want money.Micros
		for i, h := range got {
			if i < len(c.want) && h.Amount != c.want[i] {
				t.Errorf("%s: hour %d: got %s, want %s", name, i, h.Amount, c.want[i])
			}
		}
		for _, w := range c.want {
			want += w
		}
		if len(got) != len(c.want) || sum != want {
			t.Errorf("%s: got %+v, %s", name, got, sum)
		}
	}
}

func TestLimited(t *testing.T) {
	hours := []CreditedHour{{Amount: 5}, {Amount: 7}, {Amount: 9}}
	for limit, want := range map[money.Micros]money.Micros{0: 0, 4: 4, 12: 12, 13: 13, 21: 21, 30: 21} {
		out, sum := limited(hours, limit)
		if got := out[0].Amount + out[1].Amount + out[2].Amount; got != want || sum != want {
			t.Errorf("at most %d: %+v, %d", limit, out, sum)
		}
	}
	if hours[0].Amount != 5 {
		t.Error("the argument was changed")
	}
}

// TestCreditsNeverExceedCharges books random claims in two orders, some of them twice. The credits
// never exceed what was charged, and depend neither on the order nor on the repetition.
func TestCreditsNeverExceedCharges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gpus := rapid.Int64Range(1, 8).Draw(t, "gpus")
		factor := rapid.SampledFrom([]int64{1, 33, 100, 150, 1000}).Draw(t, "factor")
		now := start.Add(time.Duration(rapid.IntRange(0, 6*3600).Draw(t, "now")) * time.Second)
		hours := paid(money.Micros(rapid.Int64Range(0, 40_000_000).Draw(t, "price")), rapid.IntRange(0, 5).Draw(t, "n"))
		for i := range hours {
			hours[i].Refunded = money.Micros(rapid.Int64Range(0, int64(hours[i].Charged)).Draw(t, "refunded"))
		}
		claims := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Claim {
			from := rapid.IntRange(-3600, 6*3600).Draw(t, "from")
			return Claim{
				start.Add(time.Duration(from) * time.Second),
				start.Add(time.Duration(from+rapid.IntRange(1, 3*3600).Draw(t, "length")) * time.Second),
				rapid.Int64Range(1, gpus).Draw(t, "failed"), gpus,
			}
		}), 0, 6).Draw(t, "claims")
		again := rapid.Permutation(append(claims, claims...)).Draw(t, "again")
		one, other := book(t, hours, claims, factor, now), book(t, hours, again, factor, now)
		for i, h := range hours {
			if one[i] != other[i] {
				t.Fatalf("hour %d: %s in one order, %s in another", i, one[i], other[i])
			}
			if one[i] > h.Charged-h.Refunded {
				t.Fatalf("hour %d: %s of %s − %s", i, one[i], h.Charged, h.Refunded)
			}
		}
	})
}

// book books the claims one after the other, and returns what each hour was credited with.
func book(t *rapid.T, hours []CreditedHour, claims []Claim, factor int64, now time.Time) []money.Micros {
	total := make([]money.Micros, len(hours))
	for n, c := range claims {
		at := make([]CreditedHour, len(hours))
		for i, h := range hours {
			h.CreditedBefore = total[i]
			at[i] = h
		}
		got, sum := decide(at, claims[:n], c, factor, now)
		for _, h := range got {
			if h.Amount < 0 {
				t.Fatalf("a negative credit: %+v", h)
			}
			total[h.Hour-1] += h.Amount
			sum -= h.Amount
		}
		if sum != 0 {
			t.Fatalf("the sum is off by %s", sum)
		}
	}
	return total
}
