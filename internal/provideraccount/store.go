package provideraccount

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
)

func insert(ctx context.Context, tx *db.Tx, p Provider) (added bool, err error) {
	settings, err := json.Marshal(p.Settings)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO provider_account (slug, kind, name, base_url, settings, credential, markup, created_at, key_changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (slug) DO NOTHING`,
		p.Slug, p.Kind, p.Name, p.BaseURL, string(settings), p.sealed, orNull(p.Markup), db.Micros(p.CreatedAt), db.Micros(p.KeyChangedAt))
	if err != nil {
		return false, fmt.Errorf("add provider: %w", err)
	}
	return n == 1, nil
}

func update(ctx context.Context, tx *db.Tx, p Provider) error {
	_, err := tx.Exec(ctx, `UPDATE provider_account SET credential = $2, markup = $3, key_changed_at = $4 WHERE slug = $1`,
		p.Slug, p.sealed, orNull(p.Markup), db.Micros(p.KeyChangedAt))
	return err
}

func remove(ctx context.Context, tx *db.Tx, slug string) error {
	_, err := tx.Exec(ctx, `DELETE FROM provider_account WHERE slug = $1`, slug)
	return err
}

func list(ctx context.Context, r db.Reader) ([]Provider, error) {
	rows, err := r.Query(ctx, `SELECT slug, kind, name, base_url, settings, credential, markup, created_at, key_changed_at FROM provider_account ORDER BY slug`)
	if err != nil {
		return nil, fmt.Errorf("list providers: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []Provider{}
	for rows.Next() {
		var p Provider
		var settings string
		var markup sql.NullInt64
		var created, changed int64
		if err := rows.Scan(&p.Slug, &p.Kind, &p.Name, &p.BaseURL, &settings, &p.sealed, &markup, &created, &changed); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(settings), &p.Settings); err != nil {
			return nil, fmt.Errorf("provider %s: %w", p.Slug, err)
		}
		if markup.Valid {
			p.Markup = &markup.Int64
		}
		p.CreatedAt, p.KeyChangedAt = db.At(created), db.At(changed)
		out = append(out, p)
	}
	return out, rows.Err()
}

func orNull(n *int64) sql.NullInt64 {
	if n == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: *n, Valid: true}
}
