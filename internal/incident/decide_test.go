package incident

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	start := time.Date(2028, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	ptr := func(minutes int) *time.Time { t := at(minutes); return &t }
	up := state{provider: "p", status: catalog.StatusUp, answeredAt: ptr(10)}
	down := state{provider: "p", status: catalog.StatusDown, failingSince: ptr(3), answeredAt: ptr(2)}
	shaky := state{provider: "p", status: catalog.StatusDegraded, failingSince: ptr(3), answeredAt: ptr(2)}
	paused := state{provider: "p", status: catalog.StatusUp, answeredAt: ptr(10), pausedAt: ptr(4)}
	noAnswer := Incident{ID: "inc_1", Provider: "p", Kind: NoAnswer, StartedAt: at(3)}
	answered := noAnswer
	answered.answeredAt = ptr(10)
	over := answered
	over.EndedAt = ptr(10)
	began := Incident{Provider: "p", Kind: NoAnswer, StartedAt: at(3)}
	other := state{provider: "q", status: catalog.StatusUp}
	begunPause := Incident{Provider: "p", Kind: Paused, StartedAt: at(4)}
	pause := Incident{ID: "inc_2", Provider: "p", Kind: Paused, StartedAt: at(4)}
	resumed := pause
	resumed.EndedAt = ptr(20)
	gone := noAnswer
	gone.EndedAt, gone.removed = ptr(20), true
	for name, one := range map[string]struct {
		open          []Incident
		states        []state
		begin, change []Incident
	}{
		"all is well":      {states: []state{up}},
		"a failed request": {states: []state{shaky}},
		"never asked":      {states: []state{{provider: "p", status: catalog.StatusDown}}},
		"no answer":        {states: []state{down}, begin: []Incident{began}},
		"still no answer":  {open: []Incident{noAnswer}, states: []state{down}},
		"the first answer": {open: []Incident{noAnswer}, states: []state{up}, change: []Incident{answered}},
		"fails again": {
			open: []Incident{answered}, states: []state{shaky}, change: []Incident{noAnswer},
		},
		"has answered for long":    {open: []Incident{answered}, states: []state{up}, change: []Incident{over}},
		"a pause":                  {states: []state{paused}, begin: []Incident{begunPause}},
		"a pause goes on":          {open: []Incident{pause}, states: []state{paused}},
		"the end of a pause":       {open: []Incident{pause}, states: []state{up}, change: []Incident{resumed}},
		"the provider was removed": {open: []Incident{noAnswer}, change: []Incident{gone}},
		"the account cannot be opened": {open: []Incident{noAnswer}, states: []state{
			{provider: "p", status: catalog.StatusDown},
		}},
		"another provider's incident": {open: []Incident{noAnswer}, states: []state{down, other}},
	} {
		begin, change := decide(one.open, one.states, at(20))
		compare := cmp.AllowUnexported(Incident{})
		if diff := cmp.Diff(one.begin, begin, compare); diff != "" {
			t.Errorf("%s: begin %s", name, diff)
		}
		if diff := cmp.Diff(one.change, change, compare); diff != "" {
			t.Errorf("%s: change %s", name, diff)
		}
	}
	if _, change := decide([]Incident{answered}, []state{up}, at(14)); len(change) > 0 {
		t.Errorf("four minutes after the first answer: %+v", change)
	}
}
