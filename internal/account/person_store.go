package account

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// insertPerson tells whether it made the row; false means that the e-mail address is taken.
func insertPerson(ctx context.Context, tx *db.Tx, p Person, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO person (id, account_id, email, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (email) DO NOTHING`, p.ID, p.Account, p.Email, hash, db.Micros(p.CreatedAt))
	return n == 1, err
}

// personByEmail returns no person and an empty hash where there is none.
func personByEmail(ctx context.Context, r db.Reader, email string) (p Person, hash string, found bool, err error) {
	var created int64
	err = r.QueryRow(ctx, `SELECT id, account_id, email, password_hash, created_at FROM person WHERE email = $1`, email).
		Scan(&p.ID, &p.Account, &p.Email, &hash, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return Person{}, "", false, nil
	}
	p.CreatedAt = db.At(created)
	return p, hash, err == nil, err
}

func setPassword(ctx context.Context, tx *db.Tx, account, person id.ID, hash string) (bool, error) {
	if !person.Valid(id.Person) {
		return false, nil
	}
	n, err := tx.Exec(ctx, `UPDATE person SET password_hash = $1 WHERE account_id = $2 AND id = $3`, hash, account, person)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM session WHERE person_id = $1`, person)
	return err == nil, err
}

// insertSession tells whether it made the row; false means that the person's password is no
// longer the one with that hash. The UPDATE holds the person's row, so that a change of the
// password either comes before and is seen here, or comes after and ends this session too.
func insertSession(ctx context.Context, tx *db.Tx, tokenHash string, person id.ID, passwordHash string, expires time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE person SET password_hash = password_hash WHERE id = $1 AND password_hash = $2`, person, passwordHash)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO session (token_hash, person_id, created_at, seen_at, expires_at) VALUES ($1, $2, $3, $3, $4)`,
		tokenHash, person, db.Micros(tx.Now), db.Micros(expires))
	return err == nil, err
}

// personBySession is the one query for a person that knows no account: the token is what tells it.
func personBySession(ctx context.Context, r db.Reader, tokenHash string) (p Person, seen, expires time.Time, found bool, err error) {
	var created, seenAt, expiresAt int64
	err = r.QueryRow(ctx, `SELECT p.id, p.account_id, p.email, p.created_at, s.seen_at, s.expires_at
		FROM session s JOIN person p ON p.id = s.person_id WHERE s.token_hash = $1`, tokenHash).
		Scan(&p.ID, &p.Account, &p.Email, &created, &seenAt, &expiresAt)
	if errors.Is(err, sql.ErrNoRows) {
		return Person{}, time.Time{}, time.Time{}, false, nil
	}
	p.CreatedAt = db.At(created)
	return p, db.At(seenAt), db.At(expiresAt), err == nil, err
}

func deleteSession(ctx context.Context, tx *db.Tx, tokenHash string) error {
	_, err := tx.Exec(ctx, `DELETE FROM session WHERE token_hash = $1`, tokenHash)
	return err
}

// deleteEndedSessions keeps the table as small as what seven days of sign-ins make.
func deleteEndedSessions(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM session WHERE expires_at <= $1`, db.Micros(tx.Now))
	return err
}

// touchSessions goes by hash for the reason that touchKeys goes by id.
func touchSessions(ctx context.Context, tx *db.Tx, seen map[string]time.Time) error {
	for _, hash := range slices.Sorted(maps.Keys(seen)) {
		if _, err := tx.Exec(ctx, `UPDATE session SET seen_at = $1 WHERE token_hash = $2 AND seen_at < $1`, db.Micros(seen[hash]), hash); err != nil {
			return err
		}
	}
	return nil
}
