package wallet

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// longestWait is more than a transaction lasts. The time of a line is when its transaction began,
// and its number is taken later, when the wallet is locked. So lines may have another order by time
// than by number, but only lines that are closer than this.
const longestWait = time.Hour

// selectBalanceAt returns the balance of all lines before an instant. It reads the last of them,
// and those near it whose order by number is another.
func selectBalanceAt(ctx context.Context, r db.Reader, account id.ID, at time.Time) (money.Micros, error) {
	type last struct {
		balance money.Micros
		seq, at int64
	}
	scan := func(row db.Row) (l last, err error) {
		err = row.Scan(&l.balance, &l.seq, &l.at)
		return l, err
	}
	l, found, err := db.Find(ctx, r, scan, `SELECT balance_after, seq, created_at FROM wallet_transaction
		WHERE account_id = $1 AND created_at < $2 ORDER BY created_at DESC, seq DESC LIMIT 1`, account, at)
	if err != nil || !found {
		return 0, err
	}
	rest, _, err := db.Find(ctx, r, db.Value[money.Micros], `
		SELECT CAST(COALESCE(SUM(CASE WHEN created_at < $1 THEN amount ELSE -amount END), 0) AS BIGINT)
		FROM wallet_transaction WHERE account_id = $2 AND created_at >= $3 AND created_at < $4
			AND (created_at < $1 AND seq > $5 OR created_at >= $1 AND seq < $5) AND type NOT IN ('hold', 'release')`,
		at, account, l.at-longestWait.Microseconds(), l.at+longestWait.Microseconds(), l.seq)
	return l.balance + rest, err
}

func selectPeriodLines(ctx context.Context, r db.Reader, account id.ID, from, to time.Time) ([]partOfLine, error) {
	scan := func(row db.Row) (l partOfLine, err error) {
		var micros int64
		err = row.Scan(&l.Subject, &l.HourlyPrice, &l.Provider, &l.Region, &l.GPUType, &l.Name, &l.From, &l.To,
			&l.refundedFrom, &micros, &l.Hours, &l.Refunds, &l.Charged, &l.Refunded)
		l.Seconds = micros / int64(time.Second/time.Microsecond)
		return l, err
	}
	last := db.ByBytes(r)
	return db.Collect(ctx, r, scan, `
		SELECT subject, hourly_price, MAX(provider`+last+`), MAX(region`+last+`), MAX(gpu_type`+last+`),
			MAX(name`+last+`), MIN(from_at), MAX(to_at),
			MIN(CASE WHEN type = 'refund' THEN from_at END),
			CAST(SUM(CASE WHEN type = 'charge' THEN to_at - from_at ELSE from_at - to_at END) AS BIGINT),
			SUM(CASE WHEN type = 'charge' THEN 1 ELSE 0 END), SUM(CASE WHEN type = 'refund' THEN 1 ELSE 0 END),
			CAST(SUM(CASE WHEN type = 'charge' THEN -amount ELSE 0 END) AS BIGINT),
			CAST(SUM(CASE WHEN type = 'refund' THEN amount ELSE 0 END) AS BIGINT)
		FROM wallet_transaction
		WHERE account_id = $1 AND created_at >= $2 AND created_at < $3 AND type IN ('charge', 'refund')
		GROUP BY subject, hourly_price`, account, from, to)
}

// selectEarlier returns what was recorded from an instant to another of time before a third one, by
// the day of that time.
func selectEarlier(
	ctx context.Context, r db.Reader, account id.ID, from, to, before time.Time,
) ([]Earlier, error) {
	scan := func(row db.Row) (e Earlier, err error) {
		err = row.Scan(&e.Month, &e.Charged, &e.Refunded)
		return e, err
	}
	return db.Collect(ctx, r, scan, `
		SELECT MIN(from_at),
			CAST(SUM(CASE WHEN type = 'charge' THEN -amount ELSE 0 END) AS BIGINT),
			CAST(SUM(CASE WHEN type = 'refund' THEN amount ELSE 0 END) AS BIGINT)
		FROM wallet_transaction
		WHERE account_id = $1 AND created_at >= $2 AND created_at < $3 AND type IN ('charge', 'refund')
			AND from_at < $4
		GROUP BY from_at / $5`, account, from, to, before, dayMicros)
}

// selectMovements names the types that it leaves out, so that a new type is on the statement.
func selectMovements(ctx context.Context, r db.Reader, account id.ID, from, to time.Time) ([]Transaction, error) {
	scan := func(row db.Row) (Transaction, error) {
		n, err := lines.Scan(row)
		return n.transaction(), err
	}
	return db.Collect(ctx, r, scan, `SELECT `+lines.Columns()+` FROM wallet_transaction
		WHERE account_id = $1 AND created_at >= $2 AND created_at < $3
			AND type NOT IN ('hold', 'release', 'charge', 'refund') ORDER BY created_at, seq`, account, from, to)
}

func selectFirstChange(
	ctx context.Context, r db.Reader, account id.ID, from, to time.Time,
) (time.Time, bool, error) {
	return db.Find(ctx, r, db.Value[time.Time], `SELECT created_at FROM wallet_transaction
		WHERE account_id = $1 AND created_at >= $2 AND created_at < $3 AND type NOT IN ('hold', 'release')
		ORDER BY created_at LIMIT 1`, account, from, to)
}

func selectActive(
	ctx context.Context, r db.Reader, from, to time.Time, after id.ID, limit int,
) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID], `SELECT w.account_id FROM wallet w WHERE w.account_id > $1 AND EXISTS (
			SELECT 1 FROM wallet_transaction t WHERE t.account_id = w.account_id AND t.created_at >= $2
				AND t.created_at < $3)
		ORDER BY w.account_id LIMIT $4`, after, from, to, limit)
}
