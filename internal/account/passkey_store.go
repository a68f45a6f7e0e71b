package account

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const passkeyColumns = `id, name, created_at, used_at`

func scanPasskey(row db.Row) (p Passkey, err error) {
	err = row.Scan(&p.ID, &p.Name, &p.CreatedAt, &p.LastUsedAt)
	return p, err
}

// insertPasskey reports whether it inserted the row; false means that a user has the passkey
// already.
func insertPasskey(ctx context.Context, tx *db.Tx, p Passkey, user id.ID, credentialID, credential string) (bool,
	error) {
	n, err := tx.Exec(ctx, `INSERT INTO passkey (id, user_id, credential_id, name, credential, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (credential_id) DO NOTHING`, p.ID, user, credentialID,
		p.Name, credential, p.CreatedAt)
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
	return db.Collect(ctx, r, db.Value[string], `SELECT credential FROM passkey WHERE user_id = $1 ORDER BY id`, user)
}

func renamePasskey(ctx context.Context, tx *db.Tx, user, passkey id.ID, name string) (Passkey, bool, error) {
	if !passkey.Valid(id.Passkey) {
		return Passkey{}, false, nil
	}
	return db.Find(ctx, tx, scanPasskey,
		`UPDATE passkey SET name = $1 WHERE user_id = $2 AND id = $3 RETURNING `+passkeyColumns, name, user, passkey)
}

func deletePasskey(ctx context.Context, tx *db.Tx, user, passkey id.ID) (Passkey, bool, error) {
	if !passkey.Valid(id.Passkey) {
		return Passkey{}, false, nil
	}
	return db.Find(ctx, tx, scanPasskey,
		`DELETE FROM passkey WHERE user_id = $1 AND id = $2 RETURNING `+passkeyColumns, user, passkey)
}

func deletePasskeys(ctx context.Context, tx *db.Tx, user id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM passkey WHERE user_id = $1`, user)
	return err
}

// usePasskey stores the passkey's counter. It reports whether the passkey still exists.
func usePasskey(ctx context.Context, tx *db.Tx, user id.ID, credentialID, credential string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE passkey SET credential = $1, used_at = $2 WHERE user_id = $3 AND credential_id = $4`,
		credential, tx.Now, user, credentialID)
	return n == 1, err
}

// insertChallenge also deletes the expired ones, because anyone can create them.
func insertChallenge(ctx context.Context, tx *db.Tx, challenge, kind string, user id.ID, data string,
	expires time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM challenge WHERE expires_at <= $1`, tx.Now); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO challenge (id, kind, user_id, data, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		challenge, kind, user, data, expires)
	return err
}

// takeChallenge deletes a challenge and returns its data: of concurrent calls one gets it.
func takeChallenge(ctx context.Context, tx *db.Tx, challenge, kind string, user id.ID) (string, bool, error) {
	return db.Find(ctx, tx, db.Value[string],
		`DELETE FROM challenge WHERE id = $1 AND kind = $2 AND user_id = $3 AND expires_at > $4
			RETURNING data`, challenge, kind, user, tx.Now)
}
