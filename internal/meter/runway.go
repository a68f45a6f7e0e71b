package meter

import (
	"cmp"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

// RunsDryAt returns when the available money falls below zero if nothing changes: at the first
// charge that it does not cover. It returns nil where no charge does that. Each meter charges its
// price once an hour, next at its NextAt, until its EndsAt, so between two changes the instant
// stays the same.
func RunsDryAt(available money.Micros, meters []Running) *time.Time {
	for meters = slices.Clone(meters); ; {
		var end *time.Time // of the first meter that ends
		meters = slices.DeleteFunc(meters, func(m Running) bool {
			over := m.EndsAt != nil && !m.NextAt.Before(*m.EndsAt)
			if !over && m.EndsAt != nil && (end == nil || m.EndsAt.Before(*end)) {
				end = m.EndsAt
			}
			return over
		})
		dry := driesWithoutEnds(available, meters)
		if end == nil || dry != nil && dry.Before(*end) {
			return dry
		}
		for i := range meters { // what is charged before that end is covered
			m := &meters[i]
			if !m.NextAt.Before(*end) {
				continue
			}
			hours := int64((end.Sub(m.NextAt) + Hour - 1) / Hour)
			available -= m.HourlyPrice.Times(hours)
			m.NextAt = m.NextAt.Add(time.Duration(hours) * Hour)
		}
	}
}

// driesWithoutEnds is RunsDryAt for meters that never end.
func driesWithoutEnds(available money.Micros, meters []Running) *time.Time {
	charges, hourly := slices.Clone(meters), money.Micros(0)
	for _, m := range charges {
		hourly += m.HourlyPrice
	}
	if hourly <= 0 || len(charges) == 0 {
		return nil
	}
	slices.SortFunc(charges, func(a, b Running) int {
		return cmp.Or(a.NextAt.Compare(b.NextAt), cmp.Compare(a.Subject, b.Subject))
	})
	left := max(available, -1)
	hours := max(left, 0) / hourly
	if hours > longest {
		return nil
	}
	left -= hours * hourly
	// In the round that begins after these hours every meter charges once more, in their order.
	for _, m := range charges {
		if left -= m.HourlyPrice; left < 0 && m.HourlyPrice > 0 {
			at := m.NextAt.Add(time.Duration(hours) * Hour)
			return &at
		}
	}
	return nil // not reached: a whole round costs more than is left
}

// longest is the longest runway in hours that is stated, about a hundred years.
const longest = 876_000

// Expected returns what meters will be charged for hours that begin before until, if nothing
// changes but the ends that are known.
func Expected(meters []Running, until time.Time) (sum money.Micros) {
	for _, m := range meters {
		end := until
		if m.EndsAt != nil && m.EndsAt.Before(end) {
			end = *m.EndsAt
		}
		if m.NextAt.Before(end) {
			sum += m.HourlyPrice.Times(int64((end.Sub(m.NextAt) + Hour - 1) / Hour))
		}
	}
	return sum
}

// ForecastDay is what hours that begin on a day in UTC are expected to cost.
type ForecastDay struct {
	Day     string       `json:"day" doc:"Day in UTC, such as 2028-02-29."`
	Charges money.Micros `json:"charges" doc:"US dollars for the hours that begin on it, from now on."`
}

// ExpectedDaily divides Expected by the day on which the hours begin, from the day of from on.
func ExpectedDaily(meters []Running, from, until time.Time) []ForecastDay {
	days := []ForecastDay{}
	before := money.Micros(0)
	y, m, d := from.UTC().Date()
	for day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC); day.Before(until); {
		next := day.AddDate(0, 0, 1)
		end := next
		if until.Before(end) {
			end = until
		}
		sum := Expected(meters, end)
		days = append(days, ForecastDay{day.Format(time.DateOnly), sum - before})
		before, day = sum, next
	}
	return days
}
