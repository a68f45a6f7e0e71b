package cli

import (
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		part, largest float64
		want          string
	}{
		{0, 10, ""}, {-3, 10, ""}, {5, 0, ""}, {10, 10, "██████████"}, {5, 10, "█████"},
		{0.001, 10, "▏"}, {5.25, 10, "█████▎"},
	} {
		if got := bar(c.part, c.largest, 10); got != c.want {
			t.Errorf("bar(%v, %v) = %q, want %q", c.part, c.largest, got, c.want)
		}
	}
}

func TestSpark(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   string
	}{
		{[]float64{2, 2, 2}, "▄▄▄"}, {[]float64{1, 8, 4.5}, "▁█▅"}, {[]float64{3, -1, 4}, "▁·█"},
		{[]float64{-1, -1}, "··"}, {nil, ""},
	} {
		if got := spark(c.values); got != c.want {
			t.Errorf("spark(%v) = %q, want %q", c.values, got, c.want)
		}
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	now := time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "12h": now.Add(-12 * time.Hour), "7d": now.AddDate(0, 0, -7), "2w": now.AddDate(0, 0, -14),
		"90m":                       now.Add(-90 * time.Minute),
		"2028-02-01":                time.Date(2028, 2, 1, 0, 0, 0, 0, time.UTC),
		"2028-02-01T01:00:00+01:00": time.Date(2028, 2, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := instant("--from", text, now); err != nil || !got.Equal(want) {
			t.Errorf("instant(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "-3d", "0d", "-1h", "d", "99999d", "2028-02-30", "7 d"} {
		if got, err := instant("--from", text, now); err == nil {
			t.Errorf("instant(%q) = %s, want an error", text, got)
		}
	}
}
