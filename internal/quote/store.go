package quote

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func insert(ctx context.Context, tx *db.Tx, account id.ID, q Quote) error {
	_, err := tx.Exec(ctx, `INSERT INTO quote (id, account_id, offer_id, hourly_price, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		q.ID, account, q.OfferID, q.HourlyPrice, db.Micros(q.CreatedAt), db.Micros(q.ExpiresAt))
	if err != nil {
		return fmt.Errorf("insert quote: %w", err)
	}
	return nil
}

func countOpen(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM quote WHERE account_id = $1 AND used_by IS NULL AND expires_at > $2`, account, db.Micros(tx.Now)).Scan(&n)
	return n, err
}

func find(ctx context.Context, r db.Reader, account, quote id.ID) (q Quote, found bool, err error) {
	var created, expires int64
	var used sql.NullString
	err = r.QueryRow(ctx, `SELECT id, offer_id, hourly_price, created_at, expires_at, used_by FROM quote WHERE id = $1 AND account_id = $2`, quote, account).
		Scan(&q.ID, &q.OfferID, &q.HourlyPrice, &created, &expires, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return Quote{}, false, nil
	}
	q.CreatedAt, q.ExpiresAt = db.At(created), db.At(expires)
	if used.Valid {
		by := id.ID(used.String)
		q.UsedBy = &by
	}
	return q, err == nil, err
}

func use(ctx context.Context, tx *db.Tx, account, quote, deployment id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE quote SET used_by = $3 WHERE id = $1 AND account_id = $2 AND used_by IS NULL AND expires_at > $4`, quote, account, deployment, db.Micros(tx.Now))
	return n == 1, err
}

// forget drops quotes that expired before that instant, a bounded number at a time.
func forget(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM quote WHERE id IN (SELECT id FROM quote WHERE expires_at < $1 ORDER BY expires_at LIMIT 50)`, db.Micros(before))
	return err
}
