package transfer

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
)

// row is an expected transfer.
type row struct {
	token, reference     string
	topUp                id.ID
	amount, received     money.Micros
	bankID               string
	expiresAt, createdAt time.Time
	confirmedAt          *time.Time
}

var payments = db.NewTable("transfer_payment", func(r *row) []db.Column {
	return []db.Column{
		db.Col("token", &r.token), db.Col("reference", &r.reference), db.Col("top_up_id", &r.topUp),
		db.Col("amount", &r.amount), db.Col("received", &r.received), db.Col("bank_id", db.ZeroAsNull(&r.bankID)),
		db.Col("expires_at", &r.expiresAt), db.Col("created_at", &r.createdAt), db.Col("confirmed_at", &r.confirmedAt),
	}
})

// insertOrFind adds a transfer, or returns the one of the same top-up. It returns false if another
// top-up has the reference.
func insertOrFind(ctx context.Context, tx *db.Tx, r row) (row, bool, error) {
	n, err := payments.InsertNew(ctx, tx, "", r)
	if err != nil || n == 1 {
		return r, err == nil, err
	}
	return byTopUp(ctx, tx, r.topUp)
}

func byTopUp(ctx context.Context, r db.Reader, topUp id.ID) (row, bool, error) {
	return payments.Find(ctx, r, `WHERE top_up_id = $1`+db.ForUpdate(r), topUp)
}

func byReference(ctx context.Context, r db.Reader, reference string) (row, bool, error) {
	return payments.Find(ctx, r, `WHERE reference = $1`, reference)
}

func byToken(ctx context.Context, r db.Reader, token string) (row, bool, error) {
	return payments.Find(ctx, r, `WHERE token = $1`, token)
}

// confirm writes a confirmation, unless the bank's reference was used before. An unfinished
// transaction may use it, so the unique index must decide. The savepoint keeps PostgreSQL from
// aborting the whole transaction then.
func confirm(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	if _, err := tx.Exec(ctx, `SAVEPOINT confirm`); err != nil {
		return false, err
	}
	n, err := payments.Update(ctx, tx, &r, []string{"received", "bank_id", "confirmed_at"}, db.Is("token", r.token))
	if err != nil {
		if _, undo := tx.Exec(ctx, `ROLLBACK TO SAVEPOINT confirm`); undo != nil {
			return false, err
		}
		if _, used, other := payments.Find(ctx, tx, `WHERE bank_id = $1`, r.bankID); other != nil || !used {
			return false, err // another error than a used reference
		}
		n = 0
	}
	_, err = tx.Exec(ctx, `RELEASE SAVEPOINT confirm`)
	return n == 1, err
}

func movements(ctx context.Context, r db.Reader, from, to time.Time) ([]payment.Movement, error) {
	rows, err := payments.Select(ctx, r, `WHERE confirmed_at >= $1 AND confirmed_at < $2`, from, to)
	out := make([]payment.Movement, len(rows))
	for i, p := range rows {
		out[i] = payment.Movement{
			ID: p.reference, Kind: payment.MovementPayment, IntentReference: p.reference, Amount: p.received,
			Currency: payment.Currency, CreatedAt: *p.confirmedAt,
		}
	}
	return out, err
}
