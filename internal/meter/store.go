package meter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

const hourMicros = int64(Hour / time.Microsecond)

var meters = db.NewTable("meter", (*reading).columns)

func (r *reading) columns() []db.Column {
	return []db.Column{
		db.Col("subject", &r.subject),
		db.Col("account_id", &r.account),
		db.Col("description", &r.description),
		db.Col("name", &r.labels.Name),
		db.Col("provider", &r.labels.Provider),
		db.Col("region", &r.labels.Region),
		db.Col("gpu_type", &r.labels.GPUType),
		db.Col("hourly_price", &r.hourlyPrice),
		db.Col("started_at", &r.startedAt),
		db.Col("hours", &r.hours),
		db.Col("cost", &r.cost),
		db.Col("stopped_at", &r.stoppedAt),
		db.Col("ends_at", &r.endsAt),
		db.Col("refused_at", &r.refusedAt),
		db.Col("refused_for", &r.refusedFor),
		db.Col("minimum_hours", &r.minimumHours),
		db.Derived("next_at", r.begin(r.hours)),
	}
}

// insert writes the row of a meter that has just started, and reports whether there was none.
func insert(ctx context.Context, tx *db.Tx, r reading) (bool, error) {
	n, err := meters.InsertNew(ctx, tx, "subject", r)
	return n == 1, err
}

func get(ctx context.Context, r db.Reader, subject id.ID) (reading, bool, error) {
	return meters.Find(ctx, r, `WHERE subject = $1`, subject)
}

// getAll returns the running meters of the subjects.
func getAll(ctx context.Context, r db.Reader, subjects []id.ID) ([]reading, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	return meters.Select(ctx, r, `WHERE subject IN `+db.In(1, len(subjects))+` AND stopped_at IS NULL`,
		db.Args(subjects)...)
}

// lock returns the meter and keeps other transactions from changing it until this one ends. Its
// UPDATE changes nothing, but it locks the row on both engines and returns what the transaction
// before has committed.
func lock(ctx context.Context, tx *db.Tx, subject id.ID) (reading, bool, error) {
	return db.Find(ctx, tx, meters.Scan, `UPDATE meter SET hours = hours WHERE subject = $1
		RETURNING `+meters.Columns(), subject)
}

// raise marks the hours below n as booked, at the current price.
func raise(ctx context.Context, tx *db.Tx, r reading, n int64) error {
	changed, err := tx.Exec(ctx, `UPDATE meter SET hours = $1, next_at = $2, cost = cost + $3 * hourly_price
		WHERE subject = $4 AND hours = $5 AND next_at IS NOT NULL`, n, r.begin(n), n-r.hours, r.subject, r.hours)
	if err == nil && changed != 1 {
		err = errConcurrent
	}
	if err != nil {
		return fmt.Errorf("book hour %d of %s: %w", n, r.subject, err)
	}
	return nil
}

// errConcurrent fails a transaction whose guarded UPDATE found the row changed.
var errConcurrent = errors.New("the meter was changed concurrently")

// raiseDue marks one more hour as booked of up to limit meters whose next hour has begun, those
// furthest behind first, and returns the meters. No other call books the same hours.
func raiseDue(ctx context.Context, tx *db.Tx, limit int) ([]reading, error) {
	pick := `SELECT subject FROM meter WHERE next_at <= $1 AND (ends_at IS NULL OR next_at < ends_at)
		AND refused_at IS NULL ORDER BY next_at, subject LIMIT $2`
	if tx.Engine() == db.Postgres {
		// Sweeps share the work instead of waiting. The outer WHERE alone keeps it correct.
		pick += ` FOR UPDATE SKIP LOCKED`
	}
	due, err := db.Collect(ctx, tx, meters.Scan, `
		WITH pick AS MATERIALIZED (`+pick+`)
		UPDATE meter SET hours = hours + 1, next_at = next_at + $3, cost = cost + hourly_price
		WHERE subject IN (SELECT subject FROM pick) AND next_at <= $1 AND (ends_at IS NULL OR next_at < ends_at)
			AND refused_at IS NULL
		RETURNING `+meters.Columns(), tx.Now, limit, hourMicros)
	if err != nil {
		return nil, fmt.Errorf("book due hours: %w", err)
	}
	return due, nil
}

