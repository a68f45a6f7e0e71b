package account

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var emailLinks = db.NewTable("email_link", func(l *emailLink) []db.Column {
	return []db.Column{
		db.Col("token_hash", &l.tokenHash), db.Col("kind", &l.kind), db.Col("email", &l.email),
		db.Col("invited", &l.invited),
		db.Col("created_at", &l.createdAt), db.Col("expires_at", &l.expiresAt),
	}
})

// linkByHash is a query for a link without an account: the token identifies it.
func linkByHash(ctx context.Context, r db.Reader, kind linkKind, hash string) (emailLink, bool, error) {
	return emailLinks.Find(ctx, r, `WHERE token_hash = $1 AND kind = $2`, hash, string(kind))
}

// openRegistration returns the link of that address that can be used.
func openRegistration(ctx context.Context, tx *db.Tx, email string) (emailLink, bool, error) {
	return emailLinks.Find(ctx, tx, `WHERE kind = $1 AND email = $2 AND expires_at > $3`,
		string(registrationLink), email, tx.Now)
}

// deleteResetLink deletes the link by which the user could set a password.
func deleteResetLink(ctx context.Context, tx *db.Tx, user id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM email_link
		WHERE kind = $1 AND email = (SELECT email FROM users WHERE id = $2)`, string(passwordResetLink), user)
	return err
}

// setEmailProved records that the user reads mail at their address.
func setEmailProved(ctx context.Context, tx *db.Tx, user id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE users SET email_proved_at = $1 WHERE id = $2`, tx.Now, user)
	return err
}

// deleteLink reports whether this call deleted the link.
func deleteLink(ctx context.Context, tx *db.Tx, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `DELETE FROM email_link WHERE token_hash = $1`, hash)
	return n == 1, err
}

func deleteExpiredLinks(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM email_link WHERE expires_at <= $1`, tx.Now)
	return err
}

func insertAcceptance(ctx context.Context, tx *db.Tx, user id.ID, version string) error {
	_, err := tx.Exec(ctx, `INSERT INTO terms_acceptance (user_id, version, accepted_at) VALUES ($1, $2, $3)
		ON CONFLICT (user_id, version) DO NOTHING`, user, version, tx.Now)
	return err
}
