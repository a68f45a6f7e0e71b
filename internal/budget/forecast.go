package budget

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
)

// forecastPeriods is for how many periods Ends reckons: a budget of a month is passed within a year
// or, at the same price, never.
const forecastPeriods = 13

// Ends returns when the first budget of mode terminate would refuse an hour of a deployment whose
// first hour begins at an instant, if nothing else that counts is spent; nil for never. None of its
// first minimum hours is refused. Within is as in Cost.
func Ends(
	ctx context.Context, r db.Reader, c Cost, hourly money.Micros, minimum int64, at time.Time,
) (first *time.Time, err error) {
	rows, err := readAll(ctx, r, c.Of.Account)
	if err != nil || len(rows) == 0 || hourly <= 0 {
		return nil, err
	}
	t, err := read(ctx, r, rows, at)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		b := &rows[i]
		hidden := c.Within != "" && (b.Scope.Project == nil || *b.Scope.Project != c.Within)
		if b.Mode != Terminate || !b.Scope.has(c.Of) || hidden {
			continue
		}
		end := b.refusesAt(b.Amount-t.used(b), hourly, minimum, at)
		if end != nil && (first == nil || end.Before(*first)) {
			first = end
		}
	}
	return first, nil
}

// refusesAt returns when the budget, of which that much is left at an instant, refuses an hour; nil
// for never.
func (s Settings) refusesAt(left, hourly money.Micros, minimum int64, at time.Time) *time.Time {
	begun := int64(0) // hours that begin before the period
	for range forecastPeriods {
		fit := max(int64(max(left, 0)/hourly), minimum-begun)
		_, end := s.Period.interval(at.Add(time.Duration(begun) * meter.Hour))
		if end == nil {
			if fit > maxForecast {
				return nil
			}
			return new(at.Add(time.Duration(begun+fit) * meter.Hour))
		}
		within := int64((end.Sub(at)+meter.Hour-1)/meter.Hour) - begun
		if fit < within {
			return new(at.Add(time.Duration(begun+fit) * meter.Hour))
		}
		begun, left = begun+within, s.Amount
	}
	return nil
}

// maxForecast is the most hours ahead that are stated, about a hundred years.
const maxForecast = 876_000

func readAll(ctx context.Context, r db.Reader, account id.ID) ([]row, error) {
	rows, _, err := list(ctx, r, account, db.Page{Number: 1, Limit: MaxPerAccount})
	return rows, err
}
