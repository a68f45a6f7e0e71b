package account

import (
	"context"
	"database/sql"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const passkeyColumns = `id, name, created_at, used_at`

func scanPasskey(row scanner) (Passkey, error) {
	var p Passkey
	var created int64
	var used sql.NullInt64
	err := row.Scan(&p.ID, &p.Name, &created, &used)
	p.CreatedAt, p.LastUsedAt = db.At(created), db.AtOrNil(used)
	return p, err
}

// insertPasskey tells whether it made the row; false means that somebody has the passkey already.
func insertPasskey(ctx context.Context, tx *db.Tx, p Passkey, user id.ID, credentialID, credential string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO passkey (id, user_id, credential_id, name, credential, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (credential_id) DO NOTHING`, p.ID, user, credentialID, p.Name, credential, db.Micros(p.CreatedAt))
	return n == 1, err
}

func listPasskeys(ctx context.Context, r db.Reader, user id.ID, p db.Page) ([]Passkey, db.Listed, error) {
	return db.List[Passkey]{
		Columns: passkeyColumns, Table: `passkey`, Where: []db.Cond{db.Is(`user_id`, user)},
		Order: []db.Key{{Column: `id`}}, Down: true, Scan: scanPasskey,
	}.Page(ctx, r, p)
}

// passkeysOf returns the credentials as JSON.
func passkeysOf(ctx context.Context, r db.Reader, user id.ID) ([]string, error) {
	rows, err := r.Query(ctx, `SELECT credential FROM passkey WHERE user_id = $1 ORDER BY id`, user)
	return all(rows, err, func(row scanner) (text string, err error) {
		err = row.Scan(&text)
		return text, err
	})
}

func renamePasskey(ctx context.Context, tx *db.Tx, user, passkey id.ID, name string) (Passkey, bool, error) {
	if !passkey.Valid(id.Passkey) {
		return Passkey{}, false, nil
	}
	return one(scanPasskey(tx.QueryRow(ctx, `UPDATE passkey SET name = $1 WHERE user_id = $2 AND id = $3 RETURNING `+passkeyColumns, name, user, passkey)))
}

func deletePasskey(ctx context.Context, tx *db.Tx, user, passkey id.ID) (Passkey, bool, error) {
	if !passkey.Valid(id.Passkey) {
		return Passkey{}, false, nil
	}
	return one(scanPasskey(tx.QueryRow(ctx, `DELETE FROM passkey WHERE user_id = $1 AND id = $2 RETURNING `+passkeyColumns, user, passkey)))
}

func deletePasskeys(ctx context.Context, tx *db.Tx, user id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM passkey WHERE user_id = $1`, user)
	return err
}

// usePasskey keeps the counter that the passkey has come to. It tells whether the passkey is there.
func usePasskey(ctx context.Context, tx *db.Tx, user id.ID, credentialID, credential string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE passkey SET credential = $1, used_at = $2 WHERE user_id = $3 AND credential_id = $4`,
		credential, db.Micros(tx.Now), user, credentialID)
	return n == 1, err
}

// insertChallenge also deletes those whose time has passed: anybody can make them.
func insertChallenge(ctx context.Context, tx *db.Tx, challenge, kind string, user id.ID, data string, expires time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM challenge WHERE expires_at <= $1`, db.Micros(tx.Now)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO challenge (id, kind, user_id, data, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		challenge, kind, user, data, db.Micros(expires))
	return err
}

// takeChallenge returns what was kept of a challenge to one caller, however many ask.
func takeChallenge(ctx context.Context, tx *db.Tx, challenge, kind string, user id.ID) (string, bool, error) {
	var data string
	err := tx.QueryRow(ctx, `DELETE FROM challenge WHERE id = $1 AND kind = $2 AND user_id = $3 AND expires_at > $4 RETURNING data`,
		challenge, kind, user, db.Micros(tx.Now)).Scan(&data)
	return one(data, err)
}
