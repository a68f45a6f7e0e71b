package account

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var emailLinks = db.NewTable("email_link", func(l *emailLink) []db.Column {
	return []db.Column{
		db.Col("token_hash", &l.tokenHash), db.Col("kind", &l.kind), db.Col("email", &l.email),
		db.Col("terms_version", &l.termsVersion), db.Col("invited", &l.invited),
		db.Col("created_at", &l.createdAt), db.Col("expires_at", &l.expiresAt),
	}
})

// linkByHash is a query for a link without an account: the token identifies it.
func linkByHash(ctx context.Context, r db.Reader, kind linkKind, hash string) (emailLink, bool, error) {
	return emailLinks.Find(ctx, r, `WHERE token_hash = $1 AND kind = $2`, hash, string(kind))
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
