package account

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// putTOTP reports whether it stored the secret; false means that an app is already turned on.
func putTOTP(ctx context.Context, tx *db.Tx, user id.ID, sealed string) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO totp (user_id, secret, last_step, confirmed_at, created_at)
		VALUES ($1, $2, 0, NULL, $3)
		ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, last_step = 0, created_at = excluded.created_at
		WHERE totp.confirmed_at IS NULL`,
		user, sealed, tx.Now)
	return n == 1, err
}

func totpOf(ctx context.Context, r db.Reader, user id.ID) (totpRow, bool, error) {
	scan := func(row db.Row) (t totpRow, err error) {
		err = row.Scan(&t.sealed, &t.lastStep, &t.confirmed)
		return t, err
	}
	return db.Find(ctx, r, scan,
		`SELECT secret, last_step, confirmed_at IS NOT NULL FROM totp WHERE user_id = $1`, user)
}

func confirmTOTP(ctx context.Context, tx *db.Tx, user id.ID, step int64, recoveryHashes []string) error {
	if _, err := tx.Exec(ctx, `UPDATE totp SET confirmed_at = $1, last_step = $2 WHERE user_id = $3`, tx.Now,
		step, user); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM recovery_code WHERE user_id = $1`, user); err != nil {
		return err
	}
	args := []any{}
	for _, h := range recoveryHashes {
		args = append(args, user, h)
	}
	_, err := tx.Exec(ctx, `INSERT INTO recovery_code (user_id, code_hash) VALUES `+db.Tuples(1,
		len(recoveryHashes), 2), args...)
	return err
}

func removeTOTP(ctx context.Context, tx *db.Tx, user id.ID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM totp WHERE user_id = $1`, user); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM recovery_code WHERE user_id = $1`, user)
	return err
}

// useStep reports whether neither the step's code nor a later one was used yet.
func useStep(ctx context.Context, tx *db.Tx, user id.ID, step int64) (bool, error) {
	n, err := tx.Exec(ctx,
		`UPDATE totp SET last_step = $1 WHERE user_id = $2 AND last_step < $1 AND confirmed_at IS NOT NULL`, step, user)
	return n == 1, err
}

func hasRecoveryCode(ctx context.Context, r db.Reader, user id.ID, hash string) (bool, error) {
	_, found, err := db.Find(ctx, r, db.Value[int],
		`SELECT 1 FROM recovery_code WHERE user_id = $1 AND code_hash = $2`, user, hash)
	return found, err
}

func useRecoveryCode(ctx context.Context, tx *db.Tx, user id.ID, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `DELETE FROM recovery_code WHERE user_id = $1 AND code_hash = $2`, user, hash)
	return n == 1, err
}
