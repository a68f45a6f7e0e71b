package crashpoint

import (
	"testing"
	"time"
)

func TestSkew(t *testing.T) {
	before := time.Now()
	if got := Now(); Skew() != 0 || got.Before(before) || got.After(time.Now()) {
		t.Errorf("Now: got %s, skew %s, want between %s and now", got, Skew(), before)
	}
	for s, want := range map[string]time.Duration{"": 0, "130s": 130 * time.Second, "-2m": -2 * time.Minute} {
		if got, err := parseSkew(s); err != nil || got != want {
			t.Errorf("%q is %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"130", "soon", "s"} {
		if got, err := parseSkew(s); err == nil {
			t.Errorf("%q is %s", s, got)
		}
	}
}
