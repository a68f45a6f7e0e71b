package wallet

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Hour is a charged hour of a subject, with what was refunded of it since.
type Hour struct {
	Subject id.ID
	// Hour counts from 0. It lasts from From to an hour later.
	Hour int64
	From time.Time
	// Amount was charged, at HourlyPrice. Refunded is at most Amount.
	Amount, HourlyPrice, Refunded money.Micros
	// RefundedAt is when the one refund was made; nil before.
	RefundedAt *time.Time
	Labels
}

// HourLength is how long a charged hour is.
const HourLength = money.HourSeconds * time.Second

const hourColumns = `subject, hour, from_at, amount, hourly_price, refunded, refunded_at, provider, region, gpu_type,
	name`

func scanHour(row db.Row) (h Hour, err error) {
	err = row.Scan(&h.Subject, &h.Hour, &h.From, &h.Amount, &h.HourlyPrice, &h.Refunded, &h.RefundedAt, &h.Provider,
		&h.Region, &h.GPUType, &h.Name)
	return h, err
}

// Hours calls each with the account's hours that began at or after from and before to, in the order
// in which they began, until each returns an error. It reads in chunks, like Export, and passes
// what Describe wrote of the subjects of the chunk.
func (l *Ledger) Hours(
	ctx context.Context, r db.Reader, account id.ID, from, to time.Time, each func([]Hour, map[id.ID]Subject) error,
) error {
	return eachHour(ctx, r, account, `from_at`, from, to, each)
}

// RefundedHours is Hours for those of which something was refunded at or after from and before to,
// in the order of the refunds.
func (l *Ledger) RefundedHours(
	ctx context.Context, r db.Reader, account id.ID, from, to time.Time, each func([]Hour, map[id.ID]Subject) error,
) error {
	return eachHour(ctx, r, account, `refunded_at`, from, to, each)
}

// SubjectHours returns the charged hours of the subject from the hour first to the hour last, in
// order.
func (l *Ledger) SubjectHours(ctx context.Context, r db.Reader, subject id.ID, first, last int64) ([]Hour, error) {
	return db.Collect(ctx, r, scanHour, `SELECT `+hourColumns+` FROM wallet_charge
		WHERE subject = $1 AND hour BETWEEN $2 AND $3 ORDER BY hour`, subject, first, last)
}

func eachHour(
	ctx context.Context, r db.Reader, account id.ID, at string, from, to time.Time,
	each func([]Hour, map[id.ID]Subject) error,
) error {
	list := db.List[Hour]{
		Columns: hourColumns, Table: `wallet_charge`, Where: []db.Cond{
			db.Is(`account_id`, account),
			{Text: at + ` >= ?`, Args: []any{from}},
			{Text: at + ` < ?`, Args: []any{to}},
		},
		Order: []db.Key{{Column: at, Number: true}, {Column: `subject`}, {Column: `hour`, Number: true}},
		Scan:  scanHour,
	}
	p := db.Page{Number: 1, Limit: exportChunk}
	for {
		chunk, of, err := list.Page(ctx, r, p)
		if err != nil {
			return err
		}
		subjects := map[id.ID]Subject{}
		var ids []id.ID
		for _, h := range chunk {
			if _, known := subjects[h.Subject]; !known {
				subjects[h.Subject] = Subject{}
				ids = append(ids, h.Subject)
			}
		}
		described, err := Described(ctx, r, ids)
		if err != nil {
			return err
		}
		if err := each(chunk, described); err != nil {
			return err
		}
		if of.Next == nil {
			return nil
		}
		p.After = of.Next
	}
}
