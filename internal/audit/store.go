package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func insert(ctx context.Context, tx *db.Tx, e Entry) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit (id, account_id, actor_kind, actor_id, actor_name, action, subject, address, request_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.ID, e.Account, string(e.Actor.Kind), e.Actor.ID, e.Actor.Name, e.Action, e.Subject, e.Address, e.RequestID, db.Micros(e.At))
	if err != nil {
		return fmt.Errorf("append to the audit: %w", err)
	}
	return nil
}

func forget(ctx context.Context, tx *db.Tx, before time.Time) error {
	// The oldest few only: it is asked for with every one that is added.
	if _, err := tx.Exec(ctx, `DELETE FROM audit WHERE created_at < $1 AND id IN (SELECT id FROM audit WHERE account_id = '' ORDER BY created_at, id LIMIT 10)`, db.Micros(before)); err != nil {
		return fmt.Errorf("forget of the audit: %w", err)
	}
	return nil
}

const columns = `id, account_id, actor_kind, actor_id, actor_name, action, subject, address, request_id, created_at`

func scan(row db.Row) (Entry, error) {
	var e Entry
	var at int64
	err := row.Scan(&e.ID, &e.Account, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Action, &e.Subject, &e.Address, &e.RequestID, &at)
	e.At = db.At(at)
	return e, err
}

func has(ctx context.Context, r db.Reader, account, request id.ID, newest int) (bool, error) {
	n := 0
	err := r.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT request_id FROM audit WHERE account_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2) AS latest
		WHERE request_id = $3`, account, newest, request).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for a request in the audit: %w", err)
	}
	return n > 0, nil
}

func list(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Entry, db.Listed, error) {
	l := db.List[Entry]{
		Columns: columns, Table: `audit`, Where: []db.Cond{db.Is(`account_id`, account)},
		Order: []db.Key{{Column: `created_at`, Number: true}, {Column: `id`}}, Down: true, Scan: scan,
	}
	if f.From != nil {
		l.Where = append(l.Where, db.Cond{Text: `created_at >= ?`, Args: []any{db.Micros(*f.From)}})
	}
	if f.To != nil {
		l.Where = append(l.Where, db.Cond{Text: `created_at < ?`, Args: []any{db.Micros(*f.To)}})
	}
	var filters []db.Cond // the first of them is served by an index
	if f.Subject != "" {
		filters = append(filters, db.Is(`subject`, f.Subject))
	}
	if f.Actor != "" {
		filters = append(filters, db.Is(`actor_id`, f.Actor))
	}
	if f.Action != "" {
		filters = append(filters, db.Is(`action`, f.Action))
	}
	if len(filters) > 0 {
		l.Each, l.Rest = &filters[0], filters[1:]
	}
	return l.Page(ctx, r, p)
}
