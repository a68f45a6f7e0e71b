package account

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func userBySubject(ctx context.Context, r db.Reader, issuer, subject string) (User, bool, error) {
	return db.Find(ctx, r, scanUser, `SELECT `+userColumns+` FROM identity i JOIN users p ON p.id = i.user_id
		WHERE i.issuer = $1 AND i.subject = $2`, issuer, subject)
}

// linkSubject links the subject with the user, unless one of them is linked. It reports whether
// they are linked with each other now.
func linkSubject(ctx context.Context, tx *db.Tx, issuer, subject string, user id.ID) (bool, error) {
	if _, err := tx.Exec(ctx, `INSERT INTO identity (issuer, subject, user_id, created_at)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT)
		WHERE NOT EXISTS (SELECT 1 FROM identity WHERE issuer = $1 AND user_id = $3)
		ON CONFLICT (issuer, subject) DO NOTHING`, issuer, subject, user, tx.Now); err != nil {
		return false, err
	}
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM identity WHERE issuer = $1 AND subject = $2 AND user_id = $3`,
		issuer, subject, user).Scan(&n)
	return n == 1, err
}

// isUnproved reports whether the user accepted an invitation as a new user, and neither a provider
// nor a mailed link has proved their address since.
func isUnproved(ctx context.Context, tx *db.Tx, user id.ID) (unproved bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (
		SELECT 1 FROM users p JOIN invitation i ON i.accepted_by = p.id AND i.accepted_at = p.created_at
		WHERE p.id = $1 AND p.email_proved_at IS NULL
			AND NOT EXISTS (SELECT 1 FROM identity o WHERE o.user_id = p.id))`, user).Scan(&unproved)
	return unproved, err
}
