package setup

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

// record is a code as it is stored.
type record struct {
	hash                 string
	createdAt, expiresAt time.Time
}

var records = db.NewTable("setup_code", func(r *record) []db.Column {
	return []db.Column{
		db.Col("code_hash", &r.hash), db.Col("created_at", &r.createdAt), db.Col("expires_at", &r.expiresAt),
	}
})

// allCodes returns all codes, oldest first. In a transaction that writes it locks them.
func allCodes(ctx context.Context, r db.Reader) ([]record, error) {
	return records.Select(ctx, r, `ORDER BY created_at, code_hash`+db.ForUpdate(r))
}

func deleteCodes(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM setup_code`)
	return err
}

// deleteOldCodes deletes all but the newest codes.
func deleteOldCodes(ctx context.Context, tx *db.Tx, keep int) error {
	_, err := tx.Exec(ctx, `DELETE FROM setup_code WHERE code_hash NOT IN
		(SELECT code_hash FROM setup_code ORDER BY created_at DESC, code_hash DESC LIMIT $1)`, keep)
	return err
}
