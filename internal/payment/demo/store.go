package demo

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
)

// row is a simulated payment.
type row struct {
	token, reference     string
	topUp                id.ID
	attempt              int64
	customer             string
	amount               money.Micros
	status               payment.PaymentStatus
	saveMethod           bool
	method, failure      string
	cancelURL, returnURL string
	expiresAt, createdAt time.Time
	paidAt               *time.Time
}

var payments = db.NewTable("demo_payment", func(r *row) []db.Column {
	return []db.Column{
		db.Col("token", &r.token), db.Col("reference", &r.reference), db.Col("top_up_id", &r.topUp),
		db.Col("attempt", &r.attempt), db.Col("customer", &r.customer), db.Col("amount", &r.amount),
		db.Col("status", &r.status), db.Col("save_method", &r.saveMethod), db.Col("method", &r.method),
		db.Col("failure", &r.failure), db.Col("cancel_url", &r.cancelURL), db.Col("return_url", &r.returnURL),
		db.Col("expires_at", &r.expiresAt), db.Col("created_at", &r.createdAt),
		db.Col("paid_at", &r.paidAt),
	}
})

// insertOrFind adds a payment, or returns the one of the same top-up and attempt.
func insertOrFind(ctx context.Context, tx *db.Tx, r row) (row, error) {
	n, err := payments.InsertNew(ctx, tx, "top_up_id, attempt", r)
	if err != nil || n == 1 {
		return r, err
	}
	before, _, err := byAttempt(ctx, tx, r.topUp, r.attempt)
	return before, err
}

func byAttempt(ctx context.Context, r db.Reader, topUp id.ID, attempt int64) (row, bool, error) {
	return payments.Find(ctx, r, `WHERE top_up_id = $1 AND attempt = $2`, topUp, attempt)
}

func byReference(ctx context.Context, r db.Reader, reference string) (row, bool, error) {
	return payments.Find(ctx, r, `WHERE reference = $1`+db.ForUpdate(r), reference)
}

func byToken(ctx context.Context, r db.Reader, token string) (row, bool, error) {
	return payments.Find(ctx, r, `WHERE token = $1`+db.ForUpdate(r), token)
}

func update(ctx context.Context, tx *db.Tx, r row) error {
	_, err := payments.Update(ctx, tx, &r, []string{"status", "method", "failure", "paid_at"}, db.Is("token", r.token))
	return err
}

// savedBy returns the payments with which a customer saved a card that was not removed.
func savedBy(ctx context.Context, r db.Reader, customer string) ([]row, error) {
	return payments.Select(ctx, r, `WHERE customer = $1 AND method <> '' AND method NOT IN
		(SELECT method FROM demo_detached) ORDER BY created_at DESC, reference LIMIT 50`, customer)
}

type refund struct {
	id        id.ID
	reference string
	amount    money.Micros
	createdAt time.Time
}

var refunds = db.NewTable("demo_refund", func(f *refund) []db.Column {
	return []db.Column{
		db.Col("id", &f.id), db.Col("reference", &f.reference), db.Col("amount", &f.amount),
		db.Col("created_at", &f.createdAt),
	}
})

func refundsOf(ctx context.Context, r db.Reader, reference string) ([]refund, error) {
	return refunds.Select(ctx, r, `WHERE reference = $1 ORDER BY id`, reference)
}

func insertRefund(ctx context.Context, tx *db.Tx, f refund) error { return refunds.Insert(ctx, tx, f) }

func isDetached(ctx context.Context, r db.Reader, method string) (bool, error) {
	_, found, err := db.Find(ctx, r, db.Value[string], `SELECT method FROM demo_detached WHERE method = $1`, method)
	return found, err
}

func detach(ctx context.Context, tx *db.Tx, method string) error {
	_, err := tx.Exec(ctx, `INSERT INTO demo_detached (method) VALUES ($1) ON CONFLICT (method) DO NOTHING`, method)
	return err
}

func movements(ctx context.Context, r db.Reader, from, to time.Time) ([]payment.Movement, error) {
	return db.Collect(ctx, r, func(row db.Row) (m payment.Movement, err error) {
		m.Currency = payment.Currency
		err = row.Scan(&m.ID, &m.Kind, &m.IntentReference, &m.RefundReference, &m.Amount, &m.CreatedAt)
		return m, err
	}, `SELECT reference, 'payment', reference, '', amount, paid_at FROM demo_payment
		WHERE status = 'succeeded' AND paid_at >= $1 AND paid_at < $2
		UNION ALL SELECT id, 'refund', reference, id, -amount, created_at FROM demo_refund
		WHERE created_at >= $1 AND created_at < $2`, from, to)
}
