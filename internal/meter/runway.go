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
