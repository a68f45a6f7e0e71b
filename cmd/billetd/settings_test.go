package main

import "testing"

func TestSettingText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value any
		want  string
	}{
		{2.5, "2.5"}, {587.0, "587"}, {0.000001, "0.000001"}, {10000.0, "10000"}, {"", "-"}, {true, "true"},
		{[]any{"a.example", "b.example"}, "a.example,b.example"}, {[]any{}, "-"},
	} {
		if got := settingText(c.value); got != c.want {
			t.Errorf("%v: got %s, want %s", c.value, got, c.want)
		}
	}
}
