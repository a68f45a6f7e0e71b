package meter

import (
	"context"
	"fmt"
	"strconv"
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

// costKeys are what costs are grouped by; days are cut afterwards.
var costKeys = map[wallet.GroupBy]string{
	wallet.ByAccount: "account_id", wallet.ByProvider: "provider", wallet.ByGPUType: "gpu_type", wallet.ByDay: "''",
}

// upTo is the cost up to that second, counted from the beginning: rate × seconds / 3600, rounded half-up. A part costs the difference of two
// such, so parts always add up to the whole.
func upTo(rate money.Micros, second int64) money.Micros {
	return rate*money.Micros(second/3600) + (rate*money.Micros(second%3600)+1800)/3600
}

// selectCost cuts each cost at the ends of the interval, and of its days where they are asked for. Each row that the interval touches is read once:
// those that end in it or later, by an index of ends, and those that go on.
func selectCost(ctx context.Context, r db.Reader, from, to, now time.Time, by wallet.GroupBy) ([]Margin, error) {
	key, known := costKeys[by]
	if !known {
		return nil, fmt.Errorf("meter: costs cannot be grouped by %q", by)
	}
	a, b := db.Micros(from), db.Micros(to)
	// The + keeps SQLite, which may know nothing of how many there are, from the index of beginnings.
	rows, err := r.Query(ctx, `
		SELECT `+key+`, hourly_cost, from_at, to_at FROM meter_cost WHERE to_at > $1 AND +from_at < $2
		UNION ALL SELECT `+key+`, hourly_cost, from_at, CAST($3 AS BIGINT) FROM meter_cost WHERE to_at IS NULL AND from_at < $2`,
		a, b, db.Micros(now))
	if err != nil {
		return nil, fmt.Errorf("sum costs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	found, days := map[string]*Margin{}, map[int64]*Margin{}
	add := func(m *Margin, rate money.Micros, origin, lo, hi int64) {
		s, e := (lo-origin+999999)/1000000, (hi-origin+999999)/1000000
		m.Cost, m.Seconds = m.Cost+upTo(rate, e)-upTo(rate, s), m.Seconds+e-s
	}
	for rows.Next() {
		var k string
		var rate money.Micros
		var origin, end int64
		if err := rows.Scan(&k, &rate, &origin, &end); err != nil {
			return nil, err
		}
		lo, hi := max(a, origin), min(b, end)
		if by != wallet.ByDay {
			if hi > lo {
				if found[k] == nil {
					found[k] = &Margin{Key: k}
				}
				add(found[k], rate, origin, lo, hi)
			}
			continue
		}
		for ; lo < hi; lo = (lo/dayMicros + 1) * dayMicros {
			day := lo / dayMicros
			if days[day] == nil {
				days[day] = &Margin{Key: wallet.Day(strconv.FormatInt(day, 10))}
			}
			add(days[day], rate, origin, lo, min(hi, (day+1)*dayMicros))
		}
	}
	out := []Margin{}
	for _, m := range found {
		out = append(out, *m)
	}
	for _, m := range days {
		out = append(out, *m)
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
