package cli

import (
	"testing"
)

func TestLimitIsExactToTheMinute(t *testing.T) {
	t.Parallel()
	for minutes, want := range map[int]string{45: "45 min", 60: "1 h", 71 * 60: "71 h", 72*60 + 5: "72 h 5 min"} {
		if got := limit(minutes); got != want {
			t.Errorf("limit(%d) = %q, want %q", minutes, got, want)
		}
	}
}
