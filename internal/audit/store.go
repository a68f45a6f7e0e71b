package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var entries = db.NewTable("audit", func(e *Entry) []db.Column {
	return []db.Column{
		db.Col("id", &e.ID), db.Col("account_id", &e.Account), db.Col("created_at", &e.At),
		db.Col("actor_kind", &e.Actor.Kind), db.Col("actor_id", &e.Actor.ID), db.Col("actor_name", &e.Actor.Name),
		db.Col("action", &e.Action), db.Col("subject", &e.Subject), db.Col("address", &e.Address),
		db.Col("request_id", &e.RequestID),
	}
})

func insert(ctx context.Context, tx *db.Tx, all []Entry) error {
	return entries.Insert(ctx, tx, all...)
}

// forget deletes a few of the oldest only, because it is called for each new one.
func forget(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM audit WHERE created_at < $1 AND id IN
		(SELECT id FROM audit WHERE account_id = '' ORDER BY created_at, id LIMIT 10)`, before)
	if err != nil {
		return fmt.Errorf("delete old audit entries: %w", err)
	}
	return nil
}

func has(ctx context.Context, r db.Reader, account, request id.ID, newest int) (bool, error) {
	n := 0
	err := r.QueryRow(ctx, `SELECT COUNT(*) FROM
		(SELECT request_id FROM audit WHERE account_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2) AS latest
		WHERE request_id = $3`, account, newest, request).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("find a request in the audit: %w", err)
	}
	return n > 0, nil
}

func list(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Entry, db.Listed, error) {
	l := entries.List(db.Is(`account_id`, account))
	l.Order, l.Down = []db.Key{{Column: `created_at`, Number: true}, {Column: `id`}}, true
	if f.From != nil {
		l.Where = append(l.Where, db.Cond{Text: `created_at >= ?`, Args: []any{*f.From}})
	}
	if f.To != nil {
		l.Where = append(l.Where, db.Cond{Text: `created_at < ?`, Args: []any{*f.To}})
	}
	var filters []db.Cond // an index serves the first one
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
