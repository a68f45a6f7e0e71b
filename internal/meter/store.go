package meter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

const hourMicros = int64(Hour / time.Microsecond)

const columns = `subject, account_id, description, name, provider, region, gpu_type, hourly_price, started_at, hours, cost, stopped_at`

func scan(row db.Row) (reading, error) {
	var r reading
	var started int64
	var stopped sql.NullInt64
	err := row.Scan(&r.subject, &r.account, &r.description, &r.labels.Name, &r.labels.Provider, &r.labels.Region, &r.labels.GPUType,
		&r.hourlyPrice, &started, &r.hours, &r.cost, &stopped)
	r.startedAt, r.stopped = db.At(started), stopped.Valid
	return r, err
}

func scanAll(rows *db.Rows) ([]reading, error) {
	defer func() { _ = rows.Close() }()
	var found []reading
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// insert makes the meter's row with no hour booked, and tells whether there was none.
func insert(ctx context.Context, tx *db.Tx, r reading) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO meter (subject, account_id, description, name, provider, region, gpu_type, hourly_price, started_at, hours, next_at, cost)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $9, 0) ON CONFLICT (subject) DO NOTHING`,
		r.subject, r.account, r.description, r.labels.Name, r.labels.Provider, r.labels.Region, r.labels.GPUType, r.hourlyPrice, db.Micros(r.startedAt))
	if err != nil {
		return false, fmt.Errorf("start meter of %s: %w", r.subject, err)
	}
	return n == 1, nil
}

func get(ctx context.Context, r db.Reader, subject id.ID) (reading, bool, error) {
	found, err := scan(r.QueryRow(ctx, `SELECT `+columns+` FROM meter WHERE subject = $1`, subject))
	if errors.Is(err, sql.ErrNoRows) {
		return reading{}, false, nil
	}
	return found, err == nil, err
}

// lock returns the meter and keeps others from changing it until the transaction ends. Its UPDATE changes nothing but
// locks the row on both engines, and returns what the one before has committed.
func lock(ctx context.Context, tx *db.Tx, subject id.ID) (reading, bool, error) {
	found, err := scan(tx.QueryRow(ctx, `UPDATE meter SET hours = hours WHERE subject = $1 RETURNING `+columns, subject))
	if errors.Is(err, sql.ErrNoRows) {
		return reading{}, false, nil
	}
	return found, err == nil, err
}

// raise counts the hours up to n as booked, at the present price.
func raise(ctx context.Context, tx *db.Tx, r reading, n int64) error {
	changed, err := tx.Exec(ctx, `UPDATE meter SET hours = $1, next_at = $2, cost = cost + $3 * hourly_price WHERE subject = $4 AND hours = $5 AND next_at IS NOT NULL`,
		n, db.Micros(r.begin(n)), n-r.hours, r.subject, r.hours)
	if err == nil && changed != 1 {
		err = errors.New("another change came in between")
	}
	if err != nil {
		return fmt.Errorf("book hour %d of %s: %w", n, r.subject, err)
	}
	return nil
}

// raiseDue counts one more hour as booked of up to limit meters whose next hour has begun, those furthest behind first, and
// returns them. What one call has raised no other call raises.
func raiseDue(ctx context.Context, tx *db.Tx, limit int) ([]reading, error) {
	pick := `SELECT subject FROM meter WHERE next_at <= $1 ORDER BY next_at, subject LIMIT $2`
	if tx.Engine() == db.Postgres {
		pick += ` FOR UPDATE SKIP LOCKED` // sweeps share the work instead of waiting; the outer WHERE alone keeps it correct
	}
	rows, err := tx.Query(ctx, `
		WITH pick AS MATERIALIZED (`+pick+`)
		UPDATE meter SET hours = hours + 1, next_at = next_at + $3, cost = cost + hourly_price
		WHERE subject IN (SELECT subject FROM pick) AND next_at <= $1
		RETURNING `+columns, db.Micros(tx.Now), limit, hourMicros)
	if err != nil {
		return nil, fmt.Errorf("book due hours: %w", err)
	}
	return scanAll(rows)
}

// nextDue returns when the next hour of any meter begins.
func nextDue(ctx context.Context, r db.Reader) (at time.Time, found bool, err error) {
	var next sql.NullInt64
	err = r.QueryRow(ctx, `SELECT MIN(next_at) FROM meter WHERE next_at IS NOT NULL`).Scan(&next)
	return db.At(next.Int64), next.Valid, err
}

func reprice(ctx context.Context, tx *db.Tx, subject id.ID, hourly money.Micros, l wallet.Labels, description string) error {
	_, err := tx.Exec(ctx, `UPDATE meter SET hourly_price = $1, description = $2, name = $3, provider = $4, region = $5, gpu_type = $6
		WHERE subject = $7 AND next_at IS NOT NULL`, hourly, description, l.Name, l.Provider, l.Region, l.GPUType, subject)
	return err
}

func stop(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time, refunded money.Micros) error {
	n, err := tx.Exec(ctx, `UPDATE meter SET next_at = NULL, stopped_at = $1, cost = cost - $2 WHERE subject = $3 AND next_at IS NOT NULL`,
		db.Micros(at), refunded, subject)
	if err == nil && n != 1 {
		err = errors.New("another change came in between")
	}
	if err != nil {
		return fmt.Errorf("stop meter of %s: %w", subject, err)
	}
	return nil
}

func selectCosts(ctx context.Context, r db.Reader, subjects []id.ID) (map[id.ID]money.Micros, error) {
	costs := make(map[id.ID]money.Micros, len(subjects))
	if len(subjects) == 0 {
		return costs, nil
	}
	args := make([]any, len(subjects))
	for i, s := range subjects {
		args[i] = s
	}
	rows, err := r.Query(ctx, `SELECT subject, cost FROM meter WHERE subject IN `+db.In(1, len(args)), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s id.ID
		var cost money.Micros
		if err := rows.Scan(&s, &cost); err != nil {
			return nil, err
		}
		costs[s] = cost
	}
	return costs, rows.Err()
}

func selectRunning(ctx context.Context, r db.Reader, account id.ID) ([]Running, error) {
	rows, err := r.Query(ctx, `SELECT subject, name, hourly_price, cost FROM meter WHERE account_id = $1 AND next_at IS NOT NULL ORDER BY subject`, account)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	running := []Running{}
	for rows.Next() {
		var n Running
		if err := rows.Scan(&n.Subject, &n.Name, &n.HourlyPrice, &n.CostToDate); err != nil {
			return nil, err
		}
		running = append(running, n)
	}
	return running, rows.Err()
}
