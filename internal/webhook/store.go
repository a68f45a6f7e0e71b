package webhook

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// row is an endpoint with what only this room knows of it.
type row struct {
	Endpoint
	secret, oldSecret string
	after             id.ID      // the newest event that was seen to
	rest              *time.Time // until then the address wants no requests
}

const columns = `id, account_id, url, description, types, state, reason, secret, old_secret, old_until, after_event, failing_since, delivered_at, created_at, rest_until`

func (s *Service) scan(from db.Row) (r row, err error) {
	var types, reason string
	var old, failing, delivered, rest sql.NullInt64
	var created int64
	err = from.Scan(&r.ID, &r.Account, &r.URL, &r.Description, &types, &r.Status, &reason, &r.secret, &r.oldSecret, &old, &r.after, &failing, &delivered, &created, &rest)
	if err != nil {
		return row{}, err
	}
	if reason != "" {
		r.StatusReason = &reason
	}
	r.OldSecretUntil, r.FailingSince, r.LastDeliveredAt, r.CreatedAt = db.AtOrNil(old), db.AtOrNil(failing), db.AtOrNil(delivered), db.At(created)
	r.rest = db.AtOrNil(rest)
	r.Types, err = s.decoded.Of(types)
	return r, err
}

func (s *Service) find(ctx context.Context, r db.Reader, webhook id.ID) (row, bool, error) {
	w, err := s.scan(r.QueryRow(ctx, `SELECT `+columns+` FROM webhook WHERE id = $1`, webhook))
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, fmt.Errorf("find webhook: %w", err)
	}
	return w, true, nil
}

func (s *Service) listEndpoints(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]row, db.Listed, error) {
	return db.List[row]{
		Columns: columns, Table: `webhook`, Where: []db.Cond{db.Is(`account_id`, account)},
		Order: []db.Key{{Column: `id`}}, Down: true, Scan: s.scan,
	}.Page(ctx, r, p)
}

func countEndpoints(ctx context.Context, r db.Reader, account id.ID) (n int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM webhook WHERE account_id = $1`, account).Scan(&n)
	return n, err
}

// owned is an endpoint and whose it is.
type owned struct{ id, account id.ID }

// enabledOf returns the enabled endpoints of the accounts, in one order that is the same for all.
func enabledOf(ctx context.Context, r db.Reader, accounts []id.ID) ([]owned, error) {
	var out []owned
	for chunk := range slices.Chunk(accounts, chunk) {
		args := make([]any, len(chunk))
		for i, a := range chunk {
			args[i] = a
		}
		rows, err := r.Query(ctx, `SELECT id, account_id FROM webhook WHERE account_id IN `+db.In(1, len(chunk))+` AND state = 'enabled'`, args...)
		if err != nil {
			return nil, fmt.Errorf("find webhooks of accounts: %w", err)
		}
		for rows.Next() {
			var w owned
			if err := rows.Scan(&w.id, &w.account); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			out = append(out, w)
		}
		if err := cmp.Or(rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("find webhooks of accounts: %w", err)
		}
	}
	slices.SortFunc(out, func(a, b owned) int { return cmp.Compare(a.id, b.id) })
	return out, nil
}

func insertEndpoint(ctx context.Context, tx *db.Tx, w Endpoint, sealed string) error {
	types, err := json.Marshal(w.Types)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO webhook (id, account_id, url, description, types, state, reason, secret, after_event, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, '', $7, '', $8)`,
		w.ID, w.Account, w.URL, w.Description, string(types), w.Status, sealed, db.Micros(w.CreatedAt))
	if err != nil {
		return fmt.Errorf("make webhook: %w", err)
	}
	return nil
}

func setCursor(ctx context.Context, tx *db.Tx, webhook, after id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE webhook SET after_event = $2 WHERE id = $1`, webhook, after)
	return err
}

func updateEndpoint(ctx context.Context, tx *db.Tx, w Endpoint) error {
	types, err := json.Marshal(w.Types)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE webhook SET url = $2, description = $3, types = $4, rest_until = NULL WHERE id = $1`, w.ID, w.URL, w.Description, string(types))
	return err
}

func setState(ctx context.Context, tx *db.Tx, webhook id.ID, to Status, reason string) error {
	_, err := tx.Exec(ctx, `UPDATE webhook SET state = $2, reason = $3, rest_until = NULL WHERE id = $1`, webhook, to, reason)
	return err
}

// stop ends sending to an endpoint that is enabled, and tells whether it was.
func stop(ctx context.Context, tx *db.Tx, webhook id.ID, to Status, reason string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE webhook SET state = $2, reason = $3 WHERE id = $1 AND state = 'enabled'`, webhook, to, reason)
	return n == 1, err
}

// rotate puts the secret that there is in the second place.
func rotate(ctx context.Context, tx *db.Tx, webhook id.ID, sealed string, until time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook SET old_secret = secret, old_until = $3, secret = $2 WHERE id = $1`, webhook, sealed, db.Micros(until))
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
	_, err := tx.Exec(ctx, `UPDATE webhook SET failing_since = NULL, rest_until = NULL, delivered_at = $2 WHERE id = $1`, webhook, db.Micros(now))
	return err
}

// failed remembers since when the endpoint fails, and until when it wants no requests, where it said so.
func failed(ctx context.Context, tx *db.Tx, webhook id.ID, now time.Time, rest *time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook SET failing_since = COALESCE(failing_since, $2), rest_until = $3 WHERE id = $1`, webhook, db.Micros(now), db.MicrosOrNull(rest))
	return err
}

// wake ends the endpoint's rest: its tenant wants something sent now.
func wake(ctx context.Context, tx *db.Tx, webhook id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE webhook SET rest_until = NULL WHERE id = $1`, webhook)
	return err
}

// tookNothingSince tells whether nothing was delivered to the endpoint since that time.
func tookNothingSince(ctx context.Context, tx *db.Tx, webhook id.ID, since time.Time) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM webhook WHERE id = $1 AND (delivered_at IS NULL OR delivered_at < $2)`, webhook, db.Micros(since)).Scan(&n)
	return n == 1, err
}
