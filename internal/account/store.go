package account

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var accounts = db.NewTable("account", func(a *Account) []db.Column {
	return []db.Column{
		db.Col("id", &a.ID), db.Col("name", &a.Name), db.Derived("name_key", strings.ToLower(a.Name)),
		db.Col("created_at", &a.CreatedAt), db.Col("markup", &a.Markup),
		db.Col("trusted", &a.Trusted), db.Col("suspended_at", &a.SuspendedAt),
		db.Col("suspended_reason", &a.SuspendedReason),
	}
})

func listAccounts(ctx context.Context, r db.Reader, p db.Page) ([]Account, db.Listed, error) {
	l := accounts.List()
	l.Order, l.Down = []db.Key{{Column: `id`}}, true
	return l.Page(ctx, r, p)
}

// accountByID queries valid ids only: another text may contain bytes that PostgreSQL refuses.
func accountByID(ctx context.Context, r db.Reader, account id.ID) (Account, bool, error) {
	if !account.Valid(id.Account) {
		return Account{}, false, nil
	}
	return accounts.Find(ctx, r, `WHERE id = $1`, account)
}

// lockedAccount is accountByID for a row that no other transaction changes, or locks, until this
// one ends.
func lockedAccount(ctx context.Context, tx *db.Tx, account id.ID) (Account, bool, error) {
	if !account.Valid(id.Account) {
		return Account{}, false, nil
	}
	return accounts.Find(ctx, tx, `WHERE id = $1`+db.ForUpdate(tx), account)
}

func setSuspension(ctx context.Context, tx *db.Tx, a Account) error {
	_, err := accounts.Update(ctx, tx, &a, []string{"suspended_at", "suspended_reason"}, db.Is("id", a.ID))
	return err
}

func setMarkup(ctx context.Context, tx *db.Tx, a Account) error {
	_, err := accounts.Update(ctx, tx, &a, []string{"markup"}, db.Is("id", a.ID))
	return err
}

func markups(ctx context.Context, r db.Reader) (map[id.ID]int64, error) {
	return db.CollectMap(ctx, r, db.Pair[id.ID, int64], `SELECT id, markup FROM account WHERE markup IS NOT NULL`)
}

func setTrusted(ctx context.Context, tx *db.Tx, a Account) error {
	_, err := accounts.Update(ctx, tx, &a, []string{"trusted"}, db.Is("id", a.ID))
	return err
}

func trusted(ctx context.Context, r db.Reader) ([]id.ID, error) {
	return db.Collect(ctx, r, func(row db.Row) (of id.ID, err error) { return of, row.Scan(&of) },
		`SELECT id FROM account WHERE trusted = 1 ORDER BY id`)
}

func names(ctx context.Context, r db.Reader, ids []id.ID) (map[id.ID]string, error) {
	return db.CollectMap(ctx, r, db.Pair[id.ID, string], `SELECT id, name FROM account WHERE id IN `+db.In(1, len(ids)),
		db.Args(ids)...)
}
