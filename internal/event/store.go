package event

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// chunkRows is how many rows one statement takes: more gain little.
const chunkRows = 20

func insert(ctx context.Context, tx *db.Tx, events []Event) error {
	for chunk := range slices.Chunk(events, chunkRows) {
		args := make([]any, 0, 6*len(chunk))
		for _, e := range chunk {
			data := []byte("{}")
			if e.Data != nil {
				var err error
				if data, err = json.Marshal(e.Data); err != nil {
					return fmt.Errorf("event %s: %w", e.Type, err)
				}
			}
			args = append(args, e.ID, e.Account, e.Subject, e.Type, string(data), db.Micros(e.CreatedAt))
		}
		if _, err := tx.Exec(ctx, `INSERT INTO event (id, account_id, subject, type, data, created_at) VALUES `+db.Tuples(1, len(chunk), 6), args...); err != nil {
			return fmt.Errorf("append event %s: %w", chunk[0].Type, err)
		}
	}
	return nil
}

func list(ctx context.Context, r db.Reader, account, subject id.ID, p db.Page) ([]Event, int, error) {
	total := 0
	if err := r.QueryRow(ctx, `SELECT COUNT(*) FROM event WHERE subject = $1 AND account_id = $2`, subject, account).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count events: %w", err)
	}
	rows, err := r.Query(ctx, `
		SELECT id, account_id, subject, type, data, created_at FROM event
		WHERE subject = $1 AND account_id = $2 ORDER BY id LIMIT $3 OFFSET $4`, subject, account, p.Limit, p.Offset())
	if err != nil {
		return nil, 0, fmt.Errorf("list events: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []Event{}
	for rows.Next() {
		var e Event
		var data string
		var at int64
		if err := rows.Scan(&e.ID, &e.Account, &e.Subject, &e.Type, &data, &at); err != nil {
			return nil, 0, err
		}
		if err := json.Unmarshal([]byte(data), &e.Data); err != nil {
			return nil, 0, fmt.Errorf("event %s: %w", e.ID, err)
		}
		e.CreatedAt = db.At(at)
		out = append(out, e)
	}
	return out, total, rows.Err()
}
