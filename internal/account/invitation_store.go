package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const invitationColumns = `i.id, i.account_id, i.role, i.email, i.created_by, p.email, i.created_at, i.expires_at, i.accepted_at, i.revoked_at`

// invitationRow is where a row of invitationColumns is scanned to.
type invitationRow struct {
	Invitation
	created, expires  int64
	accepted, revoked sql.NullInt64
}

func (i *invitationRow) to() []any {
	return []any{&i.ID, &i.Account, &i.Role, &i.Email, &i.InvitedBy.ID, &i.InvitedBy.Email, &i.created, &i.expires, &i.accepted, &i.revoked}
}

func (i *invitationRow) invitation() Invitation {
	i.CreatedAt, i.ExpiresAt, i.acceptedAt, i.revokedAt = db.At(i.created), db.At(i.expires), db.AtOrNil(i.accepted), db.AtOrNil(i.revoked)
	return i.Invitation
}

func scanInvitation(row scanner) (Invitation, error) {
	var i invitationRow
	err := row.Scan(i.to()...)
	return i.invitation(), err
}

func insertInvitation(ctx context.Context, tx *db.Tx, i Invitation, tokenHash string) error {
	_, err := tx.Exec(ctx, `INSERT INTO invitation (id, account_id, role, email, token_hash, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		i.ID, i.Account, string(i.Role), i.Email, tokenHash, i.InvitedBy.ID, db.Micros(i.CreatedAt), db.Micros(i.ExpiresAt))
	return err
}

func listInvitations(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]Invitation, db.Listed, error) {
	return db.List[Invitation]{
		Columns: invitationColumns, Table: `invitation i JOIN users p ON p.id = i.created_by`, Where: []db.Cond{db.Is(`i.account_id`, account)},
		Order: []db.Key{{Column: `i.id`}}, Down: true, Scan: scanInvitation,
	}.Page(ctx, r, p)
}

func invitationByID(ctx context.Context, r db.Reader, account, invitation id.ID) (Invitation, bool, error) {
	if !invitation.Valid(id.Invitation) {
		return Invitation{}, false, nil
	}
	return one(scanInvitation(r.QueryRow(ctx, `SELECT `+invitationColumns+` FROM invitation i JOIN users p ON p.id = i.created_by
		WHERE i.account_id = $1 AND i.id = $2`, account, invitation)))
}

// openInvitation is the one query for an invitation that knows no account: the token is what tells it. inviter is the
// role that its writer has now, "" where they left.
func openInvitation(ctx context.Context, r db.Reader, token string, now time.Time) (i Invitation, v InvitationView, inviter Role, found bool, err error) {
	if !isToken(token) {
		return i, v, "", false, nil
	}
	var row invitationRow
	err = r.QueryRow(ctx, `SELECT `+invitationColumns+`, a.name, CASE WHEN p.name = '' THEN p.email ELSE p.name END, COALESCE(m.role, '')
		FROM invitation i JOIN users p ON p.id = i.created_by JOIN account a ON a.id = i.account_id
		LEFT JOIN membership m ON m.account_id = i.account_id AND m.user_id = i.created_by
		WHERE i.token_hash = $1 AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > $2`, hashOf(token), db.Micros(now)).
		Scan(append(row.to(), &v.AccountName, &v.InvitedBy, &inviter)...)
	if errors.Is(err, sql.ErrNoRows) {
		return i, InvitationView{}, "", false, nil
	}
	i = row.invitation()
	v.Role, v.Email, v.ExpiresAt = i.Role, i.Email, i.ExpiresAt
	return i, v, inviter, err == nil, err
}

// acceptInvitation tells whether this is who accepted it: one is, however many try at once.
func acceptInvitation(ctx context.Context, tx *db.Tx, invitation, user id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE invitation SET accepted_at = $1, accepted_by = $2
		WHERE id = $3 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $1`, db.Micros(tx.Now), user, invitation)
	return n == 1, err
}

func revokeInvitation(ctx context.Context, tx *db.Tx, account, invitation id.ID) error {
	if !invitation.Valid(id.Invitation) {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE invitation SET revoked_at = $1 WHERE account_id = $2 AND id = $3 AND revoked_at IS NULL AND accepted_at IS NULL`,
		db.Micros(tx.Now), account, invitation)
	return err
}

func countOpenInvitations(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM invitation WHERE account_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2`,
		account, db.Micros(tx.Now)).Scan(&n)
	return n, err
}

func isMember(ctx context.Context, tx *db.Tx, account id.ID, email string) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM membership m JOIN users p ON p.id = m.user_id WHERE m.account_id = $1 AND p.email = $2`, account, email).Scan(&n)
	return n > 0, err
}

func emailTaken(ctx context.Context, r db.Reader, email string) (bool, error) {
	var n int
	err := r.QueryRow(ctx, `SELECT COUNT(*) FROM users WHERE email = $1`, email).Scan(&n)
	return n > 0, err
}

func setHome(ctx context.Context, tx *db.Tx, user, account id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE users SET account_id = $1 WHERE id = $2`, account, user)
	return err
}
