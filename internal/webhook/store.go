package webhook

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// row is an endpoint with its internal state.
type row struct {
	Endpoint
	secret, oldSecret string     // sealed
	after             id.ID      // the newest event that was processed
	rest              *time.Time // until then the endpoint wants no requests
}

func (r *row) columns() []db.Column {
	return []db.Column{
		db.Col("id", &r.ID),
		db.Col("account_id", &r.Account),
		db.Col("url", &r.URL),
		db.Col("description", &r.Description),
		db.Col("types", db.SharedJSON(&r.Types)),
		db.Col("state", &r.Status),
		db.Col("reason", &r.StatusReason),
		db.Col("secret", &r.secret),
		db.Col("old_secret", &r.oldSecret),
		db.Col("old_until", &r.OldSecretUntil),
		db.Col("after_event", &r.after),
		db.Col("failing_since", &r.FailingSince),
		db.Col("delivered_at", &r.LastDeliveredAt),
		db.Col("created_at", &r.CreatedAt),
		db.Col("rest_until", &r.rest),
		db.Col("creator_type", &r.CreatedBy.Type),
		db.Col("creator_id", &r.CreatedBy.ID),
		db.Col("creator_name", &r.CreatedBy.Name),
	}
}

var endpoints = db.NewTable("webhook", (*row).columns)

func find(ctx context.Context, r db.Reader, webhook id.ID) (row, bool, error) {
	return endpoints.Find(ctx, r, `WHERE id = $1`, webhook)
}

// findOwn is find for a webhook of the account only. In a transaction that writes, the row is
// locked.
func findOwn(ctx context.Context, r db.Reader, account, webhook id.ID) (row, bool, error) {
	return endpoints.Find(ctx, r, `WHERE id = $1 AND account_id = $2`+db.ForUpdate(r), webhook, account)
}

func listEndpoints(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]row, db.Listed, error) {
	l := endpoints.List(db.Is(`account_id`, account))
	l.Order, l.Down = []db.Key{{Column: `id`}}, true
	return l.Page(ctx, r, p)
}

func countEndpoints(ctx context.Context, r db.Reader, account id.ID) (n int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM webhook WHERE account_id = $1`, account).Scan(&n)
	return n, err
}

// owned is an endpoint and its account.
type owned struct{ id, account id.ID }

// enabledOf returns the enabled endpoints of the accounts, in an order that is the same for all
// callers.
func enabledOf(ctx context.Context, r db.Reader, accounts []id.ID) ([]owned, error) {
	var out []owned
	for chunk := range slices.Chunk(accounts, chunk) {
		some, err := db.Collect(ctx, r, func(row db.Row) (w owned, err error) {
			err = row.Scan(&w.id, &w.account)
			return w, err
		}, `SELECT id, account_id FROM webhook WHERE account_id IN `+db.In(1, len(chunk))+` AND state = 'enabled'`,
			db.Args(chunk)...)
		if err != nil {
			return nil, fmt.Errorf("find webhooks of accounts: %w", err)
		}
		out = append(out, some...)
	}
	slices.SortFunc(out, func(a, b owned) int { return cmp.Compare(a.id, b.id) })
	return out, nil
}

func insertEndpoint(ctx context.Context, tx *db.Tx, w Endpoint, sealed string) error {
	return endpoints.Insert(ctx, tx, row{Endpoint: w, secret: sealed})
}

// update writes the named columns of an endpoint.
func (r *row) update(ctx context.Context, tx *db.Tx, columns ...string) error {
	_, err := endpoints.Update(ctx, tx, r, columns, db.Is("id", r.ID))
	return err
}

func setCursor(ctx context.Context, tx *db.Tx, webhook, after id.ID) error {
	r := row{Endpoint: Endpoint{ID: webhook}, after: after}
	return r.update(ctx, tx, "after_event")
}

func updateEndpoint(ctx context.Context, tx *db.Tx, w Endpoint) error {
	r := row{Endpoint: w}
	return r.update(ctx, tx, "url", "description", "types", "rest_until")
}

func setState(ctx context.Context, tx *db.Tx, webhook id.ID, to Status) error {
	r := row{Endpoint: Endpoint{ID: webhook, Status: to}}
	return r.update(ctx, tx, "state", "reason", "rest_until")
}

// stop stops sending to an endpoint, and reports whether it was enabled.
func stop(ctx context.Context, tx *db.Tx, webhook id.ID, to Status, reason string) (bool, error) {
	r := row{Endpoint: Endpoint{Status: to, StatusReason: &reason}}
	n, err := endpoints.Update(ctx, tx, &r, []string{"state", "reason"}, db.Is("id", webhook), db.Is("state", Enabled))
	return n == 1, err
}

// rotate replaces the secret, and keeps the old one until then.
func rotate(ctx context.Context, tx *db.Tx, webhook id.ID, sealed string, until time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook SET old_secret = secret, old_until = $3, secret = $2 WHERE id = $1`,
		webhook, sealed, until)
	return err
}

func deleteEndpoint(ctx context.Context, tx *db.Tx, webhook id.ID) error {
	for _, statement := range []string{
		`DELETE FROM webhook WHERE id = $1`,
		`DELETE FROM webhook_attempt WHERE delivery_id IN (SELECT id FROM webhook_delivery WHERE webhook_id = $1)`,
		`DELETE FROM webhook_delivery WHERE webhook_id = $1`,
	} {
		if _, err := tx.Exec(ctx, statement, webhook); err != nil {
			return fmt.Errorf("delete webhook: %w", err)
		}
	}
	return nil
}

func succeeded(ctx context.Context, tx *db.Tx, webhook id.ID, now time.Time) error {
	r := row{Endpoint: Endpoint{ID: webhook, LastDeliveredAt: &now}}
	return r.update(ctx, tx, "failing_since", "rest_until", "delivered_at")
}

// failed records since when the endpoint fails, and until when it asked for no requests, if it did.
func failed(ctx context.Context, tx *db.Tx, webhook id.ID, now time.Time, rest *time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook SET failing_since = COALESCE(failing_since, $2), rest_until = $3
		WHERE id = $1`,
		webhook, now, rest)
	return err
}

// endRest ends the endpoint's rest, because its tenant wants something sent now.
func endRest(ctx context.Context, tx *db.Tx, webhook id.ID) error {
	r := row{Endpoint: Endpoint{ID: webhook}}
	return r.update(ctx, tx, "rest_until")
}

// idleSince reports whether nothing was delivered to the endpoint since that time.
func idleSince(ctx context.Context, tx *db.Tx, webhook id.ID, since time.Time) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM webhook WHERE id = $1 AND (delivered_at IS NULL
		OR delivered_at < $2)`,
		webhook, since).Scan(&n)
	return n == 1, err
}
