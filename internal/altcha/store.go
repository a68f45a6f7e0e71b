package altcha

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

// used is a challenge whose solution was accepted.
type used struct {
	signature string
	expiresAt time.Time
}

var solved = db.NewTable("altcha_solved", func(u *used) []db.Column {
	return []db.Column{db.Col("signature", &u.signature), db.Col("expires_at", &u.expiresAt)}
})

// insertUsed reports whether the challenge was not used before.
func insertUsed(ctx context.Context, tx *db.Tx, signature string, expiresAt time.Time) (bool, error) {
	n, err := solved.InsertNew(ctx, tx, "signature", used{signature, expiresAt})
	return n == 1, err
}

func deleteUsed(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM altcha_solved WHERE expires_at <= $1`, tx.Now)
	return err
}
