package credit

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// row is a credit as it is stored.
type row struct {
	Credit
	account   id.ID
	reference string
	closedAt  *time.Time
}

func (r *row) columns() []db.Column {
	return []db.Column{
		db.Col("id", &r.ID),
		db.Col("account_id", &r.account),
		db.Col("source", &r.Source),
		db.Col("amount", &r.Amount),
		db.Col("expired_amount", &r.ExpiredAmount),
		db.Col("note", &r.Note),
		db.Col("reference", &r.reference),
		db.Col("expires_at", &r.ExpiresAt),
		db.Col("closed_at", &r.closedAt),
		db.Col("created_at", &r.CreatedAt),
	}
}

type positionRow struct {
	account id.ID
	position
}

func (p *positionRow) columns() []db.Column {
	return []db.Column{
		db.Col("account_id", &p.account),
		db.Col("spent", &p.spent),
		db.Col("shares", db.JSON(&p.shares)),
		db.Col("spans", db.JSON(&p.spans)),
	}
}

var (
	credits   = db.NewTable("credit", (*row).columns)
	positions = db.NewTable("credit_position", (*positionRow).columns)
)

func findPosition(ctx context.Context, r db.Reader, account id.ID) (position, bool, error) {
	p, found, err := positions.Find(ctx, r, `WHERE account_id = $1`, account)
	return p.position, found, err
}

func putPosition(ctx context.Context, tx *db.Tx, account id.ID, p position) error {
	return positions.Put(ctx, tx, []string{"account_id"}, positionRow{account, p})
}

func insert(ctx context.Context, tx *db.Tx, r row) error { return credits.Insert(ctx, tx, r) }

func find(ctx context.Context, r db.Reader, credit id.ID) (row, bool, error) {
	return credits.Find(ctx, r, `WHERE id = $1`, credit)
}

func findByReference(ctx context.Context, r db.Reader, reference string) (row, bool, error) {
	return credits.Find(ctx, r, `WHERE reference = $1`, reference)
}

func updateClosed(ctx context.Context, tx *db.Tx, r row) error {
	_, err := credits.Update(ctx, tx, &r, []string{"expired_amount", "closed_at"}, db.Is("id", r.ID))
	return err
}

func list(
	ctx context.Context, r db.Reader, account id.ID, where []db.Cond, p db.Page,
) ([]row, db.Listed, error) {
	l := credits.List(db.Is("account_id", account))
	l.Order, l.Down, l.Rest = []db.Key{{Column: "id"}}, true, where
	return l.Page(ctx, r, p)
}

// givenAfter sums the credits that expire, and were given after a time.
func givenAfter(ctx context.Context, r db.Reader, account id.ID, t time.Time) (sum money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM credit
		WHERE account_id = $1 AND expires_at IS NOT NULL AND created_at > $2`, account, t).Scan(&sum)
	return sum, err
}
