package account

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const loginColumns = `id, client, scopes, address, created_at, expires_at, decided_at, COALESCE(account_id, ''), COALESCE(key_id, '')`

func scanDeviceAuthorization(row scanner) (DeviceAuthorization, error) {
	var l DeviceAuthorization
	var scopes string
	var created, expires int64
	var decided sql.NullInt64
	err := row.Scan(&l.ID, &l.Client, &scopes, &l.Address, &created, &expires, &decided, &l.account, &l.key)
	for _, s := range strings.Fields(scopes) {
		l.Scopes = append(l.Scopes, Scope(s))
	}
	l.CreatedAt, l.ExpiresAt = db.At(created), db.At(expires)
	switch {
	case !decided.Valid:
		l.Status = DevicePending
	case l.key == "":
		l.Status = DeviceDenied
	default:
		l.Status = DeviceApproved
	}
	return l, err
}

// insertDeviceAuthorization tells whether it made the row; false means that one of the codes is taken.
func insertDeviceAuthorization(ctx context.Context, tx *db.Tx, l DeviceAuthorization, network, deviceHash, userHash string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO device_authorization (id, device_hash, user_hash, client, scopes, address, network, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		l.ID, deviceHash, userHash, l.Client, join(l.Scopes, " "), l.Address, network, db.Micros(l.CreatedAt), db.Micros(l.ExpiresAt))
	return n == 1, err
}

// countOpenLogins counts those that may still come to something, from that network and from all.
func countOpenLogins(ctx context.Context, tx *db.Tx, network string) (mine, all int, err error) {
	err = tx.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(CASE WHEN network = $1 THEN 1 ELSE 0 END), 0) AS BIGINT), COUNT(*) FROM device_authorization
		WHERE expires_at > $2 AND decided_at IS NULL`, network, db.Micros(tx.Now)).Scan(&mine, &all)
	return mine, all, err
}

func loginByUserHash(ctx context.Context, r db.Reader, hash string) (DeviceAuthorization, bool, error) {
	return one(scanDeviceAuthorization(r.QueryRow(ctx, `SELECT `+loginColumns+` FROM device_authorization WHERE user_hash = $1`, hash)))
}

func loginByDeviceHash(ctx context.Context, r db.Reader, hash string) (DeviceAuthorization, bool, error) {
	return one(scanDeviceAuthorization(r.QueryRow(ctx, `SELECT `+loginColumns+` FROM device_authorization WHERE device_hash = $1`, hash)))
}

// decideDeviceAuthorization tells whether this is who decided: one is, however many try at once. Without a key it is denied.
func decideDeviceAuthorization(ctx context.Context, tx *db.Tx, login, account, user id.ID, key *id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE device_authorization SET decided_at = $1, account_id = $2, decided_by = $3, key_id = $4
		WHERE id = $5 AND decided_at IS NULL AND expires_at > $1`, db.Micros(tx.Now), account, user, key, login)
	return n == 1, err
}

func claimDeviceAuthorization(ctx context.Context, tx *db.Tx, login id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE device_authorization SET claimed_at = COALESCE(claimed_at, $1) WHERE id = $2`, db.Micros(tx.Now), login)
	return err
}

// hidePrefix has a key whose secret nobody knows yet show nothing of it.
func hidePrefix(ctx context.Context, tx *db.Tx, key id.ID) (string, error) {
	const prefix = SecretPrefix + "…"
	_, err := tx.Exec(ctx, `UPDATE api_key SET prefix = $1 WHERE id = $2`, prefix, key)
	return prefix, err
}

func setSecret(ctx context.Context, tx *db.Tx, key id.ID, hash, prefix string) error {
	_, err := tx.Exec(ctx, `UPDATE api_key SET secret_hash = $1, prefix = $2 WHERE id = $3`, hash, prefix, key)
	return err
}

// revokeUnclaimed revokes the keys of logins that had ended by then and that nobody claimed.
func revokeUnclaimed(ctx context.Context, tx *db.Tx, by time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE api_key SET revoked_at = $1 WHERE revoked_at IS NULL AND id IN
		(SELECT key_id FROM device_authorization WHERE expires_at <= $2 AND key_id IS NOT NULL AND claimed_at IS NULL)`, db.Micros(tx.Now), db.Micros(by))
	return err
}

func deleteLogins(ctx context.Context, tx *db.Tx, by time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM device_authorization WHERE expires_at <= $1`, db.Micros(by))
	return err
}
