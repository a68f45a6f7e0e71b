package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	invitationColumns = `i.id, i.account_id, i.role, i.email, COALESCE(i.created_by, ''), COALESCE(p.email, ''),
		CASE WHEN p.id IS NULL THEN 'operator' WHEN p.name = '' THEN p.email ELSE p.name END, i.created_at,
		i.expires_at, i.accepted_at, i.revoked_at`
	invitationTables = `invitation i LEFT JOIN users p ON p.id = i.created_by`
)

// fields are the destinations of invitationColumns.
func (i *Invitation) fields() []any {
	return []any{
		&i.ID, &i.Account, &i.Role, &i.Email, &i.CreatedBy.ID, &i.InvitedBy.Email, &i.CreatedBy.Name,
		&i.CreatedAt, &i.ExpiresAt, &i.acceptedAt, &i.revokedAt,
	}
}

func scanInvitation(row db.Row) (i Invitation, err error) {
	err = row.Scan(i.fields()...)
	if i.CreatedBy.Type, i.InvitedBy.ID = creator.Member, i.CreatedBy.ID; i.CreatedBy.ID == "" {
		i.CreatedBy = creator.ByOperator
	}
	return i, err
}

func insertInvitation(ctx context.Context, tx *db.Tx, i Invitation, tokenHash string) error {
	var by any // NULL for the operator
	if i.InvitedBy.ID != "" {
		by = i.InvitedBy.ID
	}
	_, err := tx.Exec(ctx, `INSERT INTO invitation (id, account_id, role, email, token_hash, created_by,
		created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		i.ID, i.Account, string(i.Role), i.Email, tokenHash, by, i.CreatedAt, i.ExpiresAt)
	return err
}

func listInvitations(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]Invitation, db.Listed, error) {
	return db.List[Invitation]{
		Columns: invitationColumns, Table: invitationTables, Where: []db.Cond{db.Is(`i.account_id`, account)},
		Order: []db.Key{{Column: `i.id`}}, Down: true, Scan: scanInvitation,
	}.Page(ctx, r, p)
}

func invitationByID(ctx context.Context, r db.Reader, account, invitation id.ID) (Invitation, bool, error) {
	if !invitation.Valid(id.Invitation) {
		return Invitation{}, false, nil
	}
	return db.Find(ctx, r, scanInvitation, `SELECT `+invitationColumns+` FROM `+invitationTables+`
		WHERE i.account_id = $1 AND i.id = $2`, account, invitation)
}

// openInvitation is an invitation that can be accepted, if its inviter may still invite for that
// role.
type openInvitation struct {
	Invitation
	accountName, inviterName string
	// inviter is the inviter's current role; empty if they left the account.
	inviter Role
}

// findOpenInvitation is the only query for an invitation without an account: the token identifies
// it.
func findOpenInvitation(ctx context.Context, r db.Reader, token string, now time.Time) (i openInvitation,
	found bool, err error) {
	if !isToken(token) {
		return i, false, nil
	}
	err = r.QueryRow(ctx, `SELECT `+invitationColumns+`, a.name,
		CASE WHEN p.id IS NULL THEN 'The operator' WHEN p.name = '' THEN p.email ELSE p.name END,
		COALESCE(m.role, CASE WHEN i.created_by IS NULL THEN 'owner' ELSE '' END)
		FROM `+invitationTables+` JOIN account a ON a.id = i.account_id
		LEFT JOIN membership m ON m.account_id = i.account_id AND m.user_id = i.created_by
		WHERE i.token_hash = $1 AND i.accepted_at IS NULL AND i.revoked_at IS NULL
		AND i.expires_at > $2`, hashOf(token), now).
		Scan(append(i.fields(), &i.accountName, &i.inviterName, &i.inviter)...)
	if errors.Is(err, sql.ErrNoRows) {
		return openInvitation{}, false, nil
	}
	return i, err == nil, err
}

// acceptInvitation reports whether this call accepted the invitation: of concurrent calls one does.
func acceptInvitation(ctx context.Context, tx *db.Tx, invitation, user id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE invitation SET accepted_at = $1, accepted_by = $2
		WHERE id = $3 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $1`, tx.Now, user, invitation)
	return n == 1, err
}

func revokeInvitation(ctx context.Context, tx *db.Tx, account, invitation id.ID) error {
	if !invitation.Valid(id.Invitation) {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE invitation SET revoked_at = $1
		WHERE account_id = $2 AND id = $3 AND revoked_at IS NULL AND accepted_at IS NULL`, tx.Now, account, invitation)
	return err
}

func countOpenInvitations(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM invitation
		WHERE account_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL
		AND expires_at > $2`, account, tx.Now).Scan(&n)
	return n, err
}

func isMember(ctx context.Context, tx *db.Tx, account id.ID, email string) (found bool, err error) {
	err = tx.QueryRow(ctx,
		`SELECT EXISTS (SELECT 1 FROM `+memberTables+` WHERE m.account_id = $1 AND p.email = $2)`, account, email).
		Scan(&found)
	return found, err
}

func emailTaken(ctx context.Context, r db.Reader, email string) (taken bool, err error) {
	err = r.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM users WHERE email = $1)`, email).Scan(&taken)
	return taken, err
}

func setHome(ctx context.Context, tx *db.Tx, user, account id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE users SET account_id = $1 WHERE id = $2`, account, user)
	return err
}
