package wallet

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Period is what an account's ledger says about an interval, by the time of the transactions. Holds
// and releases are left out: they do not change the balance.
type Period struct {
	// Opening is the balance before the interval, Closing the one after it: Opening, less the
	// amounts of Lines, plus those of Movements.
	Opening, Closing money.Micros
	// Lines are the charges and refunds, by subject and hourly price, in that order.
	Lines []PeriodLine
	// Movements are all other transactions, oldest first: money that was paid in, given or
	// corrected.
	Movements []Transaction
	// Earlier is what Lines contain of time before the interval, by month, oldest first.
	Earlier []Earlier
}

// Earlier is what a period has of the time of an earlier month, because it was recorded late.
type Earlier struct {
	// Month is its first instant in UTC.
	Month time.Time
	// Charged and Refunded are at least zero.
	Charged, Refunded money.Micros
}

// PeriodLine is what an account was charged for a subject at one hourly price, less refunds.
type PeriodLine struct {
	Subject     id.ID
	HourlyPrice money.Micros
	Labels
	// From and To are when the billed time began and ended. Where all of it was refunded that a
	// period before charged, they are the refunded time.
	From, To time.Time
	// Hours is the number of charges, Refunds the number of refunds.
	Hours, Refunds int64
	// Seconds is the charged time less the refunded time. It is below zero where more was refunded
	// than charged, because the charge is of an earlier period.
	Seconds int64
	// Charged and Refunded are at least zero.
	Charged, Refunded money.Micros
}

// Amount is what the line costs: below zero where more was refunded than charged.
func (l PeriodLine) Amount() money.Micros { return l.Charged - l.Refunded }

// slice is how much of a period one transaction reads. A transaction has a deadline, which the
// whole month of a large account might not meet.
const slice = 24 * time.Hour

// Period returns what the ledger says about the time from an instant to another. It reads slices of
// it, each in a transaction of its own, so the whole is of one state of the ledger only where the
// period has been over for longer than a transaction lasts. Of another, a transaction that is not
// committed yet may be missing. In each case Closing is Opening, less Lines, plus Movements.
func (l *Ledger) Period(ctx context.Context, account id.ID, from, to time.Time) (Period, error) {
	p := Period{Lines: []PeriodLine{}, Movements: []Transaction{}}
	opening, err := selectBalanceAt(ctx, l.db, account, from)
	if err != nil {
		return p, err
	}
	merged := map[lineKey]partOfLine{}
	for begin := from; begin.Before(to); begin = begin.Add(slice) {
		end := begin.Add(slice)
		if to.Before(end) {
			end = to
		}
		var parts []partOfLine
		var movements []Transaction
		var earlier []Earlier
		err := l.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			if parts, err = selectPeriodLines(ctx, tx, account, begin, end); err != nil {
				return err
			}
			if slices.ContainsFunc(parts, func(n partOfLine) bool { return n.From.Before(from) }) {
				if earlier, err = selectEarlier(ctx, tx, account, begin, end, from); err != nil {
					return err
				}
			}
			movements, err = selectMovements(ctx, tx, account, begin, end)
			return err
		})
		if err != nil {
			return p, err
		}
		p.Movements = append(p.Movements, movements...)
		p.Earlier = byMonth(append(p.Earlier, earlier...))
		for _, n := range parts {
			key := lineKey{n.Subject, n.HourlyPrice}
			if before, is := merged[key]; is {
				n = before.and(n)
			}
			merged[key] = n
		}
	}
	p.Opening, p.Closing = opening, opening
	for _, n := range merged {
		p.Lines = append(p.Lines, n.line())
		p.Closing -= n.Amount()
	}
	for _, t := range p.Movements {
		p.Closing += t.Amount
	}
	slices.SortFunc(p.Lines, func(a, b PeriodLine) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.HourlyPrice, b.HourlyPrice))
	})
	return p, nil
}

// byMonth adds up the parts of each month.
func byMonth(all []Earlier) (out []Earlier) {
	for i := range all {
		y, m, _ := all[i].Month.UTC().Date()
		all[i].Month = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	}
	slices.SortFunc(all, func(a, b Earlier) int { return a.Month.Compare(b.Month) })
	for _, e := range all {
		if n := len(out) - 1; n >= 0 && out[n].Month.Equal(e.Month) {
			out[n].Charged += e.Charged
			out[n].Refunded += e.Refunded
			continue
		}
		out = append(out, e)
	}
	return out
}

// lineKey is what a line of a period is unique by.
type lineKey struct {
	subject id.ID
	price   money.Micros
}

// partOfLine is what a slice of a period has of a line.
type partOfLine struct {
	PeriodLine
	// refundedFrom is when the first refunded time began; nil without a refund.
	refundedFrom *time.Time
}

// and adds up the parts of a line. The labels are those of the later part.
func (a partOfLine) and(b partOfLine) partOfLine {
	if a.From.Before(b.From) {
		b.From = a.From
	}
	if a.To.After(b.To) {
		b.To = a.To
	}
	if b.refundedFrom == nil || a.refundedFrom != nil && a.refundedFrom.Before(*b.refundedFrom) {
		b.refundedFrom = a.refundedFrom
	}
	b.Hours += a.Hours
	b.Refunds += a.Refunds
	b.Seconds += a.Seconds
	b.Charged += a.Charged
	b.Refunded += a.Refunded
	return b
}

// line returns the line whose parts were added up. A refund is of the end of the billed time, so
// the time ends where the refunded time begins.
func (a partOfLine) line() PeriodLine {
	if a.Hours > 0 && a.refundedFrom != nil {
		a.To = *a.refundedFrom
	}
	return a.PeriodLine
}

// FirstChange returns when an account's balance first changed in the time from an instant to
// another, or false if it did not.
func (l *Ledger) FirstChange(
	ctx context.Context, r db.Reader, account id.ID, from, to time.Time,
) (at time.Time, found bool, err error) {
	return selectFirstChange(ctx, r, account, from, to)
}

// Active returns up to limit accounts after that one, in their order, that have transactions from
// an instant to another. It is for the server.
func (l *Ledger) Active(
	ctx context.Context, r db.Reader, from, to time.Time, after id.ID, limit int,
) ([]id.ID, error) {
	return selectActive(ctx, r, from, to, after, limit)
}
