package account

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

// countTry counts an attempt of the source unless most were counted within its window. A window
// that has passed starts again. If there were most already, it returns false and the end of the
// window.
func countTry(ctx context.Context, tx *db.Tx, source string, most int, window time.Duration) (counted bool,
	until time.Time, err error) {
	n, err := tx.Exec(ctx, `INSERT INTO throttle (source, tries, until) VALUES ($1, 1, $2)
		ON CONFLICT (source) DO UPDATE SET tries = CASE WHEN throttle.until <= $3 THEN 1 ELSE throttle.tries + 1 END,
			until = CASE WHEN throttle.until <= $3 THEN $2 ELSE throttle.until END
		WHERE throttle.until <= $3 OR throttle.tries < $4`, source, tx.Now.Add(window), tx.Now, most)
	if err != nil || n == 1 {
		return err == nil, time.Time{}, err
	}
	err = tx.QueryRow(ctx, `SELECT until FROM throttle WHERE source = $1`, source).Scan(&until)
	return false, until, err
}

// uncountTry uncounts one attempt.
func uncountTry(ctx context.Context, tx *db.Tx, source string) error {
	_, err := tx.Exec(ctx, `UPDATE throttle SET tries = tries - 1 WHERE source = $1 AND tries > 0`, source)
	return err
}

// forgetTries uncounts all attempts of the source.
func forgetTries(ctx context.Context, tx *db.Tx, source string) error {
	_, err := tx.Exec(ctx, `UPDATE throttle SET tries = 0 WHERE source = $1`, source)
	return err
}

// deleteTries deletes windows that have passed.
func deleteTries(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM throttle WHERE until <= $1`, tx.Now)
	return err
}
