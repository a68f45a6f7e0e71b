package spendlimit

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

func TestUse_cost(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2031, 1, 30, 0, 0, 0, 0, time.UTC)
	const never = -1 // minutes
	for name, c := range map[string]struct {
		from, until   int // minutes after midnight
		started, over bool
		today         money.Micros
	}{
		"may start at any time":             {600, never, false, false, money.Dollars(140)},
		"may start within an hour":          {630, never, false, false, money.Dollars(140)},
		"may start, since yesterday":        {-90, never, false, false, money.Dollars(240)},
		"started":                           {630, never, true, false, money.Dollars(140)},
		"started yesterday":                 {-30, never, true, false, money.Dollars(240)},
		"starts tomorrow":                   {1440, never, true, false, 0},
		"ends today":                        {600, 720, true, false, money.Dollars(20)},
		"ends within its second hour":       {600, 661, true, false, money.Dollars(20)},
		"ends when it begins":               {600, 600, true, false, 0},
		"ends before it begins":             {600, 599, false, false, 0},
		"ended, refunded to the second":     {600, 615, true, true, money.Dollars(5) / 2},
		"ended after its first hour":        {600, 660, true, true, money.Dollars(10)},
		"ended within its second hour":      {600, 690, true, true, money.Dollars(20)},
		"ends within its first hour":        {600, 615, true, false, money.Dollars(10)},
		"ended today, of yesterday's hour":  {-10, 20, true, true, 0},
		"ended yesterday":                   {-120, -30, true, true, 0},
		"began and ended tomorrow":          {1450, 1460, true, true, 0},
		"ended tomorrow, of an hour of now": {1430, 1460, true, true, money.Dollars(5)},
	} {
		u := Use{
			HourlyPrice: money.Dollars(10), From: midnight.Add(time.Duration(c.from) * time.Minute),
			Started: c.started, Over: c.over,
		}
		if c.until != never {
			u.Until = new(midnight.Add(time.Duration(c.until) * time.Minute))
		}
		if got := u.cost(midnight, midnight.AddDate(0, 0, 1)); got != c.today {
			t.Errorf("%s: cost = %s, want %s", name, got, c.today)
		}
	}
}