// nextDue returns when the next hour of any meter begins.
func nextDue(ctx context.Context, r db.Reader) (time.Time, bool, error) {
	var next *time.Time
	err := r.QueryRow(ctx, `SELECT MIN(next_at) FROM meter
		WHERE next_at IS NOT NULL AND refused_at IS NULL
			AND (ends_at IS NULL OR next_at < ends_at)`).Scan(&next)
	if err != nil || next == nil {
		return time.Time{}, false, err
	}
	return *next, true, nil
}

func reprice(
	ctx context.Context, tx *db.Tx, subject id.ID, hourly money.Micros, l wallet.Labels, description string,
) error {
	r := reading{hourlyPrice: hourly, labels: l, description: description}
	_, err := meters.Update(ctx, tx, &r, []string{"hourly_price", "description", "name", "provider", "region",
		"gpu_type"},
		db.Is("subject", subject), running)
	return err
}

// unraise undoes raiseDue for a meter whose hour was refused.
func unraise(ctx context.Context, tx *db.Tx, r reading) error {
	r.hours--
	r.cost -= r.hourlyPrice
	_, err := meters.Update(ctx, tx, &r, []string{"hours", "next_at", "cost", "refused_at", "refused_for"},
		db.Is("subject", r.subject), running)
	return err
}

// setRefused writes which hour was refused.
func setRefused(ctx context.Context, tx *db.Tx, r reading) error {
	_, err := meters.Update(ctx, tx, &r, []string{"refused_at", "refused_for"}, db.Is("subject", r.subject), running)
	return err
}

// setEnd writes when the meter's end is planned.
func setEnd(ctx context.Context, tx *db.Tx, r reading) error {
	_, err := meters.Update(ctx, tx, &r, []string{"ends_at"}, db.Is("subject", r.subject), running)
	return err
}

// running is the condition of a meter that has not stopped.
var running = db.Cond{Text: `next_at IS NOT NULL`}

func stop(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time, refunded money.Micros) error {
	n, err := tx.Exec(ctx, `UPDATE meter SET next_at = NULL, stopped_at = $1, cost = cost - $2
		WHERE subject = $3 AND next_at IS NOT NULL`, at, refunded, subject)
	if err == nil && n != 1 {
		err = errConcurrent
	}
	if err != nil {
		return fmt.Errorf("stop meter of %s: %w", subject, err)
	}
	return nil
}

func selectCosts(ctx context.Context, r db.Reader, subjects []id.ID) (map[id.ID]money.Micros, error) {
	if len(subjects) == 0 {
		return map[id.ID]money.Micros{}, nil
	}
	return db.CollectMap(ctx, r, db.Pair[id.ID, money.Micros],
		`SELECT subject, cost FROM meter WHERE subject IN `+db.In(1, len(subjects)), db.Args(subjects)...)
}

func selectRunning(ctx context.Context, r db.Reader, account id.ID) ([]Running, error) {
	return db.Collect(ctx, r, func(row db.Row) (n Running, err error) {
		err = row.Scan(&n.Subject, &n.Name, &n.HourlyPrice, &n.CostToDate, &n.NextAt, &n.EndsAt)
		return n, err
	}, `SELECT subject, name, hourly_price, cost, next_at, ends_at FROM meter
		WHERE account_id = $1 AND next_at IS NOT NULL ORDER BY subject`, account)
}

func selectAllRunning(ctx context.Context, r db.Reader) (map[id.ID][]Running, error) {
	out := map[id.ID][]Running{}
	_, err := db.Collect(ctx, r, func(row db.Row) (account id.ID, err error) {
		var n Running
		if err = row.Scan(&account, &n.Subject, &n.HourlyPrice, &n.NextAt, &n.EndsAt); err == nil {
			out[account] = append(out[account], n)
		}
		return account, err
	}, `SELECT account_id, subject, hourly_price, next_at, ends_at FROM meter WHERE next_at IS NOT NULL`)
	return out, err
}
