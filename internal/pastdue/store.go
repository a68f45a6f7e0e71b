package pastdue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func find(ctx context.Context, tx *db.Tx, account id.ID) (state, bool, error) {
	s := state{account: account}
	var since int64
	var ended, deleted sql.NullInt64
	err := tx.QueryRow(ctx, `SELECT since, ended_at, deleted_at FROM past_due WHERE account_id = $1`, account).Scan(&since, &ended, &deleted)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("find past due: %w", err)
	}
	s.since, s.endedAt, s.deletedAt = db.At(since), db.AtOrNil(ended), db.AtOrNil(deleted)
	return s, true, nil
}

func begin(ctx context.Context, tx *db.Tx, s state, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO past_due (account_id, since, warned_at) VALUES ($1, $2, $3)
		ON CONFLICT (account_id) DO UPDATE SET since = excluded.since, warned_at = excluded.warned_at, ended_at = NULL, deleted_at = NULL`,
		s.account, db.Micros(s.since), db.Micros(now))
	return err
}

func markEnded(ctx context.Context, tx *db.Tx, account id.ID, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE past_due SET ended_at = $2 WHERE account_id = $1`, account, db.Micros(now))
	return err
}

func markDeleted(ctx context.Context, tx *db.Tx, account id.ID, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE past_due SET deleted_at = $2 WHERE account_id = $1`, account, db.Micros(now))
	return err
}

func remove(ctx context.Context, tx *db.Tx, account id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM past_due WHERE account_id = $1`, account)
	return err
}
