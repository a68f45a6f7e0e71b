package upstreamtest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

func TestItsClockFollowsAndNeverGoesBack(t *testing.T) {
	s := upstreamtest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	now, known := time.Now().Add(3*time.Hour), true
	s.Follow(func() (time.Time, bool) { return now, known })
	ask := func() time.Time {
		answer, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return s.Clock.Now()
	}
	at := ask()
	if at.Before(now) || at.Sub(now) > time.Minute {
		t.Errorf("it is %s, and %s for who asked", at, now)
	}
	now = now.Add(-time.Hour)
	if later := ask(); later.Before(at) {
		t.Errorf("it went back from %s to %s", at, later)
	}
	now, known = now.Add(9*time.Hour), false
	if later := ask(); later.Sub(at) > time.Minute {
		t.Errorf("it went to %s although nobody knew", later)
	}
}
