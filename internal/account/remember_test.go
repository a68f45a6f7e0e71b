package account

import (
	"testing"
	"time"
)

func TestRemembered(t *testing.T) {
	var r remembered
	at := time.Date(2028, 2, 29, 23, 59, 59, 0, time.UTC)
	known := func(want bool, now time.Time) {
		t.Helper()
		if k, found, _ := r.get("hash", now); found != want || (found && k.Name != "ci") {
			t.Errorf("at %s: %+v %t, want %t", now, k, found, want)
		}
	}
	known(false, at)
	_, _, seen := r.get("hash", at)
	r.put("hash", Key{Name: "ci"}, at, seen)
	known(true, at)
	known(true, at.Add(KeyFresh-1))
	known(false, at.Add(KeyFresh))
	known(false, at.Add(-time.Nanosecond)) // the machine's clock was set back
	r.forget()
	known(false, at)
	r.put("hash", Key{Name: "stale"}, at, seen) // its read had begun before the change
	known(false, at)

	_, _, seen = r.get("hash", at)
	for i := range maxRemembered + 1 {
		r.put(string(rune(i)), Key{}, at, seen)
	}
	if len(r.keys) > maxRemembered {
		t.Errorf("%d keys are remembered", len(r.keys))
	}
}
