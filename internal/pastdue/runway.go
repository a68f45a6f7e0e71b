package pastdue

import (
	"slices"
	"time"
)

// Thresholds are the runways at which an account is warned, the longest first.
var Thresholds = []time.Duration{24 * time.Hour, 6 * time.Hour, time.Hour}

// warning is what is decided about an account.
type warning struct {
	// add are thresholds that the runway is at or below for the first time, remove those that it is
	// above again. tell is the shortest of add, 0 where there is nothing to tell.
	add, remove []time.Duration
	tell        time.Duration
	// next is when the next threshold is reached if nothing changes; nil for never.
	next *time.Time
}

// decideWarning decides what changes for an account whose money ends at dry, nil for never, and
// that was warned at those thresholds. A past-due account is told nothing more: it knows.
func decideWarning(dry *time.Time, isPastDue bool, warned []time.Duration, now time.Time) warning {
	var w warning
	for _, t := range Thresholds {
		reached := dry != nil && !dry.Add(-t).After(now)
		switch was := slices.Contains(warned, t); {
		case reached && !was && !isPastDue:
			w.add, w.tell = append(w.add, t), t
		case !reached && was:
			w.remove = append(w.remove, t)
		}
		if dry != nil && !reached {
			if at := dry.Add(-t); w.next == nil || at.Before(*w.next) {
				w.next = &at
			}
		}
	}
	return w
}
