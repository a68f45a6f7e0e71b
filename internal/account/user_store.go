package account

import (
	"context"
	"database/sql"
	"errors"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// userColumns are the columns of a User in a query with the table users AS p.
const userColumns = `p.id, p.email, p.name, p.operator, p.created_at,
	EXISTS (SELECT 1 FROM totp t WHERE t.user_id = p.id AND t.confirmed_at IS NOT NULL),
	(SELECT COUNT(*) FROM passkey k WHERE k.user_id = p.id)`

// fields are the destinations of userColumns.
func (u *User) fields() []any {
	return []any{&u.ID, &u.Email, &u.Name, &u.Operator, &u.CreatedAt, &u.TOTP, &u.Passkeys}
}

func scanUser(row db.Row) (u User, err error) {
	err = row.Scan(u.fields()...)
	return u, err
}

// insertUser reports whether it inserted the row; false means that the email address is taken.
func insertUser(ctx context.Context, tx *db.Tx, u User, account id.ID, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO users (id, account_id, email, name, operator, password_hash, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email) DO NOTHING`,
		u.ID, account, u.Email, u.Name, u.Operator, hash, u.CreatedAt)
	return n == 1, err
}

// userByEmail returns the user with their password hash. If there is none, both are empty.
func userByEmail(ctx context.Context, r db.Reader, email string) (u User, hash string, found bool, err error) {
	row := r.QueryRow(ctx, `SELECT `+userColumns+`, p.password_hash FROM users p WHERE p.email = $1`, email)
	err = row.Scan(append(u.fields(), &hash)...)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, "", false, nil
	}
	return u, hash, err == nil, err
}

func userByID(ctx context.Context, r db.Reader, user id.ID) (User, bool, error) {
	return db.Find(ctx, r, scanUser, `SELECT `+userColumns+` FROM users p WHERE p.id = $1`, user)
}

func hasUsers(ctx context.Context, r db.Reader) (has bool, err error) {
	err = r.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM users)`).Scan(&has)
	return has, err
}

func listUsers(ctx context.Context, r db.Reader, p db.Page) ([]User, db.Listed, error) {
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

func operatorHomes(ctx context.Context, r db.Reader) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID], `SELECT DISTINCT m.account_id FROM users p
		JOIN membership m ON m.user_id = p.id AND m.account_id = p.account_id
		WHERE p.operator = 1 ORDER BY m.account_id LIMIT 1000`)
}

func setPassword(ctx context.Context, tx *db.Tx, user id.ID, hash string) (bool, error) {
	if !user.Valid(id.User) {
		return false, nil
	}
	n, err := tx.Exec(ctx, `UPDATE users SET password_hash = $1 WHERE id = $2`, hash, user)
	return n == 1, err
}

// lockPassword reports whether the user's password still has that hash, and locks the user. A
// change of the password either committed before and is seen here, or commits later and ends the
// session that is about to start.
func lockPassword(ctx context.Context, tx *db.Tx, user id.ID, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE users SET password_hash = password_hash WHERE id = $1 AND password_hash = $2`,
		user, hash)
	return n == 1, err
}

// lockUser makes changes of a user's sign-in methods follow each other.
func lockUser(ctx context.Context, tx *db.Tx, user id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE users SET name = name WHERE id = $1`, user)
	return err
}

// isFormer reports whether the user is a member of no account, and no operator.
func isFormer(ctx context.Context, r db.Reader, user id.ID) (former bool, err error) {
	err = r.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM users p WHERE p.id = $1 AND p.operator = 0
		AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.user_id = p.id))`, user).Scan(&former)
	return former, err
}

// rejoin makes a former user the owner of the account, under the new name and with the new
// password. What they were linked with at identity providers is forgotten.
func rejoin(ctx context.Context, tx *db.Tx, user id.ID, n NewUser, account id.ID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM identity WHERE user_id = $1`, user); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE users SET account_id = $1, name = $2, password_hash = $3, email_proved_at = $4
		WHERE id = $5`, account, n.name, n.hash, tx.Now, user); err != nil {
		return err
	}
	_, err := insertMembership(ctx, tx, account, user, Owner)
	return err
}
