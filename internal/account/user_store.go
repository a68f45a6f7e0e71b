package account

import (
	"context"
	"database/sql"
	"errors"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// userColumns are those of a User in a query that calls the table p.
const userColumns = `p.id, p.email, p.name, p.operator, p.created_at,
	(SELECT COUNT(*) FROM totp t WHERE t.user_id = p.id AND t.confirmed_at IS NOT NULL),
	(SELECT COUNT(*) FROM passkey k WHERE k.user_id = p.id)`

// userRow is where a row of userColumns is scanned to.
type userRow struct {
	User
	created, totp int64
}

func (p *userRow) to() []any {
	return []any{&p.ID, &p.Email, &p.Name, &p.Operator, &p.created, &p.totp, &p.Passkeys}
}

func (p *userRow) user() User {
	p.CreatedAt, p.TOTP = db.At(p.created), p.totp > 0
	return p.User
}

// insertUser tells whether it made the row; false means that the e-mail address is taken.
func insertUser(ctx context.Context, tx *db.Tx, p User, account id.ID, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO users (id, account_id, email, name, operator, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (email) DO NOTHING`, p.ID, account, p.Email, p.Name, p.Operator, hash, db.Micros(p.CreatedAt))
	return n == 1, err
}

// userByEmail returns no user and an empty hash where there is none.
func userByEmail(ctx context.Context, r db.Reader, email string) (User, string, bool, error) {
	var p userRow
	var hash string
	err := r.QueryRow(ctx, `SELECT `+userColumns+`, p.password_hash FROM users p WHERE p.email = $1`, email).Scan(append(p.to(), &hash)...)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, "", false, nil
	}
	return p.user(), hash, err == nil, err
}

func userByID(ctx context.Context, r db.Reader, user id.ID) (User, bool, error) {
	return one(scanUser(r.QueryRow(ctx, `SELECT `+userColumns+` FROM users p WHERE p.id = $1`, user)))
}

func scanUser(row scanner) (User, error) {
	var p userRow
	err := row.Scan(p.to()...)
	return p.user(), err
}

func listPersons(ctx context.Context, r db.Reader, p db.Page) ([]User, db.Listed, error) {
	return db.List[User]{
		Columns: userColumns, Table: `users p`, Order: []db.Key{{Column: `p.id`}}, Down: true, Scan: scanUser,
	}.Page(ctx, r, p)
}

func renameUser(ctx context.Context, tx *db.Tx, user id.ID, name string) error {
	_, err := tx.Exec(ctx, `UPDATE users SET name = $1 WHERE id = $2`, name, user)
	return err
}

func setOperator(ctx context.Context, tx *db.Tx, user id.ID, operator bool) error {
	_, err := tx.Exec(ctx, `UPDATE users SET operator = $1 WHERE id = $2`, operator, user)
	return err
}

func setPassword(ctx context.Context, tx *db.Tx, user id.ID, hash string) (bool, error) {
	if !user.Valid(id.User) {
		return false, nil
	}
	n, err := tx.Exec(ctx, `UPDATE users SET password_hash = $1 WHERE id = $2`, hash, user)
	return n == 1, err
}

// holdPassword tells whether the user's password is still the one with that hash, and holds the user's row, so that a
// change of it either came before and is seen here, or comes after and ends the session that is about to begin.
func holdPassword(ctx context.Context, tx *db.Tx, user id.ID, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE users SET password_hash = password_hash WHERE id = $1 AND password_hash = $2`, user, hash)
	return n == 1, err
}

// holdUser has changes of what the user signs in with come one after the other.
func holdUser(ctx context.Context, tx *db.Tx, user id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE users SET name = name WHERE id = $1`, user)
	return err
}
