package provideraccount

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
)

var accounts = db.NewTable("provider_account", func(p *Provider) []db.Column {
	return []db.Column{
		db.Col("slug", &p.Slug), db.Col("kind", &p.Kind), db.Col("name", &p.Name), db.Col("base_url", &p.BaseURL),
		db.Col("settings", db.JSON(&p.Settings)), db.Col("credential", &p.sealed), db.Col("markup", &p.Markup),
		db.Col("created_at", &p.CreatedAt), db.Col("key_changed_at", &p.KeyChangedAt),
	}
})

// insert reports whether it inserted the account; false means that the slug is taken.
func insert(ctx context.Context, tx *db.Tx, p Provider) (bool, error) {
	n, err := accounts.InsertNew(ctx, tx, "slug", p)
	return n == 1, err
}

func update(ctx context.Context, tx *db.Tx, p Provider) error {
	_, err := accounts.Update(ctx, tx, &p, []string{"credential", "markup", "key_changed_at"}, db.Is("slug", p.Slug))
	return err
}

func remove(ctx context.Context, tx *db.Tx, slug string) error {
	_, err := accounts.Delete(ctx, tx, db.Is("slug", slug))
	return err
}

func list(ctx context.Context, r db.Reader) ([]Provider, error) {
	return accounts.Select(ctx, r, `ORDER BY slug`)
}
