package meter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func metered(price money.Micros, next time.Duration) meter.Running {
	return meter.Running{HourlyPrice: price, NextAt: noon.Add(next)}
}

func endsAfter(m meter.Running, d time.Duration) meter.Running {
	end := noon.Add(d)
	m.EndsAt = &end
	return m
}

func TestRunsDryAt(t *testing.T) {
	for name, tt := range map[string]struct {
		available money.Micros
		meters    []meter.Running
		want      time.Duration // after noon; below 0 for never
	}{
		"nothing runs":      {money.Dollars(1), nil, -1},
		"what runs is free": {money.Dollars(1), []meter.Running{metered(0, 0)}, -1},
		"eight B200 with 100 dollars": {
			money.Dollars(100) - 36_480_000, []meter.Running{metered(36_480_000, time.Hour)}, 2 * time.Hour,
		},
		"a charge that leaves zero": {10, []meter.Running{metered(5, time.Minute)}, 2*time.Hour + time.Minute},
		"no money at all":           {0, []meter.Running{metered(5, time.Minute)}, time.Minute},
		"a debt":                    {-7, []meter.Running{metered(5, time.Minute)}, time.Minute},
		"the second of a round": {
			16, []meter.Running{metered(5, 40*time.Minute), metered(5, 10*time.Minute)}, time.Hour + 40*time.Minute,
		},
		"a free one does not end it":   {0, []meter.Running{metered(0, time.Minute), metered(5, time.Hour)}, time.Hour},
		"what ends before it runs dry": {10, []meter.Running{endsAfter(metered(5, 0), 2*time.Hour)}, -1},
		"one ends, the other goes on": {
			12, []meter.Running{endsAfter(metered(5, 0), time.Hour), metered(3, time.Minute)},
			2*time.Hour + time.Minute,
		},
		"a charge at the end of another": {
			7, []meter.Running{endsAfter(metered(5, 0), time.Hour), metered(3, time.Hour)}, time.Hour,
		},
		"longer than a hundred years": {money.Dollars(1_000_000), []meter.Running{metered(1, 0)}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			got := meter.RunsDryAt(tt.available, tt.meters)
			switch {
			case tt.want < 0 && got != nil:
				t.Errorf("got %v, want never", got)
			case tt.want >= 0 && (got == nil || !got.Equal(noon.Add(tt.want))):
				t.Errorf("got %v, want %v", got, noon.Add(tt.want))
			}
		})
	}
}

// The instant is that of a simulation which charges one meter after the other.
func TestRunsDryAtEqualsChargingOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "meters")
		meters := make([]meter.Running, n)
		for i := range meters {
			meters[i] = metered(money.Micros(rapid.Int64Range(0, 50).Draw(t, "price")),
				time.Duration(rapid.IntRange(0, 3599).Draw(t, "next"))*time.Second)
			if i > 0 && rapid.Bool().Draw(t, "ends") {
				meters[i] = endsAfter(meters[i], time.Duration(rapid.IntRange(0, 40).Draw(t, "end"))*15*time.Minute)
			}
		}
		meters[0].HourlyPrice++ // something costs
		available := money.Micros(rapid.Int64Range(-5, 2000).Draw(t, "available"))
		left, running := available, slices.Clone(meters)
		var want time.Time
		for want.IsZero() {
			slices.SortFunc(running, func(a, b meter.Running) int { return a.NextAt.Compare(b.NextAt) })
			if m := &running[0]; m.EndsAt != nil && !m.NextAt.Before(*m.EndsAt) {
				running = running[1:]
				continue
			}
			if left = max(left, -1) - running[0].HourlyPrice; left < 0 && running[0].HourlyPrice > 0 {
				want = running[0].NextAt
			}
			running[0].NextAt = running[0].NextAt.Add(time.Hour)
		}
		if got := meter.RunsDryAt(available, meters); got == nil || !got.Equal(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestExpected(t *testing.T) {
	noon := metered(0, 0).NextAt
	for name, tt := range map[string]struct {
		meters []meter.Running
		until  time.Duration // hours after noon
		want   money.Micros
	}{
		"nothing runs":                {nil, 1, 0},
		"an hour begins at the end":   {[]meter.Running{metered(5, 2*time.Hour)}, 2, 0},
		"an hour begins just before":  {[]meter.Running{metered(5, 2*time.Hour-1)}, 2, 5},
		"each hour that begins":       {[]meter.Running{metered(5, 30*time.Minute)}, 4, 20},
		"one ends before":             {[]meter.Running{endsAfter(metered(5, 0), 90*time.Minute)}, 4, 10},
		"one ends later":              {[]meter.Running{endsAfter(metered(5, 0), 9*time.Hour)}, 4, 20},
		"one ends before its charges": {[]meter.Running{endsAfter(metered(5, time.Hour), 1)}, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := meter.Expected(tt.meters, noon.Add(tt.until*time.Hour)); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestExpectedDaily(t *testing.T) {
	until := noon.AddDate(0, 0, 3) // noon of November 4
	meters := []meter.Running{
		metered(5, 30*time.Minute), endsAfter(metered(7, 0), 13*time.Hour),
		endsAfter(metered(11, time.Hour), time.Minute),
	}
	got := meter.ExpectedDaily(meters, noon, until)
	want := []meter.ForecastDay{
		{Day: "2026-11-01", Charges: 12*5 + 12*7}, {Day: "2026-11-02", Charges: 24*5 + 7},
		{Day: "2026-11-03", Charges: 24 * 5}, {Day: "2026-11-04", Charges: 12 * 5},
	}
	if !slices.Equal(got, want) {
		t.Errorf("ExpectedDaily = %v, want %v", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		var meters []meter.Running
		for range rapid.IntRange(0, 5).Draw(t, "meters") {
			m := metered(money.Micros(rapid.Int64Range(0, 1000).Draw(t, "price")),
				time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "next")))
			if rapid.Bool().Draw(t, "ends") {
				m = endsAfter(m, time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "end")))
			}
			meters = append(meters, m)
		}
		until := noon.Add(time.Duration(rapid.Int64Range(1, int64(800*time.Hour)).Draw(t, "until")))
		sum := money.Micros(0)
		for _, d := range meter.ExpectedDaily(meters, noon, until) {
			sum += d.Charges
		}
		if want := meter.Expected(meters, until); sum != want {
			t.Fatalf("the days sum up to %v, all to %v", sum, want)
		}
	})
}
