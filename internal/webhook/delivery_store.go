package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// outgoing is a delivery to be made.
type outgoing struct {
	id, webhook, event id.ID
	kind, body         string
}

// delivery is a delivery with what only this room knows of it.
type delivery struct {
	Delivery
	body   string
	tries  int64
	queued time.Time
}

const deliveryColumns = `id, webhook_id, event_id, type, state, attempts, created_at, next_at, body, tries, queued_at`

func scanDelivery(from db.Row) (d delivery, err error) {
	var created, next, queued int64
	err = from.Scan(&d.ID, &d.Webhook, &d.Event, &d.Type, &d.Status, &d.AttemptCount, &created, &next, &d.body, &d.tries, &queued)
	d.CreatedAt, d.queued, d.Attempts = db.At(created), db.At(queued), []Attempt{}
	if d.Status == Pending && d.AttemptCount > 0 {
		at := db.At(next)
		d.NextAttemptAt = &at
	}
	return d, err
}

func oneDelivery(from db.Row) (delivery, bool, error) {
	d, err := scanDelivery(from)
	if errors.Is(err, sql.ErrNoRows) {
		return delivery{}, false, nil
	}
	if err != nil {
		return delivery{}, false, fmt.Errorf("find webhook delivery: %w", err)
	}
	return d, true, nil
}

func findDelivery(ctx context.Context, r db.Reader, of id.ID) (delivery, bool, error) {
	return oneDelivery(r.QueryRow(ctx, `SELECT `+deliveryColumns+` FROM webhook_delivery WHERE id = $1`, of))
}

// advance remembers that the endpoint's events are seen to up to that one and makes the deliveries of them that are wanted. It is false,
// and nothing is done, where another has been quicker or the endpoint is not enabled any more.
func advance(ctx context.Context, tx *db.Tx, w row, to id.ID, wanted []outgoing, now time.Time) (bool, error) {
	var last int64
	err := tx.QueryRow(ctx, `UPDATE webhook SET after_event = $3, last = last + $4 WHERE id = $1 AND after_event = $2 AND state = 'enabled' RETURNING last`,
		w.ID, w.after, to, len(wanted)).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("advance webhook: %w", err)
	}
	return true, insertDeliveries(ctx, tx, wanted, last-int64(len(wanted))+1, now)
}

// addDelivery makes one delivery, behind all others.
func addDelivery(ctx context.Context, tx *db.Tx, d outgoing, now time.Time) error {
	var last int64
	if err := tx.QueryRow(ctx, `UPDATE webhook SET last = last + 1 WHERE id = $1 RETURNING last`, d.webhook).Scan(&last); err != nil {
		return fmt.Errorf("add webhook delivery: %w", err)
	}
	return insertDeliveries(ctx, tx, []outgoing{d}, last, now)
}

// insertDeliveries gives them places from first on.
func insertDeliveries(ctx context.Context, tx *db.Tx, all []outgoing, first int64, now time.Time) error {
	at := db.Micros(now)
	for some := range slices.Chunk(all, 20) {
		args := make([]any, 0, 12*len(some))
		for _, d := range some {
			args = append(args, d.id, d.webhook, first, d.event, d.kind, d.body, Pending, 0, 0, at, at, at)
			first++
		}
		if _, err := tx.Exec(ctx, `INSERT INTO webhook_delivery (id, webhook_id, place, event_id, type, body, state, attempts, tries, queued_at, next_at, created_at)
			VALUES `+db.Tuples(1, len(some), 12), args...); err != nil {
			return fmt.Errorf("make webhook deliveries: %w", err)
		}
	}
	return nil
}

// due returns what is to be sent next: of the first delivery that was never tried, and the one whose time to be tried again is longest over, that
// which has waited longer. An endpoint that is not enabled, or rests, is sent tests only.
func due(ctx context.Context, r db.Reader, w row, now time.Time) (delivery, bool, error) {
	tests, only := ``, w.Status != Enabled || w.resting(now)
	if only {
		tests = ` AND type = '` + TypeTest + `'`
	}
	first, found, err := oneDelivery(r.QueryRow(ctx, `SELECT `+deliveryColumns+` FROM webhook_delivery
		WHERE webhook_id = $1 AND state = 'pending' AND attempts = 0`+tests+` ORDER BY place LIMIT 1`, w.ID))
	if err != nil || only {
		return first, found, err
	}
	again, waiting, err := oneDelivery(r.QueryRow(ctx, `SELECT `+deliveryColumns+` FROM webhook_delivery
		WHERE webhook_id = $1 AND state = 'pending' AND attempts > 0 AND next_at <= $2 ORDER BY next_at, place LIMIT 1`, w.ID, db.Micros(now)))
	if err != nil || waiting && (!found || again.NextAttemptAt.Before(first.queued)) {
		return again, waiting, err
	}
	return first, found, nil
}

