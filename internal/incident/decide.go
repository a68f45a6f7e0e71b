package incident

import (
	"time"

	"github.com/billetcloud/billet/internal/catalog"
)

// recoverAfter is how long a provider must answer before its incident is over.
const recoverAfter = 5 * time.Minute

// state is what is known of a provider now.
type state struct {
	provider string
	status   catalog.Status
	// failingSince is the first failed request after the last answer; nil if there is none.
	failingSince *time.Time
	// answeredAt is the last answer; nil if there was none.
	answeredAt *time.Time
	// pausedAt is nil while machines may be launched.
	pausedAt *time.Time
}

// decide returns the incidents that begin, without ids, and those of the open ones that change.
func decide(open []Incident, states []state, now time.Time) (begin, change []Incident) {
	known := map[string]state{}
	for _, s := range states {
		known[s.provider] = s
	}
	has := map[string]bool{}
	for _, i := range open {
		has[i.Provider+" "+string(i.Kind)] = true
		if after, changed := next(i, known, now); changed {
			change = append(change, after)
		}
	}
	for _, s := range states {
		if s.status == catalog.StatusDown && s.failingSince != nil && !has[s.provider+" "+string(NoAnswer)] {
			begin = append(begin, Incident{Provider: s.provider, Kind: NoAnswer, StartedAt: *s.failingSince})
		}
		if s.pausedAt != nil && !has[s.provider+" "+string(Paused)] {
			begin = append(begin, Incident{Provider: s.provider, Kind: Paused, StartedAt: *s.pausedAt})
		}
	}
	return begin, change
}

// next returns what becomes of an open incident.
func next(i Incident, states map[string]state, now time.Time) (after Incident, changed bool) {
	s, configured := states[i.Provider]
	switch {
	case !configured:
		i.EndedAt, i.removed = &now, true
		return i, true
	case i.Kind == Paused:
		if s.pausedAt != nil {
			return i, false
		}
		i.EndedAt = &now
		return i, true
	case s.status != catalog.StatusUp:
		changed = i.answeredAt != nil
		i.answeredAt = nil
		return i, changed
	case i.answeredAt == nil:
		at := now
		if s.answeredAt != nil && s.answeredAt.After(i.StartedAt) {
			at = *s.answeredAt
		}
		i.answeredAt = &at
		return i, true
	case now.Sub(*i.answeredAt) >= recoverAfter:
		i.EndedAt = i.answeredAt
		return i, true
	}
	return i, false
}
