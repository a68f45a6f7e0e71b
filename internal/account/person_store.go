package account

import (
	"context"
	"database/sql"
	"errors"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// personColumns are those of a Person in a query that calls the table p.
const personColumns = `p.id, p.email, p.name, p.operator, p.created_at,
	(SELECT COUNT(*) FROM totp t WHERE t.person_id = p.id AND t.confirmed_at IS NOT NULL),
	(SELECT COUNT(*) FROM passkey k WHERE k.person_id = p.id)`

// personRow is where a row of personColumns is scanned to.
type personRow struct {
	Person
	created, totp int64
}

func (p *personRow) to() []any {
	return []any{&p.ID, &p.Email, &p.Name, &p.Operator, &p.created, &p.totp, &p.Passkeys}
}

func (p *personRow) person() Person {
	p.CreatedAt, p.TOTP = db.At(p.created), p.totp > 0
	return p.Person
}

// insertPerson tells whether it made the row; false means that the e-mail address is taken.
func insertPerson(ctx context.Context, tx *db.Tx, p Person, account id.ID, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO person (id, account_id, email, name, operator, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (email) DO NOTHING`, p.ID, account, p.Email, p.Name, p.Operator, hash, db.Micros(p.CreatedAt))
	return n == 1, err
}

// personByEmail returns no person and an empty hash where there is none.
func personByEmail(ctx context.Context, r db.Reader, email string) (Person, string, bool, error) {
	var p personRow
	var hash string
	err := r.QueryRow(ctx, `SELECT `+personColumns+`, p.password_hash FROM person p WHERE p.email = $1`, email).Scan(append(p.to(), &hash)...)
	if errors.Is(err, sql.ErrNoRows) {
		return Person{}, "", false, nil
	}
	return p.person(), hash, err == nil, err
}

func personByID(ctx context.Context, r db.Reader, person id.ID) (Person, bool, error) {
	return one(scanPerson(r.QueryRow(ctx, `SELECT `+personColumns+` FROM person p WHERE p.id = $1`, person)))
}

func scanPerson(row scanner) (Person, error) {
	var p personRow
	err := row.Scan(p.to()...)
	return p.person(), err
}

func listPersons(ctx context.Context, r db.Reader, p db.Page) ([]Person, db.Listed, error) {
	return db.List[Person]{
		Columns: personColumns, Table: `person p`, Order: []db.Key{{Column: `p.id`}}, Down: true, Scan: scanPerson,
	}.Page(ctx, r, p)
}

func renamePerson(ctx context.Context, tx *db.Tx, person id.ID, name string) error {
	_, err := tx.Exec(ctx, `UPDATE person SET name = $1 WHERE id = $2`, name, person)
	return err
}

func setOperator(ctx context.Context, tx *db.Tx, person id.ID, operator bool) error {
	_, err := tx.Exec(ctx, `UPDATE person SET operator = $1 WHERE id = $2`, operator, person)
	return err
}

func setPassword(ctx context.Context, tx *db.Tx, person id.ID, hash string) (bool, error) {
	if !person.Valid(id.Person) {
		return false, nil
	}
	n, err := tx.Exec(ctx, `UPDATE person SET password_hash = $1 WHERE id = $2`, hash, person)
	return n == 1, err
}

// holdPassword tells whether the person's password is still the one with that hash, and holds the person's row, so that a
// change of it either came before and is seen here, or comes after and ends the session that is about to begin.
func holdPassword(ctx context.Context, tx *db.Tx, person id.ID, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE person SET password_hash = password_hash WHERE id = $1 AND password_hash = $2`, person, hash)
	return n == 1, err
}

// holdPerson has changes of what the person signs in with come one after the other.
func holdPerson(ctx context.Context, tx *db.Tx, person id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE person SET name = name WHERE id = $1`, person)
	return err
}
