package pastdue

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func TestDecideWarning(t *testing.T) {
	const day, six, one = 24 * time.Hour, 6 * time.Hour, time.Hour
	for name, tt := range map[string]struct {
		runway  time.Duration // below 0 for never
		pastDue bool
		warned  []time.Duration
		want    warning
		next    time.Duration // from noon; 0 for never
	}{
		"far away":      {30 * time.Hour, false, nil, warning{}, 6 * time.Hour},
		"exactly a day": {day, false, nil, warning{add: []time.Duration{day}, tell: day}, 18 * time.Hour},
		"a day, again":  {20 * time.Hour, false, []time.Duration{day}, warning{}, 14 * time.Hour},
		"two at once tell the nearer": {
			2 * time.Hour, false, nil, warning{add: []time.Duration{day, six}, tell: six}, time.Hour,
		},
		"the last": {
			one, false, []time.Duration{day, six}, warning{add: []time.Duration{one}, tell: one}, 0,
		},
		"after a top-up": {
			10 * time.Hour, false, []time.Duration{day, six, one},
			warning{remove: []time.Duration{six, one}}, 4 * time.Hour,
		},
		"nothing runs any more": {-1, false, []time.Duration{day}, warning{remove: []time.Duration{day}}, 0},
		"past due":              {0, true, []time.Duration{day}, warning{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var dry *time.Time
			if tt.runway >= 0 {
				at := noon.Add(tt.runway)
				dry = &at
			}
			if tt.next > 0 {
				at := noon.Add(tt.next)
				tt.want.next = &at
			}
			got := decideWarning(dry, tt.pastDue, tt.warned, noon)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(warning{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
