package account

import (
	"context"
	"database/sql"
	"errors"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// insertMembership reports whether it inserted the row; false means that the user is a member
// already.
func insertMembership(ctx context.Context, tx *db.Tx, account, user id.ID, role Role) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO membership (account_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id, user_id) DO NOTHING`, account, user, string(role), tx.Now)
	return n == 1, err
}

func roleIn(ctx context.Context, r db.Reader, account, user id.ID) (Role, bool, error) {
	if !account.Valid(id.Account) || !user.Valid(id.User) {
		return "", false, nil
	}
	return db.Find(ctx, r, db.Value[Role], `SELECT role FROM membership WHERE account_id = $1 AND user_id = $2`,
		account, user)
}

// homeOf returns the account in which the user worked last, if they are still a member, or the
// first one that they joined.
func homeOf(ctx context.Context, r db.Reader, user id.ID) (account id.ID, role Role, found bool, err error) {
	err = r.QueryRow(ctx, `SELECT m.account_id, m.role FROM membership m JOIN users p ON p.id = m.user_id
		WHERE m.user_id = $1
		ORDER BY CASE WHEN m.account_id = p.account_id THEN 0 ELSE 1 END, m.created_at, m.account_id
		LIMIT 1`, user).Scan(&account, &role)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", false, nil
	}
	return account, role, err == nil, err
}

func memberships(ctx context.Context, r db.Reader, user id.ID) ([]Membership, error) {
	scan := func(row db.Row) (m Membership, err error) {
		err = row.Scan(&m.ID, &m.Name, &m.Role)
		return m, err
	}
	return db.Collect(ctx, r, scan, `SELECT a.id, a.name, m.role FROM membership m JOIN account a ON a.id = m.account_id
		WHERE m.user_id = $1 ORDER BY m.created_at, a.id`, user)
}

const memberColumns = `p.id, p.email, p.name, m.role,
	EXISTS (SELECT 1 FROM totp t WHERE t.user_id = p.id AND t.confirmed_at IS NOT NULL),
	(SELECT COUNT(*) FROM passkey k WHERE k.user_id = p.id), m.seen_at, m.created_at`

const memberTables = `membership m JOIN users p ON p.id = m.user_id`

func scanMember(row db.Row) (m MemberInfo, err error) {
	err = row.Scan(&m.ID, &m.Email, &m.Name, &m.Role, &m.TOTP, &m.Passkeys, &m.LastSeenAt, &m.JoinedAt)
	return m, err
}

func listMembers(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]MemberInfo, db.Listed, error) {
	return db.List[MemberInfo]{
		Columns: memberColumns, Table: memberTables, Where: []db.Cond{db.Is(`m.account_id`, account)},
		Order: []db.Key{{Column: `m.created_at`, Number: true}, {Column: `m.user_id`}}, Scan: scanMember,
	}.Page(ctx, r, p)
}

func memberByID(ctx context.Context, r db.Reader, account, user id.ID) (MemberInfo, bool, error) {
	return db.Find(ctx, r, scanMember, `SELECT `+memberColumns+` FROM `+memberTables+`
		WHERE m.account_id = $1 AND m.user_id = $2`, account, user)
}

func lockAccount(ctx context.Context, tx *db.Tx, account id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE account SET name = name WHERE id = $1`, account)
	return err
}

func countOwners(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM membership WHERE account_id = $1 AND role = $2`, account,
		string(Owner)).Scan(&n)
	return n, err
}

func setRole(ctx context.Context, tx *db.Tx, account, user id.ID, role Role) error {
	_, err := tx.Exec(ctx, `UPDATE membership SET role = $1 WHERE account_id = $2 AND user_id = $3`, string(role),
		account, user)
	return err
}

func seeMember(ctx context.Context, tx *db.Tx, account, user id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE membership SET seen_at = $1 WHERE account_id = $2 AND user_id = $3`, tx.Now,
		account, user)
	return err
}

func removeMember(ctx context.Context, tx *db.Tx, account, user id.ID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM membership WHERE account_id = $1 AND user_id = $2`, account,
		user); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM session WHERE account_id = $1 AND user_id = $2`, account, user); err != nil {
		return err
	}
	if err := revokeKeysBy(ctx, tx, account, user); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE invitation SET revoked_at = $1
		WHERE account_id = $2 AND created_by = $3 AND revoked_at IS NULL
		AND accepted_at IS NULL`, tx.Now, account, user)
	return err
}

// revokeKeysBy revokes the keys that the user created in the account.
func revokeKeysBy(ctx context.Context, tx *db.Tx, account, user id.ID) error {
	_,
		err := tx.Exec(ctx,
		`UPDATE api_key SET revoked_at = $1 WHERE account_id = $2 AND created_by = $3 AND revoked_at IS NULL`,
		tx.Now, account, user)
	return err
}

// revokeAllKeysBy revokes the keys that the user created in any account.
func revokeAllKeysBy(ctx context.Context, tx *db.Tx, user id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE api_key SET revoked_at = $1 WHERE created_by = $2 AND revoked_at IS NULL`,
		tx.Now, user)
	return err
}
