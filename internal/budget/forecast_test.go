package budget

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

func TestSettings_refusesAt(t *testing.T) {
	t.Parallel()
	at := time.Date(2031, 1, 30, 20, 30, 0, 0, time.UTC) // four hours begin on this day
	const price = 10 * money.USD
	for name, c := range map[string]struct {
		period       Period
		amount, left int64 // in hours
		minimum      int64
		want         int64 // the hour that is refused; -1 for none
	}{
		"in total":                        {Total, 5, 5, 1, 5},
		"nothing is left":                 {Total, 5, 0, 1, 1},
		"not within the minimum":          {Total, 5, 2, 4, 4},
		"on the first day":                {Day, 24, 3, 1, 3},
		"on the next day":                 {Day, 10, 4, 1, 14},
		"not within the minimum of a day": {Day, 10, 4, 20, 20},
		"every day begins again":          {Day, 24, 4, 1, -1},
		"in the month":                    {Month, 100, 20, 1, 20},
		"the days of January are over":    {Month, 100, 40, 1, 128},
		"every month begins again":        {Month, 744, 40, 1, -1},
		"more than a hundred years":       {Total, 900_000, 900_000, 1, -1},
	} {
		s := Settings{Period: c.period, Amount: price.Times(c.amount)}
		got := s.refusesAt(price.Times(c.left)+1, price, c.minimum, at)
		switch {
		case c.want < 0 && got != nil:
			t.Errorf("%s: refused at %s, want never", name, got)
		case c.want >= 0 && (got == nil || !got.Equal(at.Add(time.Duration(c.want)*time.Hour))):
			t.Errorf("%s: refused at %v, want hour %d", name, got, c.want)
		}
	}
}
