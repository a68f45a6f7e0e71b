package account

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

// countTry counts a try of the source unless most were counted within its window. A window that has
// passed begins again. It returns false, and when the window ends, where there were most already.
func countTry(ctx context.Context, tx *db.Tx, source string, most int, window time.Duration) (counted bool, until time.Time, err error) {
	n, err := tx.Exec(ctx, `INSERT INTO throttle (source, tries, until) VALUES ($1, 1, $2)
		ON CONFLICT (source) DO UPDATE SET tries = CASE WHEN throttle.until <= $3 THEN 1 ELSE throttle.tries + 1 END,
			until = CASE WHEN throttle.until <= $3 THEN $2 ELSE throttle.until END
		WHERE throttle.until <= $3 OR throttle.tries < $4`, source, db.Micros(tx.Now.Add(window)), db.Micros(tx.Now), most)
	if err != nil || n == 1 {
		return err == nil, time.Time{}, err
	}
	var at int64
	err = tx.QueryRow(ctx, `SELECT until FROM throttle WHERE source = $1`, source).Scan(&at)
	return false, db.At(at), err
}

// uncountTry takes one try back.
func uncountTry(ctx context.Context, tx *db.Tx, source string) error {
	_, err := tx.Exec(ctx, `UPDATE throttle SET tries = tries - 1 WHERE source = $1 AND tries > 0`, source)
	return err
}

// forgetTries takes all tries of the source back.
func forgetTries(ctx context.Context, tx *db.Tx, source string) error {
	_, err := tx.Exec(ctx, `UPDATE throttle SET tries = 0 WHERE source = $1`, source)
	return err
}

// deleteTries deletes the windows that have passed.
func deleteTries(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM throttle WHERE until <= $1`, db.Micros(tx.Now))
	return err
}
