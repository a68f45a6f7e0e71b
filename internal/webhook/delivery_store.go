package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// outgoing is a new delivery.
type outgoing struct {
	id, webhook, event id.ID
	eventType, body    string
}

// delivery is a delivery with its internal state.
type delivery struct {
	Delivery
	place        int64 // first attempts are made in this order
	body         string
	tries        int64 // since it was queued
	queued, next time.Time
}

func (d *delivery) columns() []db.Column {
	return []db.Column{
		db.Col("id", &d.ID),
		db.Col("webhook_id", &d.Webhook),
		db.Col("place", &d.place),
		db.Col("event_id", &d.Event),
		db.Col("type", &d.Type),
		db.Col("state", &d.Status),
		db.Col("attempts", &d.AttemptCount),
		db.Col("created_at", &d.CreatedAt),
		db.Col("next_at", &d.next),
		db.Col("body", &d.body),
		db.Col("tries", &d.tries),
		db.Col("queued_at", &d.queued),
	}
}

type attemptRow struct {
	delivery id.ID
	number   int64
	Attempt
}

func (a *attemptRow) columns() []db.Column {
	return []db.Column{
		db.Col("delivery_id", &a.delivery),
		db.Col("number", &a.number),
		db.Col("at", &a.At),
		db.Col("status", &a.Status),
		db.Col("duration_ms", &a.DurationMS),
		db.Col("problem", &a.Problem),
		db.Col("response", &a.Response),
	}
}

var (
	deliveries = db.NewTable("webhook_delivery", (*delivery).columns)
	attempts   = db.NewTable("webhook_attempt", (*attemptRow).columns)
)

// shown returns the delivery for its tenant, without its attempts.
func (d *delivery) shown() Delivery {
	out := d.Delivery
	out.Attempts = []Attempt{}
	if out.Status == Pending && out.AttemptCount > 0 {
		out.NextAttemptAt = &d.next
	}
	return out
}

func findDelivery(ctx context.Context, r db.Reader, of id.ID) (delivery, bool, error) {
	return deliveries.Find(ctx, r, `WHERE id = $1`, of)
}

// advance records that the endpoint's events are processed up to that one, and creates the wanted
// deliveries. It returns false, and does nothing, if another run was faster or the endpoint is no
// longer enabled.
func advance(ctx context.Context, tx *db.Tx, w row, to id.ID, wanted []outgoing, now time.Time) (bool, error) {
	var last int64
	err := tx.QueryRow(ctx, `UPDATE webhook SET after_event = $3, last = last + $4
		WHERE id = $1 AND after_event = $2 AND state = 'enabled' RETURNING last`, w.ID, w.after, to,
		len(wanted)).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("advance webhook: %w", err)
	}
	return true, insertDeliveries(ctx, tx, wanted, last-int64(len(wanted))+1, now)
}

// addDelivery creates one delivery after all others.
func addDelivery(ctx context.Context, tx *db.Tx, d outgoing, now time.Time) error {
	var last int64
	err := tx.QueryRow(ctx, `UPDATE webhook SET last = last + 1 WHERE id = $1 RETURNING last`, d.webhook).Scan(&last)
	if err != nil {
		return fmt.Errorf("add webhook delivery: %w", err)
	}
	return insertDeliveries(ctx, tx, []outgoing{d}, last, now)
}

// insertDeliveries assigns the places from first on.
func insertDeliveries(ctx context.Context, tx *db.Tx, all []outgoing, first int64, now time.Time) error {
	rows := make([]delivery, len(all))
	for i, d := range all {
		rows[i] = delivery{
			Delivery: Delivery{ID: d.id, Webhook: d.webhook, Event: d.event, Type: d.eventType, Status: Pending,
				CreatedAt: now},
			place: first + int64(i), body: d.body, queued: now, next: now,
		}
	}
	return deliveries.Insert(ctx, tx, rows...)
}

// due returns the delivery to be sent next: either the first that was never tried, or the one whose
// retry is most overdue, whichever has waited longer. An endpoint that is not enabled, or rests, is
// only sent tests.
func due(ctx context.Context, r db.Reader, w row, now time.Time) (delivery, bool, error) {
	tests, only := ``, w.Status != Enabled || w.resting(now)
	if only {
		tests = ` AND type = '` + TypeTest + `'`
	}
	first, found, err := deliveries.Find(ctx, r, `WHERE webhook_id = $1 AND state = 'pending' AND attempts = 0`+tests+`
		ORDER BY place LIMIT 1`, w.ID)
	if err != nil || only {
		return first, found, err
	}
	retry, waiting, err := deliveries.Find(ctx, r, `WHERE webhook_id = $1 AND state = 'pending' AND attempts > 0
		AND next_at <= $2 ORDER BY next_at, place LIMIT 1`, w.ID, now)
	if err != nil || waiting && (!found || retry.next.Before(first.queued)) {
		return retry, waiting, err
	}
	return first, found, nil
}

