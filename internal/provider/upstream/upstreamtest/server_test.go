package upstreamtest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

func TestServer_Follow(t *testing.T) {
	s := upstreamtest.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	now, known := time.Now().Add(3*time.Hour), true
	s.Follow(func() (time.Time, bool) { return now, known })
	request := func() time.Time {
		response, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return s.Clock.Now()
	}
	at := request()
	if at.Before(now) || at.Sub(now) > time.Minute {
		t.Errorf("got %s, want the client's time, %s", at, now)
	}
	now = now.Add(-time.Hour)
	if later := request(); later.Before(at) {
		t.Errorf("the clock went back from %s to %s", at, later)
	}
	now, known = now.Add(9*time.Hour), false
	if later := request(); later.Sub(at) > time.Minute {
		t.Errorf("got %s without a known time, want about %s", later, at)
	}
}
