package pastdue

import (
	"cmp"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
)

// Thresholds are the runways at which an account is warned, the longest first.
var Thresholds = []time.Duration{24 * time.Hour, 6 * time.Hour, time.Hour}

// RunsDryAt returns when the available money falls below zero if nothing changes: at the first
// charge that it does not cover. It returns nil where no charge does that. Each meter charges its
// price once an hour, next at its NextAt, until its EndsAt, so between two changes the instant
// stays the same.
func RunsDryAt(available money.Micros, meters []meter.Running) *time.Time {
	for meters = slices.Clone(meters); ; {
		var end *time.Time // of the first meter that ends
		meters = slices.DeleteFunc(meters, func(m meter.Running) bool {
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
			hours := int64((end.Sub(m.NextAt) + meter.Hour - 1) / meter.Hour)
			available -= m.HourlyPrice.Times(hours)
			m.NextAt = m.NextAt.Add(time.Duration(hours) * meter.Hour)
		}
	}
}

// driesWithoutEnds is RunsDryAt for meters that never end.
func driesWithoutEnds(available money.Micros, meters []meter.Running) *time.Time {
	charges, hourly := slices.Clone(meters), money.Micros(0)
	for _, m := range charges {
		hourly += m.HourlyPrice
	}
	if hourly <= 0 || len(charges) == 0 {
		return nil
	}
	slices.SortFunc(charges, func(a, b meter.Running) int {
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
			at := m.NextAt.Add(time.Duration(hours) * meter.Hour)
			return &at
		}
	}
	return nil // not reached: a whole round costs more than is left
}

// longest is the longest runway in hours that is stated, about a hundred years.
const longest = 876_000

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