// nextDue returns when something is to be sent again to an endpoint for which nothing is due now.
func nextDue(ctx context.Context, r db.Reader, w row) (time.Time, bool, error) {
	if w.Status != Enabled {
		return time.Time{}, false, nil
	}
	var at sql.NullInt64
	err := r.QueryRow(ctx, `SELECT MIN(next_at) FROM webhook_delivery WHERE webhook_id = $1 AND state = 'pending' AND attempts > 0`, w.ID).Scan(&at)
	return db.At(at.Int64), at.Valid, err
}

// finishAttempt writes an attempt and what it made of the delivery. It is false where another run's attempt was written meanwhile, or
// the delivery is gone; then nothing is done.
func finishAttempt(ctx context.Context, tx *db.Tx, d delivery, state DeliveryStatus, next time.Time, a Attempt) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE webhook_delivery SET state = $3, attempts = attempts + 1, tries = tries + 1, next_at = $4
		WHERE id = $1 AND attempts = $2 AND state = 'pending' AND queued_at = $5`, d.ID, d.AttemptCount, state, db.Micros(next), db.Micros(d.queued))
	if err != nil || n == 0 {
		return false, err
	}
	number, status, problem := d.AttemptCount+1, int64(0), ""
	if a.Status != nil {
		status = *a.Status
	}
	if a.Problem != nil {
		problem = *a.Problem
	}
	if _, err := tx.Exec(ctx, `INSERT INTO webhook_attempt (delivery_id, number, at, status, duration_ms, problem, response) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		d.ID, number, db.Micros(a.At), status, a.DurationMS, problem, a.Response); err != nil {
		return false, fmt.Errorf("write webhook attempt: %w", err)
	}
	_, err = tx.Exec(ctx, `DELETE FROM webhook_attempt WHERE delivery_id = $1 AND number <= $2`, d.ID, number-MaxAttempts)
	return true, err
}

// replay makes a delivery due now, with its whole time before it.
func replay(ctx context.Context, tx *db.Tx, of id.ID, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_delivery SET state = 'pending', tries = 0, queued_at = $2, next_at = $2 WHERE id = $1`, of, db.Micros(now))
	return err
}

// requeue is replay for everything of an endpoint that is pending.
func requeue(ctx context.Context, tx *db.Tx, webhook id.ID, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_delivery SET tries = 0, queued_at = $2, next_at = $2 WHERE webhook_id = $1 AND state = 'pending'`, webhook, db.Micros(now))
	return err
}

func listDeliveries(ctx context.Context, r db.Reader, webhook id.ID, of DeliveryStatus, p db.Page) ([]delivery, db.Listed, error) {
	l := db.List[delivery]{
		Columns: deliveryColumns, Table: `webhook_delivery`, Where: []db.Cond{db.Is(`webhook_id`, webhook)},
		Order: []db.Key{{Column: `place`, Number: true}}, Down: true, Scan: scanDelivery,
	}
	if of != "" {
		l.Where = append(l.Where, db.Is(`state`, of))
	}
	return l.Page(ctx, r, p)
}

// addAttempts gives each delivery its attempts.
func addAttempts(ctx context.Context, r db.Reader, to []Delivery) error {
	if len(to) == 0 {
		return nil
	}
	at, args := map[id.ID]int{}, make([]any, len(to))
	for i, d := range to {
		at[d.ID], args[i] = i, d.ID
	}
	rows, err := r.Query(ctx, `SELECT delivery_id, at, status, duration_ms, problem, response FROM webhook_attempt
		WHERE delivery_id IN `+db.In(1, len(to))+` ORDER BY delivery_id, number`, args...)
	if err != nil {
		return fmt.Errorf("list webhook attempts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var of id.ID
		var a Attempt
		var when, status int64
		var problem string
		if err := rows.Scan(&of, &when, &status, &a.DurationMS, &problem, &a.Response); err != nil {
			return err
		}
		a.At = db.At(when)
		if status != 0 {
			a.Status = &status
		}
		if problem != "" {
			a.Problem = &problem
		}
		to[at[of]].Attempts = append(to[at[of]].Attempts, a)
	}
	return rows.Err()
}

// purge deletes up to so many deliveries that were made before that time, and returns how many. What was sent anew since and is still tried stays.
func purge(ctx context.Context, tx *db.Tx, before time.Time, limit int) (int64, error) {
	old := `SELECT id FROM webhook_delivery WHERE created_at < $1 AND (state <> 'pending' OR queued_at < $1) ORDER BY created_at, id LIMIT $2`
	if _, err := tx.Exec(ctx, `DELETE FROM webhook_attempt WHERE delivery_id IN (`+old+`)`, db.Micros(before), limit); err != nil {
		return 0, fmt.Errorf("purge webhook attempts: %w", err)
	}
	return tx.Exec(ctx, `DELETE FROM webhook_delivery WHERE id IN (`+old+`)`, db.Micros(before), limit)
}
