package quote

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// row is a quote and its account.
type row struct {
	Quote
	account id.ID
}

var quotes = db.NewTable("quote", func(r *row) []db.Column {
	return []db.Column{
		db.Col("id", &r.ID), db.Col("account_id", &r.account), db.Col("offer_id", &r.OfferID),
		db.Col("hourly_price", &r.HourlyPrice), db.Col("created_at", &r.CreatedAt),
		db.Col("expires_at", &r.ExpiresAt), db.Col("used_by", &r.UsedBy),
	}
})

func insert(ctx context.Context, tx *db.Tx, account id.ID, q Quote) error {
	return quotes.Insert(ctx, tx, row{q, account})
}

func countOpen(ctx context.Context, tx *db.Tx, account id.ID) (int, error) {
	n, _, err := db.Find(ctx, tx, db.Value[int],
		`SELECT COUNT(*) FROM quote WHERE account_id = $1 AND used_by IS NULL AND expires_at > $2`, account, tx.Now)
	return n, err
}

func find(ctx context.Context, r db.Reader, account, quote id.ID) (Quote, bool, error) {
	q, found, err := quotes.Find(ctx, r, `WHERE id = $1 AND account_id = $2`, quote, account)
	return q.Quote, found, err
}

func use(ctx context.Context, tx *db.Tx, account, quote, deployment id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE quote SET used_by = $3
		WHERE id = $1 AND account_id = $2 AND used_by IS NULL AND expires_at > $4`, quote, account, deployment, tx.Now)
	return n == 1, err
}

// deleteExpired deletes quotes that expired before that instant, a limited number at a time.
func deleteExpired(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM quote
		WHERE id IN (SELECT id FROM quote WHERE expires_at < $1 ORDER BY expires_at LIMIT 50)`, before)
	return err
}
