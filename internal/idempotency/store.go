package idempotency

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// row is a request with its answer. Its status is 0 until it is answered, which is before the
// commit.
type row struct {
	account             id.ID
	key, hash, bodyText string
	answer              Answer
	createdAt           time.Time
}

func (r *row) columns() []db.Column {
	return []db.Column{
		db.Col("account_id", &r.account),
		db.Col("key", &r.key),
		db.Col("request_hash", &r.hash),
		db.Col("status", &r.answer.Status),
		db.Col("header", db.JSON(&r.answer.Header)),
		db.Col("body", &r.bodyText),
		db.Col("created_at", &r.createdAt),
	}
}

var rows = db.NewTable("idempotency", (*row).columns)

// old is the condition that the answer of a key was stored longer than Window ago, when excluded is
// the row that would take its place.
var old = fmt.Sprintf(`idempotency.created_at <= excluded.created_at - %d`, Window.Microseconds())

// claim inserts the row, in place of one that is old. On PostgreSQL it waits for a transaction that
// has inserted the same key and not ended yet.
func claim(ctx context.Context, tx *db.Tx, account id.ID, key, hash string) (bool, error) {
	n, err := rows.PutWhere(ctx, tx, []string{"account_id", "key"}, old,
		row{account: account, key: key, hash: hash, createdAt: tx.Now})
	return n == 1, err
}

func load(ctx context.Context, tx *db.Tx, account id.ID, key string) (hash string, a Answer, err error) {
	r, found, err := rows.Find(ctx, tx, `WHERE account_id = $1 AND key = $2`, account, key)
	switch {
	case err != nil:
		return "", Answer{}, fmt.Errorf("read idempotency key: %w", err)
	case !found:
		return "", Answer{}, fmt.Errorf("idempotency key of %s disappeared", account)
	case r.answer.Status == 0:
		return "", Answer{}, fmt.Errorf("idempotency key of %s was committed without an answer", account)
	}
	if r.answer.Body, err = base64.StdEncoding.DecodeString(r.bodyText); err != nil {
		return "", Answer{}, fmt.Errorf("idempotency body: %w", err)
	}
	return r.hash, r.answer, nil
}

func finish(ctx context.Context, tx *db.Tx, account id.ID, key string, a Answer) error {
	r := row{answer: a, bodyText: base64.StdEncoding.EncodeToString(a.Body)}
	n, err := rows.Update(ctx, tx, &r, []string{"status", "header", "body"},
		db.Is("account_id", account), db.Is("key", key), db.Is("status", 0))
	if err == nil && n != 1 {
		err = fmt.Errorf("the answer for an idempotency key changed %d rows", n)
	}
	return err
}

func purge(ctx context.Context, tx *db.Tx, before time.Time, limit int) (int64, error) {
	n, err := tx.Exec(ctx, `
		DELETE FROM idempotency WHERE created_at <= $1 AND (account_id, key) IN
			(SELECT account_id, key FROM idempotency WHERE created_at <= $1 ORDER BY created_at LIMIT $2)`, before,
		limit)
	if err != nil {
		return 0, fmt.Errorf("purge idempotency keys: %w", err)
	}
	return n, nil
}
