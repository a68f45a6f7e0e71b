package adjustment

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// row is an adjustment with who is behind it.
type row struct {
	Adjustment
	// asker and decider are the users behind who asked and who decided; "" for none that is known.
	asker, decider id.ID
	decidedBy      By
}

func (r *row) columns() []db.Column {
	return []db.Column{
		db.Col("id", &r.ID), db.Col("account_id", &r.Account), db.Col("state", &r.State),
		db.Col("amount", &r.Amount), db.Col("note", &r.Note), db.Col("reference", &r.Reference),
		db.Col("reason", &r.Reason), db.Col("comment", &r.Comment),
		db.Col("credit_expires_at", &r.CreditExpiresAt),
		db.Col("creator_type", &r.CreatedBy.Type), db.Col("creator_id", &r.CreatedBy.ID),
		db.Col("creator_name", &r.CreatedBy.Name), db.Col("creator_user", &r.asker),
		db.Col("decider_type", &r.decidedBy.Type), db.Col("decider_id", &r.decidedBy.ID),
		db.Col("decider_name", &r.decidedBy.Name), db.Col("decider_user", &r.decider),
		db.Col("created_at", &r.CreatedAt), db.Col("expires_at", &r.ExpiresAt), db.Col("decided_at", &r.DecidedAt),
	}
}

var adjustments = db.NewTable("adjustment", (*row).columns)

// view is the adjustment as operators read it.
func (r row) view() Adjustment {
	a := r.Adjustment
	if r.decidedBy.Type != "" {
		a.DecidedBy = &r.decidedBy.Creator
	}
	return a
}

// insert adds an adjustment. It returns CONFLICT if another call used the reference meanwhile.
func insert(ctx context.Context, tx *db.Tx, r row) error {
	n, err := adjustments.InsertNew(ctx, tx, "", r)
	if err == nil && n == 0 {
		err = apierr.New(apierr.Conflict, "The reference %q belongs to another adjustment. Use another reference.",
			r.Reference)
	}
	return err
}

// find returns an adjustment. In a transaction that writes, the row is locked.
func find(ctx context.Context, r db.Reader, of id.ID) (row, bool, error) {
	return adjustments.Find(ctx, r, `WHERE id = $1`+db.ForUpdate(r), of)
}

// peek is find without the lock.
func peek(ctx context.Context, r db.Reader, of id.ID) (row, bool, error) {
	return adjustments.Find(ctx, r, `WHERE id = $1`, of)
}

// byReference returns the adjustment that has a reference. Those that ended without being booked no
// longer have theirs.
func byReference(ctx context.Context, r db.Reader, reference string) (row, bool, error) {
	return adjustments.Find(ctx, r, `WHERE reference = $1 AND reference <> ''
		AND state IN ('booked', 'pending', 'approved')`+db.ForUpdate(r), reference)
}

func decide(ctx context.Context, tx *db.Tx, r row) error {
	_, err := adjustments.Update(ctx, tx, &r, []string{
		"state", "comment", "decider_type", "decider_id", "decider_name", "decider_user", "decided_at",
	}, db.Is("id", r.ID))
	return err
}

// bookedSince returns the sum of what was added to and removed from the account without approval.
func bookedSince(ctx context.Context, r db.Reader, account id.ID, since time.Time) (sum money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(ABS(amount)), 0) AS BIGINT) FROM adjustment
		WHERE account_id = $1 AND state = 'booked' AND created_at > $2`, account, since).Scan(&sum)
	return sum, err
}

func countPending(ctx context.Context, r db.Reader, account id.ID) (n int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM adjustment
		WHERE account_id = $1 AND state = 'pending'`, account).Scan(&n)
	return n, err
}

func list(ctx context.Context, r db.Reader, account id.ID, state State, p db.Page) ([]row, db.Listed, error) {
	var where []db.Cond
	if account != "" {
		where = append(where, db.Is("account_id", account))
	}
	if state != "" {
		where = append(where, db.Is("state", state))
	}
	l := adjustments.List(where...)
	l.Order, l.Down = []db.Key{{Column: "id"}}, true
	return l.Page(ctx, r, p)
}
