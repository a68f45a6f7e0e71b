package spendlimit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

func put(ctx context.Context, tx *db.Tx, key id.ID, l SpendingLimits) error {
	types, err := json.Marshal(append([]string{}, l.GPUTypes...))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO spending_limit (key_id, max_hourly_price, max_per_day, max_per_month, max_deployments, gpu_types) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (key_id) DO UPDATE SET max_hourly_price = excluded.max_hourly_price, max_per_day = excluded.max_per_day, max_per_month = excluded.max_per_month,
			max_deployments = excluded.max_deployments, gpu_types = excluded.gpu_types`,
		key, orNull(l.MaxHourlyPrice), orNull(l.MaxSpendPerDay), orNull(l.MaxSpendPerMonth), orNull(l.MaxDeployments), string(types))
	return err
}

func remove(ctx context.Context, tx *db.Tx, key id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM spending_limit WHERE key_id = $1`, key)
	return err
}

const limitColumns = `key_id, max_hourly_price, max_per_day, max_per_month, max_deployments, gpu_types`

// lock returns the key's limits, and has everybody else who spends with it wait until the transaction is over.
func lock(ctx context.Context, tx *db.Tx, key id.ID) (l SpendingLimits, found bool, err error) {
	_, l, err = scanLimits(tx.QueryRow(ctx, `UPDATE spending_limit SET turns = turns + 1 WHERE key_id = $1 RETURNING `+limitColumns, key))
	if errors.Is(err, sql.ErrNoRows) {
		return l, false, nil
	}
	return l, err == nil, err
}

func limits(ctx context.Context, r db.Reader, keys []id.ID) (map[id.ID]SpendingLimits, error) {
	args := make([]any, len(keys))
	for i, k := range keys {
		args[i] = k
	}
	rows, err := r.Query(ctx, `SELECT `+limitColumns+` FROM spending_limit WHERE key_id IN `+db.In(1, len(keys)), args...)
	if err != nil {
		return nil, fmt.Errorf("read allowances: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[id.ID]SpendingLimits{}
	for rows.Next() {
		key, l, err := scanLimits(rows)
		if err != nil {
			return nil, err
		}
		out[key] = l
	}
	return out, rows.Err()
}

func scanLimits(row db.Row) (key id.ID, l SpendingLimits, err error) {
	var hourly, day, month, deployments sql.NullInt64
	var types string
	if err := row.Scan(&key, &hourly, &day, &month, &deployments, &types); err != nil {
		return "", SpendingLimits{}, err
	}
	l = SpendingLimits{MaxHourlyPrice: amount(hourly), MaxSpendPerDay: amount(day), MaxSpendPerMonth: amount(month)}
	if deployments.Valid {
		l.MaxDeployments = &deployments.Int64
	}
	return key, l, json.Unmarshal([]byte(types), &l.GPUTypes)
}

func insert(ctx context.Context, tx *db.Tx, key id.ID, u Use) error {
	_, err := tx.Exec(ctx, `INSERT INTO spending_use (subject, key_id, hourly_price, from_at, until_at, started) VALUES ($1, $2, $3, $4, $5, $6)`,
		u.Subject, key, u.HourlyPrice, db.Micros(u.From), db.MicrosOrNull(u.Until), bit(u.Started))
	return err
}

func update(ctx context.Context, tx *db.Tx, u Use) error {
	_, err := tx.Exec(ctx, `UPDATE spending_use SET hourly_price = $2, from_at = $3, until_at = $4, started = $5 WHERE subject = $1 AND over = 0`,
		u.Subject, u.HourlyPrice, db.Micros(u.From), db.MicrosOrNull(u.Until), bit(u.Started))
	return err
}

func end(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE spending_use SET until_at = $2, over = 1 WHERE subject = $1 AND over = 0`, subject, db.Micros(at))
	return err
}

func forget(ctx context.Context, tx *db.Tx, subject id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM spending_use WHERE subject = $1`, subject)
	return err
}

// uses returns what the key pays for after that instant.
func uses(ctx context.Context, r db.Reader, key id.ID, after time.Time) ([]Use, error) {
	rows, err := r.Query(ctx, `SELECT subject, hourly_price, from_at, until_at, started, over FROM spending_use WHERE key_id = $1 AND (until_at IS NULL OR until_at > $2 OR over = 0)`, key, db.Micros(after))
	if err != nil {
		return nil, fmt.Errorf("read what a key pays for: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Use
	for rows.Next() {
		var u Use
		var from, started, over int64
		var until sql.NullInt64
		if err := rows.Scan(&u.Subject, &u.HourlyPrice, &from, &until, &started, &over); err != nil {
			return nil, err
		}
		u.From, u.Until, u.Started, u.Over = db.At(from), db.AtOrNil(until), started == 1, over == 1
		out = append(out, u)
	}
	return out, rows.Err()
}

func one(ctx context.Context, r db.Reader, subject id.ID) (u Use, key id.ID, found bool, err error) {
	var from, started, over int64
	var until sql.NullInt64
	err = r.QueryRow(ctx, `SELECT subject, key_id, hourly_price, from_at, until_at, started, over FROM spending_use WHERE subject = $1`, subject).
		Scan(&u.Subject, &key, &u.HourlyPrice, &from, &until, &started, &over)
	if errors.Is(err, sql.ErrNoRows) {
		return u, "", false, nil
	}
	u.From, u.Until, u.Started, u.Over = db.At(from), db.AtOrNil(until), started == 1, over == 1
	return u, key, err == nil, err
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func orNull[T ~int64](n *T) sql.NullInt64 {
	if n == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(*n), Valid: true}
}

func amount(n sql.NullInt64) *money.Micros {
	if !n.Valid {
		return nil
	}
	m := money.Micros(n.Int64)
	return &m
}
