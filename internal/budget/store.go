package budget

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// row is a budget with what was told of it.
type row struct {
	Budget
	// told is the highest threshold that was told in the period that began at toldSince.
	told      int
	toldSince time.Time
}

func (r *row) columns() []db.Column {
	return []db.Column{
		db.Col("id", &r.ID),
		db.Col("account_id", &r.Account),
		db.Col("name", &r.Name),
		db.Col("scope", db.JSON(&r.Scope)),
		db.Col("period", &r.Period),
		db.Col("amount", &r.Amount),
		db.Col("thresholds", db.JSON(&r.Thresholds)),
		db.Col("mode", &r.Mode),
		db.Col("told", &r.told),
		db.Col("told_since", &r.toldSince),
		db.Col("creator_type", &r.CreatedBy.Type),
		db.Col("creator_id", &r.CreatedBy.ID),
		db.Col("creator_name", &r.CreatedBy.Name),
		db.Col("created_at", &r.CreatedAt),
	}
}

var budgets = db.NewTable("budget", (*row).columns)

// locked returns the budgets of the accounts. On PostgreSQL they are locked, in the order of their
// ids, so that what counts toward them is read after every change before.
func locked(ctx context.Context, r db.Reader, accounts []id.ID) ([]row, error) {
	return budgets.Select(ctx, r, `WHERE account_id IN `+db.In(1, len(accounts))+` ORDER BY id`+db.ForUpdate(r),
		db.Args(accounts)...)
}

// Any is the condition that the account has a budget. Read with the account locked, it holds until
// the end of the transaction or ceases to: it cannot begin to.
func Any(account id.ID) db.Cond {
	return db.Cond{Text: `EXISTS (SELECT 1 FROM budget WHERE account_id = ?)`, Args: []any{account}}
}

// findOwn finds a budget of the account. In a transaction that writes, the row is locked.
func findOwn(ctx context.Context, r db.Reader, account, budget id.ID) (row, bool, error) {
	return budgets.Find(ctx, r, `WHERE id = $1 AND account_id = $2`+db.ForUpdate(r), budget, account)
}

func list(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]row, db.Listed, error) {
	l := budgets.List(db.Is(`account_id`, account))
	l.Order, l.Down = []db.Key{{Column: `id`}}, true
	return l.Page(ctx, r, p)
}

func count(ctx context.Context, r db.Reader, account id.ID) (n int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM budget WHERE account_id = $1`, account).Scan(&n)
	return n, err
}

func insert(ctx context.Context, tx *db.Tx, r row) error { return budgets.Insert(ctx, tx, r) }

func update(ctx context.Context, tx *db.Tx, r row) error {
	columns := []string{"name", "scope", "period", "amount", "thresholds", "mode", "told", "told_since"}
	_, err := budgets.Update(ctx, tx, &r, columns, db.Is("id", r.ID), db.Is("account_id", r.Account))
	return err
}

func remove(ctx context.Context, tx *db.Tx, account, budget id.ID) error {
	_, err := budgets.Delete(ctx, tx, db.Is("id", budget), db.Is("account_id", account))
	return err
}