// nextDue returns when something is retried at an endpoint for which nothing is due now.
func nextDue(ctx context.Context, r db.Reader, w row) (time.Time, bool, error) {
	if w.Status != Enabled {
		return time.Time{}, false, nil
	}
	var at *time.Time
	err := r.QueryRow(ctx, `SELECT MIN(next_at) FROM webhook_delivery
		WHERE webhook_id = $1 AND state = 'pending' AND attempts > 0`, w.ID).Scan(&at)
	if err != nil || at == nil {
		return time.Time{}, false, err
	}
	return *at, true, nil
}

// finishAttempt records an attempt and its result. It returns false, and does nothing, if another
// run's attempt was recorded meanwhile or the delivery is gone.
func finishAttempt(
	ctx context.Context, tx *db.Tx, d delivery, state DeliveryStatus, next time.Time, a Attempt,
) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE webhook_delivery SET state = $3, attempts = attempts + 1, tries = tries + 1,
		next_at = $4
		WHERE id = $1 AND attempts = $2 AND state = 'pending' AND queued_at = $5`, d.ID, d.AttemptCount, state, next,
		d.queued)
	if err != nil || n == 0 {
		return false, err
	}
	number := d.AttemptCount + 1
	if err := attempts.Insert(ctx, tx, attemptRow{d.ID, number, a}); err != nil {
		return false, err
	}
	_, err = attempts.Delete(ctx, tx, db.Is("delivery_id", d.ID),
		db.Cond{Text: "number <= ?", Args: []any{number - MaxAttempts}})
	return true, err
}

// replay makes a delivery due now, and restarts its time.
func replay(ctx context.Context, tx *db.Tx, of id.ID, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_delivery SET state = 'pending', tries = 0, queued_at = $2, next_at = $2
		WHERE id = $1`, of, now)
	return err
}

// requeue is replay for all pending deliveries of an endpoint.
func requeue(ctx context.Context, tx *db.Tx, webhook id.ID, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE webhook_delivery SET tries = 0, queued_at = $2, next_at = $2
		WHERE webhook_id = $1 AND state = 'pending'`, webhook, now)
	return err
}

func listDeliveries(
	ctx context.Context, r db.Reader, webhook id.ID, of DeliveryStatus, p db.Page,
) ([]delivery, db.Listed, error) {
	l := deliveries.List(db.Is(`webhook_id`, webhook))
	l.Order, l.Down = []db.Key{{Column: `place`, Number: true}}, true
	if of != "" {
		l.Where = append(l.Where, db.Is(`state`, of))
	}
	return l.Page(ctx, r, p)
}

// addAttempts adds the attempts of each delivery.
func addAttempts(ctx context.Context, r db.Reader, to []Delivery) error {
	if len(to) == 0 {
		return nil
	}
	at, args := map[id.ID]int{}, make([]any, len(to))
	for i, d := range to {
		at[d.ID], args[i] = i, d.ID
	}
	all, err := attempts.Select(ctx, r, `WHERE delivery_id IN `+db.In(1, len(to))+` ORDER BY delivery_id, number`,
		args...)
	if err != nil {
		return fmt.Errorf("list webhook attempts: %w", err)
	}
	for _, a := range all {
		d := &to[at[a.delivery]]
		d.Attempts = append(d.Attempts, a.Attempt)
	}
	return nil
}

// purge deletes up to limit deliveries that were created before that time, and returns how many.
// Those that were sent again since and are still retried stay.
func purge(ctx context.Context, tx *db.Tx, before time.Time, limit int) (int64, error) {
	old := `SELECT id FROM webhook_delivery WHERE created_at < $1 AND (state <> 'pending' OR queued_at < $1)
		ORDER BY created_at, id LIMIT $2`
	if _, err := tx.Exec(ctx, `DELETE FROM webhook_attempt WHERE delivery_id IN (`+old+`)`, before, limit); err != nil {
		return 0, fmt.Errorf("purge webhook attempts: %w", err)
	}
	return tx.Exec(ctx, `DELETE FROM webhook_delivery WHERE id IN (`+old+`)`, before, limit)
}

// OldestWaiting returns since when the delivery waits that has waited longest for its first
// attempt, of webhooks that are enabled and whose last attempt did not fail: that time is this
// server's and not the receiver's. It returns false if none waits.
func OldestWaiting(ctx context.Context, r db.Reader) (since time.Time, waits bool, err error) {
	var at *time.Time
	err = r.QueryRow(ctx, `SELECT MIN(d.queued_at) FROM webhook w
		JOIN webhook_delivery d ON d.webhook_id = w.id AND d.state = 'pending' AND d.attempts = 0
		WHERE w.state = 'enabled' AND w.failing_since IS NULL`).Scan(&at)
	if err != nil || at == nil {
		return time.Time{}, false, err
	}
	return *at, true, nil
}
