package wallet

import (
	"context"
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

// Period returns what the ledger says about the time from an instant to another. The reader is a
// transaction: its parts must be of one state of the ledger.
func (l *Ledger) Period(ctx context.Context, tx *db.Tx, account id.ID, from, to time.Time) (Period, error) {
	var p Period
	w, err := selectWallet(ctx, tx, account)
	if err != nil {
		return p, err
	}
	since, err := selectChange(ctx, tx, account, from)
	if err != nil {
		return p, err
	}
	if p.Lines, err = selectPeriodLines(ctx, tx, account, from, to); err != nil {
		return p, err
	}
	if p.Movements, err = selectMovements(ctx, tx, account, from, to); err != nil {
		return p, err
	}
	p.Opening = w.Balance - since
	p.Closing = p.Opening
	for _, n := range p.Lines {
		p.Closing -= n.Amount()
	}
	for _, t := range p.Movements {
		p.Closing += t.Amount
	}
	return p, nil
}

// Active returns up to limit accounts after that one, in their order, that have transactions from
// an instant to another. It is for the server.
func (l *Ledger) Active(
	ctx context.Context, r db.Reader, from, to time.Time, after id.ID, limit int,
) ([]id.ID, error) {
	return selectActive(ctx, r, from, to, after, limit)
}
