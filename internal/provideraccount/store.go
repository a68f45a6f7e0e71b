package provideraccount

import (
	"context"
	"errors"

	"github.com/billetcloud/billet/internal/db"
)

var accounts = db.NewTable("provider_account", func(p *Provider) []db.Column {
	return []db.Column{
		db.Col("slug", &p.Slug), db.Col("kind", &p.Kind), db.Col("name", &p.Name), db.Col("base_url", &p.BaseURL),
		db.Col("settings", db.JSON(&p.Settings)), db.Col("credential", &p.sealed), db.Col("markup", &p.Markup),
		db.Col("created_at", &p.CreatedAt), db.Col("key_changed_at", &p.KeyChangedAt), db.Col("paused_at", &p.PausedAt),
		db.Col("draining_at", &p.DrainingAt),
	}
})

// insert reports whether it inserted the account; false means that the slug is taken.
func insert(ctx context.Context, tx *db.Tx, p Provider) (bool, error) {
	n, err := accounts.InsertNew(ctx, tx, "slug", p)
	return n == 1, errors.Join(err, raiseVersion(ctx, tx))
}

func update(ctx context.Context, tx *db.Tx, p Provider) error {
	columns := []string{"name", "settings", "credential", "markup", "key_changed_at", "paused_at", "draining_at"}
	_, err := accounts.Update(ctx, tx, &p, columns, db.Is("slug", p.Slug))
	return err
}

func remove(ctx context.Context, tx *db.Tx, slug string) error {
	_, err := accounts.Delete(ctx, tx, db.Is("slug", slug))
	return err
}

func list(ctx context.Context, r db.Reader) ([]Provider, error) {
	return accounts.Select(ctx, r, `ORDER BY slug`)
}

func raiseVersion(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE provider_account_version SET version = version + 1 WHERE id = 1`)
	return err
}

func readVersion(ctx context.Context, r db.Reader) (version int64, err error) {
	err = r.QueryRow(ctx, `SELECT version FROM provider_account_version WHERE id = 1`).Scan(&version)
	return version, err
}
