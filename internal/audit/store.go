package audit

import (
	"context"
	"fmt"
	"strings"
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
	if _, err := tx.Exec(ctx, `DELETE FROM audit WHERE created_at < $1 AND id IN (SELECT id FROM audit WHERE account_id = '' ORDER BY id LIMIT 10)`, db.Micros(before)); err != nil {
		return fmt.Errorf("forget of the audit: %w", err)
	}
	return nil
}

func list(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Entry, int, error) {
	where, args := []string{"account_id = $1"}, []any{account}
	and := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if f.Actor != "" {
		and("actor_id = $%d", f.Actor)
	}
	if f.Action != "" {
		and("action = $%d", f.Action)
	}
	if f.Subject != "" {
		and("subject = $%d", f.Subject)
	}
	if f.From != nil {
		and("created_at >= $%d", db.Micros(*f.From))
	}
	if f.To != nil {
		and("created_at < $%d", db.Micros(*f.To))
	}
	condition := strings.Join(where, " AND ")
	total := 0
	if err := r.QueryRow(ctx, `SELECT COUNT(*) FROM audit WHERE `+condition, args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count the audit: %w", err)
	}
	rows, err := r.Query(ctx, `SELECT id, account_id, actor_kind, actor_id, actor_name, action, subject, address, request_id, created_at
		FROM audit WHERE `+condition+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d OFFSET $%d`, len(args)+1, len(args)+2), append(args, p.Limit, p.Offset())...)
	if err != nil {
		return nil, 0, fmt.Errorf("list the audit: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []Entry{}
	for rows.Next() {
		var e Entry
		var at int64
		if err := rows.Scan(&e.ID, &e.Account, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Action, &e.Subject, &e.Address, &e.RequestID, &at); err != nil {
			return nil, 0, err
		}
		e.At = db.At(at)
		out = append(out, e)
	}
	return out, total, rows.Err()
}
