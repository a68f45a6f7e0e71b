package meter

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

func insertCost(ctx context.Context, tx *db.Tx, r reading, hourly money.Micros) error {
	_, err := tx.Exec(ctx, `INSERT INTO meter_cost (subject, from_at, account_id, provider, gpu_type, hourly_cost) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (subject, from_at) DO NOTHING`, r.subject, db.Micros(r.startedAt), r.account, r.labels.Provider, r.labels.GPUType, hourly)
	if err != nil {
		return fmt.Errorf("write the cost of %s: %w", r.subject, err)
	}
	return nil
}

func changeCost(ctx context.Context, tx *db.Tx, subject id.ID, hourly money.Micros, at time.Time) error {
	n, err := tx.Exec(ctx, `INSERT INTO meter_cost (subject, from_at, account_id, provider, gpu_type, hourly_cost)
		SELECT subject, CAST($2 AS BIGINT), account_id, provider, gpu_type, CAST($3 AS BIGINT) FROM meter_cost
		WHERE subject = $1 AND to_at IS NULL AND from_at < $2 AND hourly_cost <> $3`, subject, db.Micros(at), hourly)
	if err == nil && n > 0 {
		_, err = tx.Exec(ctx, `UPDATE meter_cost SET to_at = $2 WHERE subject = $1 AND to_at IS NULL AND from_at < $2`, subject, db.Micros(at))
	} else if err == nil { // it changes twice in one second: the last counts
		_, err = tx.Exec(ctx, `UPDATE meter_cost SET hourly_cost = $2 WHERE subject = $1 AND to_at IS NULL`, subject, hourly)
	}
	if err != nil {
		return fmt.Errorf("change the cost of %s: %w", subject, err)
	}
	return nil
}

func endCost(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE meter_cost SET to_at = CASE WHEN from_at > $2 THEN from_at ELSE $2 END WHERE subject = $1 AND to_at IS NULL`, subject, db.Micros(at))
	if err != nil {
		return fmt.Errorf("end the cost of %s: %w", subject, err)
	}
	return nil
}

func resumeCost(ctx context.Context, tx *db.Tx, subjects []id.ID) error {
	args := make([]any, len(subjects))
	for i, s := range subjects {
		args[i] = s
	}
	_, err := tx.Exec(ctx, `UPDATE meter_cost SET to_at = NULL WHERE subject IN `+db.In(1, len(args))+`
		AND from_at = (SELECT MAX(last.from_at) FROM meter_cost last WHERE last.subject = meter_cost.subject)`, args...)
	return err
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// costKeys are what costs are grouped by; part.a is the beginning of the day.
var costKeys = map[wallet.GroupBy]string{
	wallet.ByAccount: "c.account_id", wallet.ByProvider: "c.provider", wallet.ByGPUType: "c.gpu_type", wallet.ByDay: "CAST(part.a / 86400000000 AS TEXT)",
}

// selectCost cuts each cost at the ends of the interval, and of its days where they are asked for. The cost up to a second, counted from
// the beginning, is rate × seconds / 3600, rounded half-up; a part costs the difference of two such. So parts always add up to the whole.
func selectCost(ctx context.Context, r db.Reader, from, to, now time.Time, by wallet.GroupBy) ([]Margin, error) {
	key, known := costKeys[by]
	if !known {
		return nil, fmt.Errorf("meter: costs cannot be grouped by %q", by)
	}
	a, b := db.Micros(from), db.Micros(to)
	first := b
	if by == wallet.ByDay {
		first = min(b, a-a%dayMicros+dayMicros)
	}
	upTo := func(seconds string) string {
		return `(rate * (` + seconds + ` / 3600) + (rate * (` + seconds + ` % 3600) + 1800) / 3600)`
	}
	rows, err := r.Query(ctx, `
		WITH RECURSIVE part (a, b) AS (
			SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT)
			UNION ALL
			SELECT b, CASE WHEN b + 86400000000 < CAST($3 AS BIGINT) THEN b + 86400000000 ELSE CAST($3 AS BIGINT) END FROM part WHERE b < CAST($3 AS BIGINT)
		), piece AS (
			SELECT `+key+` AS k, c.hourly_cost AS rate, c.from_at AS origin,
				CASE WHEN part.a > c.from_at THEN part.a ELSE c.from_at END AS lo,
				CASE WHEN COALESCE(c.to_at, CAST($4 AS BIGINT)) < part.b THEN COALESCE(c.to_at, CAST($4 AS BIGINT)) ELSE part.b END AS hi
			FROM part JOIN meter_cost c ON c.from_at < part.b AND (c.to_at IS NULL OR c.to_at > part.a)
		), counted AS (
			SELECT k, rate, (lo - origin + 999999) / 1000000 AS s, (hi - origin + 999999) / 1000000 AS e FROM piece WHERE hi > lo
		)
		SELECT k, CAST(SUM(`+upTo("e")+` - `+upTo("s")+`) AS BIGINT), CAST(SUM(e - s) AS BIGINT) FROM counted GROUP BY k`,
		a, first, b, db.Micros(now))
	if err != nil {
		return nil, fmt.Errorf("sum costs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []Margin{}
	for rows.Next() {
		var m Margin
		if err := rows.Scan(&m.Key, &m.Cost, &m.Seconds); err != nil {
			return nil, err
		}
		if by == wallet.ByDay {
			m.Key = wallet.Day(m.Key)
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

func selectLoads(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Load, error) {
	args := make([]any, len(accounts))
	for i, a := range accounts {
		args[i] = a
	}
	rows, err := r.Query(ctx, `SELECT account_id, CAST(SUM(CASE WHEN substr(subject, 1, 4) = 'dep_' THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(hourly_price) AS BIGINT)
		FROM meter WHERE next_at IS NOT NULL AND account_id IN `+db.In(1, len(args))+` GROUP BY account_id`, args...)
	if err != nil {
		return nil, fmt.Errorf("sum what runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[id.ID]Load{}
	for rows.Next() {
		var a id.ID
		var l Load
		if err := rows.Scan(&a, &l.Deployments, &l.HourlyCost); err != nil {
			return nil, err
		}
		out[a] = l
	}
	return out, rows.Err()
}
