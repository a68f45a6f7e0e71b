package promo

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func (c *Code) columns() []db.Column {
	return []db.Column{
		db.Col("id", &c.ID),
		db.Col("code", &c.Code),
		db.Col("amount", &c.Amount),
		db.Col("max_redemptions", &c.MaxRedemptions),
		db.Col("redemptions", &c.Redemptions),
		db.Col("valid_from", &c.ValidFrom),
		db.Col("valid_until", &c.ValidUntil),
		db.Col("credit_days", &c.CreditDays),
		db.Col("new_accounts_only", &c.NewAccountsOnly),
		db.Col("enabled", &c.Enabled),
		db.Col("created_at", &c.CreatedAt),
	}
}

func (r *Redemption) columns() []db.Column {
	return []db.Column{
		db.Col("promo_id", &r.promo),
		db.Col("account_id", &r.AccountID),
		db.Col("credit_id", &r.CreditID),
		db.Col("created_at", &r.CreatedAt),
	}
}

// mailbox is one that has redeemed a code, as a hash.
type mailbox struct {
	promo id.ID
	hash  string
}

func (m *mailbox) columns() []db.Column {
	return []db.Column{db.Col("promo_id", &m.promo), db.Col("mailbox", &m.hash)}
}

var (
	mailboxes   = db.NewTable("promo_mailbox", (*mailbox).columns)
	codes       = db.NewTable("promo_code", (*Code).columns)
	redemptions = db.NewTable("promo_redemption", (*Redemption).columns)
)

// find finds a code by its id. In a transaction that writes, the row is locked.
func find(ctx context.Context, r db.Reader, promo id.ID) (Code, bool, error) {
	return codes.Find(ctx, r, `WHERE id = $1`+db.ForUpdate(r), promo)
}

// findByCode is find by the code itself.
func findByCode(ctx context.Context, r db.Reader, code string) (Code, bool, error) {
	return codes.Find(ctx, r, `WHERE code = $1`+db.ForUpdate(r), code)
}

func list(ctx context.Context, r db.Reader, p db.Page) ([]Code, db.Listed, error) {
	l := codes.List()
	l.Order, l.Down = []db.Key{{Column: "id"}}, true
	return l.Page(ctx, r, p)
}

// insert reports whether no other code has the text.
func insert(ctx context.Context, tx *db.Tx, c Code) (bool, error) {
	n, err := codes.InsertNew(ctx, tx, "code", c)
	return n == 1, err
}

func update(ctx context.Context, tx *db.Tx, c Code) error {
	columns := []string{
		"amount", "max_redemptions", "valid_from", "valid_until", "credit_days", "new_accounts_only", "enabled",
	}
	_, err := codes.Update(ctx, tx, &c, columns, db.Is("id", c.ID))
	return err
}

// remove reports whether the code was deleted: it is kept once an account has redeemed it.
func remove(ctx context.Context, tx *db.Tx, promo id.ID) (bool, error) {
	n, err := codes.Delete(ctx, tx, db.Is("id", promo), db.Is("redemptions", 0))
	return n == 1, err
}

// count raises the number of redemptions, unless it has reached the maximum.
func count(ctx context.Context, tx *db.Tx, promo id.ID) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE promo_code SET redemptions = redemptions + 1
		WHERE id = $1 AND (max_redemptions IS NULL OR redemptions < max_redemptions)`, promo)
	return n == 1, err
}

func findRedemption(ctx context.Context, r db.Reader, promo, account id.ID) (bool, error) {
	_, found, err := redemptions.Find(ctx, r, `WHERE promo_id = $1 AND account_id = $2`, promo, account)
	return found, err
}

func insertRedemption(ctx context.Context, tx *db.Tx, r Redemption) error {
	return redemptions.Insert(ctx, tx, r)
}

// insertMailboxes reports whether none of the mailboxes has redeemed the code before.
func insertMailboxes(ctx context.Context, tx *db.Tx, promo id.ID, hashes []string) (bool, error) {
	if len(hashes) == 0 {
		return true, nil
	}
	var all []mailbox
	for _, h := range hashes {
		all = append(all, mailbox{promo, h})
	}
	n, err := mailboxes.InsertNew(ctx, tx, "promo_id, mailbox", all...)
	return n == int64(len(hashes)), err
}

func listRedemptions(ctx context.Context, r db.Reader, promo id.ID, p db.Page) ([]Redemption, db.Listed, error) {
	l := redemptions.List(db.Is("promo_id", promo))
	l.ID, l.Order, l.Down = "credit_id", []db.Key{{Column: "credit_id"}}, true
	return l.Page(ctx, r, p)
}

// accountCreatedAt returns when the account was created.
func accountCreatedAt(ctx context.Context, r db.Reader, account id.ID) (at time.Time, err error) {
	err = r.QueryRow(ctx, `SELECT created_at FROM account WHERE id = $1`, account).Scan(&at)
	return at, err
}
