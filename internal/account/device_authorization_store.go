package account

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const deviceColumns = `id, client_id, scopes, address, created_at, expires_at, decided_at, COALESCE(account_id,
	''), COALESCE(key_id, '')`

func scanDeviceAuthorization(row db.Row) (d DeviceAuthorization, err error) {
	var scopes string
	var decided *time.Time
	err = row.Scan(&d.ID, &d.ClientID, &scopes, &d.Address, &d.CreatedAt, &d.ExpiresAt, &decided, &d.account, &d.key)
	d.Scopes = scopesOf(scopes)
	switch {
	case decided == nil:
		d.Status = DevicePending
	case d.key == "":
		d.Status = DeviceDenied
	default:
		d.Status = DeviceApproved
	}
	return d, err
}

// insertDeviceAuthorization reports whether it inserted the row; false means that one of the codes
// is taken.
func insertDeviceAuthorization(
	ctx context.Context, tx *db.Tx, d DeviceAuthorization, network, deviceHash, userHash string,
) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO device_authorization
		(id, device_hash, user_hash, client_id, scopes, address, network, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		d.ID, deviceHash, userHash, d.ClientID, join(d.Scopes, " "), d.Address, network, d.CreatedAt, d.ExpiresAt)
	return n == 1, err
}

// countPending counts the pending authorizations of that network and in total.
func countPending(ctx context.Context, tx *db.Tx, network string) (mine, all int, err error) {
	err = tx.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(CASE WHEN network = $1 THEN 1 ELSE 0 END), 0) AS BIGINT), COUNT(*)
		FROM device_authorization WHERE expires_at > $2 AND decided_at IS NULL`, network, tx.Now).Scan(&mine, &all)
	return mine, all, err
}

func deviceByUserHash(ctx context.Context, r db.Reader, hash string) (DeviceAuthorization, bool, error) {
	return db.Find(ctx, r, scanDeviceAuthorization,
		`SELECT `+deviceColumns+` FROM device_authorization WHERE user_hash = $1`, hash)
}

func deviceByDeviceHash(ctx context.Context, r db.Reader, hash string) (DeviceAuthorization, bool, error) {
	return db.Find(ctx, r, scanDeviceAuthorization,
		`SELECT `+deviceColumns+` FROM device_authorization WHERE device_hash = $1`, hash)
}

// decideDeviceAuthorization reports whether this call decided: of concurrent calls one does.
// Without a key it denies.
func decideDeviceAuthorization(ctx context.Context, tx *db.Tx, authorization, account, user id.ID,
	key *id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE device_authorization SET decided_at = $1, account_id = $2, decided_by = $3,
		key_id = $4
		WHERE id = $5 AND decided_at IS NULL AND expires_at > $1`, tx.Now, account, user, key, authorization)
	return n == 1, err
}

// recordPoll records a token request, and reports whether there was none after that time.
func recordPoll(ctx context.Context, tx *db.Tx, authorization id.ID, after time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE device_authorization SET polled_at = $1
		WHERE id = $2 AND (polled_at IS NULL OR polled_at <= $3)`, tx.Now, authorization, after)
	return n == 1, err
}

func recordIssue(ctx context.Context, tx *db.Tx, authorization id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE device_authorization SET issued_at = COALESCE(issued_at, $1) WHERE id = $2`,
		tx.Now, authorization)
	return err
}

// hidePrefix removes the beginning of the secret from a key that has no secret yet.
func hidePrefix(ctx context.Context, tx *db.Tx, key id.ID) (string, error) {
	const prefix = SecretPrefix + "…"
	_, err := tx.Exec(ctx, `UPDATE api_key SET prefix = $1 WHERE id = $2`, prefix, key)
	return prefix, err
}

func setSecret(ctx context.Context, tx *db.Tx, key id.ID, hash, prefix string) error {
	_, err := tx.Exec(ctx, `UPDATE api_key SET secret_hash = $1, prefix = $2 WHERE id = $3`, hash, prefix, key)
	return err
}

// revokeUnclaimed revokes the keys that no program fetched, of authorizations that had expired by
// that time.
func revokeUnclaimed(ctx context.Context, tx *db.Tx, by time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE api_key SET revoked_at = $1 WHERE revoked_at IS NULL AND id IN
		(SELECT key_id FROM device_authorization WHERE expires_at <= $2 AND key_id IS NOT NULL AND issued_at IS NULL)`,
		tx.Now, by)
	return err
}

func deleteDeviceAuthorizations(ctx context.Context, tx *db.Tx, by time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM device_authorization WHERE expires_at <= $1`, by)
	return err
}
