package account

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func personBySubject(ctx context.Context, r db.Reader, issuer, subject string) (Person, bool, error) {
	return one(scanPerson(r.QueryRow(ctx, `SELECT `+personColumns+` FROM identity i JOIN person p ON p.id = i.person_id
		WHERE i.issuer = $1 AND i.subject = $2`, issuer, subject)))
}

// linkSubject tells whether the subject is the person's, making it so where the provider has named neither before.
func linkSubject(ctx context.Context, tx *db.Tx, issuer, subject string, person id.ID) (bool, error) {
	if _, err := tx.Exec(ctx, `INSERT INTO identity (issuer, subject, person_id, created_at)
		SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT)
		WHERE NOT EXISTS (SELECT 1 FROM identity WHERE issuer = $1 AND person_id = $3)
		ON CONFLICT (issuer, subject) DO NOTHING`, issuer, subject, person, db.Micros(tx.Now)); err != nil {
		return false, err
	}
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM identity WHERE issuer = $1 AND subject = $2 AND person_id = $3`, issuer, subject, person).Scan(&n)
	return n == 1, err
}

// onlySaidSo tells whether an invitation made the person, in the moment of its acceptance, and no provider has named them since.
func onlySaidSo(ctx context.Context, tx *db.Tx, person id.ID) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM person p JOIN invitation i ON i.accepted_by = p.id AND i.accepted_at = p.created_at
		WHERE p.id = $1 AND NOT EXISTS (SELECT 1 FROM identity o WHERE o.person_id = p.id)`, person).Scan(&n)
	return n > 0, err
}
