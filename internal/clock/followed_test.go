package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

func TestFollowedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := clock.NewFollowed(func() time.Time { return time.Now().Add(time.Hour) })
		if f.Followed() || !f.Now().Equal(time.Now().Add(time.Hour)) {
			t.Errorf("unread, it says %s", f.Now())
		}
		theirs := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		f.Follow(time.Now().Add(time.Hour), theirs)
		time.Sleep(time.Minute)
		if got := f.Now(); !f.Followed() || !got.Equal(theirs.Add(time.Minute)) || got.Location() != time.UTC {
			t.Errorf("a minute later it says %s", got)
		}
		if err := f.SleepUntil(t.Context(), theirs.Add(2*time.Minute)); err != nil ||
			!f.Now().Equal(theirs.Add(2*time.Minute)) {
			t.Errorf("slept until %s, %v", f.Now(), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.SleepUntil(ctx, theirs.Add(time.Hour)); err != context.DeadlineExceeded {
			t.Error(err)
		}
		go func() { // it is read again during a sleep
			time.Sleep(30 * time.Second)
			f.Follow(time.Now().Add(time.Hour), theirs.Add(time.Hour))
		}()
		began := time.Now()
		if err := f.SleepUntil(t.Context(), theirs.Add(time.Hour)); err != nil || time.Since(began) > 45*time.Second {
			t.Errorf("slept for %s, %v", time.Since(began), err)
		}
	})
}
