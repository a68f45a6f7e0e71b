package wallet

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// inPeriod are the transactions of an account in an interval. The index on created_at serves it.
const inPeriod = ` account_id = $1 AND created_at >= $2 AND created_at < $3`

// selectChange returns by how much the balance has changed since an instant.
func selectChange(ctx context.Context, r db.Reader, account id.ID, since time.Time) (money.Micros, error) {
	sum, _, err := db.Find(ctx, r, db.Value[money.Micros], `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT)
		FROM wallet_transaction WHERE account_id = $1 AND created_at >= $2 AND type NOT IN ('hold', 'release')`,
		account, since)
	return sum, err
}

func selectPeriodLines(ctx context.Context, r db.Reader, account id.ID, from, to time.Time) ([]PeriodLine, error) {
	scan := func(row db.Row) (l PeriodLine, err error) {
		var begin, end, micros int64
		err = row.Scan(&l.Subject, &l.HourlyPrice, &l.Provider, &l.Region, &l.GPUType, &l.Name, &begin, &end,
			&micros, &l.Hours, &l.Refunds, &l.Charged, &l.Refunded)
		l.From, l.To = time.UnixMicro(begin).UTC(), time.UnixMicro(end).UTC()
		l.Seconds = micros / int64(time.Second/time.Microsecond)
		return l, err
	}
	last := db.ByBytes(r)
	// A refund is of the end of the billed time, so the time ends where it begins.
	return db.Collect(ctx, r, scan, `
		SELECT t.subject, t.hourly_price, MAX(t.provider`+last+`), MAX(t.region`+last+`),
			MAX(t.gpu_type`+last+`), COALESCE(MAX(c.name`+last+`), ''), MIN(t.from_at),
			CASE WHEN MAX(CASE WHEN t.type = 'charge' THEN 1 ELSE 0 END) = 0 THEN MAX(t.to_at)
				ELSE COALESCE(MIN(CASE WHEN t.type = 'refund' THEN t.from_at END), MAX(t.to_at)) END,
			CAST(SUM(CASE WHEN t.type = 'charge' THEN t.to_at - t.from_at ELSE t.from_at - t.to_at END) AS BIGINT),
			SUM(CASE WHEN t.type = 'charge' THEN 1 ELSE 0 END), SUM(CASE WHEN t.type = 'refund' THEN 1 ELSE 0 END),
			CAST(SUM(CASE WHEN t.type = 'charge' THEN -t.amount ELSE 0 END) AS BIGINT),
			CAST(SUM(CASE WHEN t.type = 'refund' THEN t.amount ELSE 0 END) AS BIGINT)
		FROM wallet_transaction t LEFT JOIN wallet_charge c ON c.subject = t.subject AND c.hour = t.hour
		WHERE t.account_id = $1 AND t.created_at >= $2 AND t.created_at < $3 AND t.type IN ('charge', 'refund')
		GROUP BY t.subject, t.hourly_price ORDER BY t.subject, t.hourly_price`, account, from, to)
}

// selectMovements names the types that it leaves out, so that a new type is on the statement.
func selectMovements(ctx context.Context, r db.Reader, account id.ID, from, to time.Time) ([]Transaction, error) {
	scan := func(row db.Row) (Transaction, error) {
		n, err := lines.Scan(row)
		return n.transaction(), err
	}
	return db.Collect(ctx, r, scan, `SELECT `+lines.Columns()+` FROM wallet_transaction WHERE`+inPeriod+`
		AND type NOT IN ('hold', 'release', 'charge', 'refund') ORDER BY created_at, seq`, account, from, to)
}

func selectActive(
	ctx context.Context, r db.Reader, from, to time.Time, after id.ID, limit int,
) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID], `SELECT w.account_id FROM wallet w WHERE w.account_id > $1 AND EXISTS (
			SELECT 1 FROM wallet_transaction t WHERE t.account_id = w.account_id AND t.created_at >= $2
				AND t.created_at < $3)
		ORDER BY w.account_id LIMIT $4`, after, from, to, limit)
}
