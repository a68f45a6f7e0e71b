package payment

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// methodRow is a saved method with what its processor calls it.
type methodRow struct {
	PaymentMethod
	customer, reference string
	removedAt           *time.Time
}

var methods = db.NewTable("payment_method", func(m *methodRow) []db.Column {
	return []db.Column{
		db.Col("id", &m.ID), db.Col("account_id", &m.Account), db.Col("processor", &m.Processor),
		db.Col("customer", &m.customer), db.Col("reference", &m.reference), db.Col("type", &m.Type),
		db.Col("brand", &m.Brand), db.Col("last4", &m.Last4), db.Col("expiry_month", &m.ExpiryMonth),
		db.Col("expiry_year", &m.ExpiryYear), db.Col("created_at", &m.CreatedAt), db.Col("removed_at", &m.removedAt),
	}
})

func methodsOf(ctx context.Context, r db.Reader, account id.ID) ([]methodRow, error) {
	return methods.Select(ctx, r, `WHERE account_id = $1 AND removed_at IS NULL ORDER BY id DESC LIMIT $2`,
		account, MaxMethods)
}

func findMethod(ctx context.Context, r db.Reader, method id.ID) (methodRow, bool, error) {
	return methods.Find(ctx, r, `WHERE id = $1`, method)
}

// putMethod adds a method, or changes what is known about it.
func putMethod(ctx context.Context, tx *db.Tx, m methodRow) error {
	n, err := methods.InsertNew(ctx, tx, "processor, reference", m)
	if err != nil || n == 1 {
		return err
	}
	_, err = methods.Update(ctx, tx, &m, []string{"type", "brand", "last4", "expiry_month", "expiry_year"},
		db.Is("processor", m.Processor), db.Is("reference", m.reference), db.Is("account_id", m.Account))
	return err
}

func removeMethod(ctx context.Context, tx *db.Tx, method id.ID, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE payment_method SET removed_at = $1 WHERE id = $2 AND removed_at IS NULL`,
		now, method)
	return err
}

// customerRow is an account as a processor knows it.
type customerRow struct {
	account              id.ID
	processor, reference string
	createdAt            time.Time
}

var customers = db.NewTable("payment_customer", func(c *customerRow) []db.Column {
	return []db.Column{
		db.Col("account_id", &c.account), db.Col("processor", &c.processor), db.Col("reference", &c.reference),
		db.Col("created_at", &c.createdAt),
	}
})

// customerOf returns what the processor calls the account; "" if it has no name yet.
func customerOf(ctx context.Context, r db.Reader, account id.ID, processor string) (string, error) {
	c, _, err := customers.Find(ctx, r, `WHERE account_id = $1 AND processor = $2`, account, processor)
	return c.reference, err
}

func accountOf(ctx context.Context, r db.Reader, processor, customer string) (id.ID, bool, error) {
	c, found, err := customers.Find(ctx, r, `WHERE processor = $1 AND reference = $2`, processor, customer)
	return c.account, found, err
}

// putCustomer stores what the processor calls the account. The first name stays.
func putCustomer(ctx context.Context, tx *db.Tx, account id.ID, processor, reference string) error {
	if reference == "" {
		return nil
	}
	_, err := customers.InsertNew(ctx, tx, "", customerRow{account, processor, reference, tx.Now})
	return err
}

// autoRow is when an account is topped up automatically.
type autoRow struct {
	account                         id.ID
	enabled                         bool
	threshold, amount, monthlyLimit money.Micros
	failures                        int64
	notBefore                       time.Time
	stopped                         string
	by                              creator.Creator
	updatedAt                       time.Time
}

var autos = db.NewTable("auto_top_up", func(a *autoRow) []db.Column {
	return []db.Column{
		db.Col("account_id", &a.account), db.Col("enabled", &a.enabled), db.Col("threshold", &a.threshold),
		db.Col("amount", &a.amount), db.Col("monthly_limit", &a.monthlyLimit), db.Col("failures", &a.failures),
		db.Col("not_before", &a.notBefore), db.Col("stopped", &a.stopped), db.Col("creator_type", &a.by.Type),
		db.Col("creator_id", &a.by.ID), db.Col("creator_name", &a.by.Name), db.Col("updated_at", &a.updatedAt),
	}
})

// findAuto locks the row in a transaction that writes.
func findAuto(ctx context.Context, r db.Reader, account id.ID) (autoRow, bool, error) {
	return autos.Find(ctx, r, `WHERE account_id = $1`+db.ForUpdate(r), account)
}

func putAuto(ctx context.Context, tx *db.Tx, a autoRow) error {
	return autos.Put(ctx, tx, []string{"account_id"}, a)
}

// enabledAutos returns those that are on, by account, after one.
func enabledAutos(ctx context.Context, r db.Reader, after id.ID, limit int) ([]autoRow, error) {
	return autos.Select(ctx, r, `WHERE enabled = 1 AND account_id > $1 AND stopped = '' ORDER BY account_id LIMIT $2`,
		after, limit)
}
