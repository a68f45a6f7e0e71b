package wallet

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func selectHeads(ctx context.Context, r db.Reader) ([]Head, error) {
	return db.Collect(ctx, r, func(row db.Row) (h Head, err error) {
		err = row.Scan(&h.Account, &h.Seq, &h.Hash)
		return h, err
	}, `SELECT account_id, seq, hash FROM wallet WHERE seq > 0`)
}

// selectNewest reads the newest by its ID, which begins with the time.
func selectNewest(ctx context.Context, r db.Reader) (time.Time, bool, error) {
	return db.Find(ctx, r, db.Value[time.Time], `SELECT created_at FROM wallet_transaction ORDER BY id DESC LIMIT 1`)
}

// selectBounds returns the numbers of the first line at or after from and of the last before to.
func selectBounds(ctx context.Context, r db.Reader, account id.ID, from, to time.Time) (first, last int64, err error) {
	err = r.QueryRow(ctx, `SELECT
		CAST(COALESCE((SELECT MIN(seq) FROM wallet_transaction
			WHERE account_id = $1 AND created_at >= $2), 0) AS BIGINT),
		CAST(COALESCE((SELECT MAX(seq) FROM wallet_transaction
			WHERE account_id = $1 AND created_at < $3), 0) AS BIGINT)`,
		account, micros(from, 0), micros(to, never)).Scan(&first, &last)
	if first == 0 {
		return 1, 0, err
	}
	return first, last, err
}

func selectHash(ctx context.Context, r db.Reader, account id.ID, seq int64) (hash string, err error) {
	err = r.QueryRow(ctx, `SELECT hash FROM wallet_transaction WHERE account_id = $1 AND seq = $2`, account,
		seq).Scan(&hash)
	return hash, err
}

func selectLines(ctx context.Context, r db.Reader, account id.ID, first, last int64) ([]line, error) {
	return lines.Select(ctx, r, `WHERE account_id = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq`, account, first, last)
}
