package idempotency

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func forget(ctx context.Context, tx *db.Tx, account id.ID, key string, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM idempotency WHERE account_id = $1 AND key = $2 AND created_at <= $3`, account, key, db.Micros(before))
	if err != nil {
		return fmt.Errorf("forget idempotency key: %w", err)
	}
	return nil
}

// claim inserts the row. On PostgreSQL it waits for a transaction that has inserted the same key and not yet ended.
func claim(ctx context.Context, tx *db.Tx, account id.ID, key, hash string) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO idempotency (account_id, key, request_hash, status, header, body, created_at)
		VALUES ($1, $2, $3, 0, '{}', '', $4) ON CONFLICT (account_id, key) DO NOTHING`,
		account, key, hash, db.Micros(tx.Now))
	if err != nil {
		return false, fmt.Errorf("claim idempotency key: %w", err)
	}
	return n == 1, nil
}

func load(ctx context.Context, tx *db.Tx, account id.ID, key string) (hash string, a Answer, err error) {
	var header, body string
	err = tx.QueryRow(ctx, `SELECT request_hash, status, header, body FROM idempotency WHERE account_id = $1 AND key = $2`, account, key).
		Scan(&hash, &a.Status, &header, &body)
	if err != nil {
		return "", Answer{}, fmt.Errorf("read idempotency key: %w", err)
	}
	if a.Status == 0 {
		return "", Answer{}, fmt.Errorf("idempotency key of %s was committed without an answer", account)
	}
	if err := json.Unmarshal([]byte(header), &a.Header); err != nil {
		return "", Answer{}, fmt.Errorf("idempotency header: %w", err)
	}
	if a.Body, err = base64.StdEncoding.DecodeString(body); err != nil {
		return "", Answer{}, fmt.Errorf("idempotency body: %w", err)
	}
	return hash, a, nil
}

func finish(ctx context.Context, tx *db.Tx, account id.ID, key string, a Answer) error {
	if a.Header == nil {
		a.Header = map[string]string{}
	}
	header, err := json.Marshal(a.Header)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE idempotency SET status = $1, header = $2, body = $3 WHERE account_id = $4 AND key = $5 AND status = 0`,
		a.Status, string(header), base64.StdEncoding.EncodeToString(a.Body), account, key)
	if err == nil && n != 1 {
		err = fmt.Errorf("%d rows", n)
	}
	if err != nil {
		return fmt.Errorf("keep answer for idempotency key: %w", err)
	}
	return nil
}

func purge(ctx context.Context, tx *db.Tx, before time.Time, limit int) (int64, error) {
	n, err := tx.Exec(ctx, `
		DELETE FROM idempotency WHERE created_at <= $1 AND (account_id, key) IN
			(SELECT account_id, key FROM idempotency WHERE created_at <= $1 ORDER BY created_at LIMIT $2)`, db.Micros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("purge idempotency keys: %w", err)
	}
	return n, nil
}
