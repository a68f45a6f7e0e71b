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

var costs = db.NewTable("meter_cost", (*cost).columns)

// cost is a provider's price of a subject from one instant to another.
type cost struct {
	subject, account  id.ID
	from              time.Time
	provider, gpuType string
	hourly            money.Micros
}

func (c *cost) columns() []db.Column {
	return []db.Column{
		db.Col("subject", &c.subject),
		db.Col("from_at", &c.from),
		db.Col("account_id", &c.account),
		db.Col("provider", &c.provider),
		db.Col("gpu_type", &c.gpuType),
		db.Col("hourly_cost", &c.hourly),
	}
}

func insertCost(ctx context.Context, tx *db.Tx, r reading, hourly money.Micros) error {
	_, err := costs.InsertNew(ctx, tx, "subject, from_at",
		cost{r.subject, r.account, r.startedAt, r.labels.Provider, r.labels.GPUType, hourly})
	return err
}

func changeCost(ctx context.Context, tx *db.Tx, subject id.ID, hourly money.Micros, at time.Time) error {
	n, err := tx.Exec(ctx, `INSERT INTO meter_cost (subject, from_at, account_id, provider, gpu_type, hourly_cost)
		SELECT subject, CAST($2 AS BIGINT), account_id, provider, gpu_type, CAST($3 AS BIGINT) FROM meter_cost
		WHERE subject = $1 AND to_at IS NULL AND from_at < $2 AND hourly_cost <> $3`, subject, at, hourly)
	if err == nil && n > 0 {
		_, err = tx.Exec(ctx, `UPDATE meter_cost SET to_at = $2 WHERE subject = $1 AND to_at IS NULL AND from_at < $2`,
			subject, at)
	} else if err == nil { // a second change within one second: the last counts
		_, err = tx.Exec(ctx, `UPDATE meter_cost SET hourly_cost = $2 WHERE subject = $1 AND to_at IS NULL`, subject,
			hourly)
	}
	if err != nil {
		return fmt.Errorf("change the cost of %s: %w", subject, err)
	}
	return nil
}

func endCost(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE meter_cost SET to_at = CASE WHEN from_at > $2 THEN from_at ELSE $2 END
		WHERE subject = $1 AND to_at IS NULL`, subject, at)
	if err != nil {
		return fmt.Errorf("end the cost of %s: %w", subject, err)
	}
	return nil
}

func resumeCost(ctx context.Context, tx *db.Tx, subjects []id.ID) error {
	_, err := tx.Exec(ctx, `UPDATE meter_cost SET to_at = NULL WHERE subject IN `+db.In(1, len(subjects))+`
		AND from_at = (SELECT MAX(last.from_at) FROM meter_cost last WHERE last.subject = meter_cost.subject)`,
		db.Args(subjects)...)
	return err
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// costKeys are the columns that costs are grouped by. Days are divided afterwards.
var costKeys = map[wallet.GroupBy]string{
	wallet.ByAccount: "account_id", wallet.ByProvider: "provider", wallet.ByGPUType: "gpu_type", wallet.ByDay: "''",
}

// upTo returns the cost from the beginning up to that second: rate × seconds / 3600, rounded
// half-up. A part costs the difference of two such costs, so parts always add up to the whole.
func upTo(rate money.Micros, second int64) money.Micros {
	return rate*money.Micros(second/3600) + (rate*money.Micros(second%3600)+1800)/3600
}

// selectCost divides each cost at the ends of the interval, and at the ends of its days if they are
// the key. It reads each row that overlaps the interval once: those that end in it or later, by an
// index of ends, and those that have not ended.
func selectCost(ctx context.Context, r db.Reader, from, to, now time.Time, by wallet.GroupBy) ([]Margin, error) {
	key, known := costKeys[by]
	if !known {
		return nil, fmt.Errorf("meter: costs cannot be grouped by %q", by)
	}
	type part struct {
		key         string
		rate        money.Micros
		origin, end int64
	}
	a, b := from.UnixMicro(), to.UnixMicro()
	// The + keeps SQLite, which may not know how many rows there are, from the index of beginnings.
	parts, err := db.Collect(ctx, r, func(row db.Row) (p part, err error) {
		err = row.Scan(&p.key, &p.rate, &p.origin, &p.end)
		return p, err
	}, `
		SELECT `+key+`, hourly_cost, from_at, to_at FROM meter_cost WHERE to_at > $1 AND +from_at < $2
		UNION ALL SELECT `+key+`, hourly_cost, from_at, CAST($3 AS BIGINT) FROM meter_cost WHERE to_at IS NULL
			AND from_at < $2`,
		a, b, now)
	if err != nil {
		return nil, fmt.Errorf("sum costs: %w", err)
	}
	found, days := map[string]*Margin{}, map[int64]*Margin{}
	add := func(m *Margin, p part, lo, hi int64) {
		s, e := (lo-p.origin+999999)/1000000, (hi-p.origin+999999)/1000000
		m.Cost, m.Seconds = m.Cost+upTo(p.rate, e)-upTo(p.rate, s), m.Seconds+e-s
	}
	for _, p := range parts {
		lo, hi := max(a, p.origin), min(b, p.end)
		if by != wallet.ByDay {
			if hi > lo {
				if found[p.key] == nil {
					found[p.key] = &Margin{Key: p.key}
				}
				add(found[p.key], p, lo, hi)
			}
			continue
		}
		for ; lo < hi; lo = (lo/dayMicros + 1) * dayMicros {
			day := lo / dayMicros
			if days[day] == nil {
				days[day] = &Margin{Key: wallet.Day(strconv.FormatInt(day, 10))}
			}
			add(days[day], p, lo, min(hi, (day+1)*dayMicros))
		}
	}
	out := []Margin{}
	for _, m := range found {
		out = append(out, *m)
	}
	for _, m := range days {
		out = append(out, *m)
	}
	return out, nil
}

func selectLoads(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Load, error) {
	loads, err := db.CollectMap(ctx, r, func(row db.Row) (a id.ID, l Load, err error) {
		err = row.Scan(&a, &l.Deployments, &l.HourlyCost)
		return a, l, err
	}, `SELECT account_id, CAST(SUM(CASE WHEN substr(subject, 1, 4) = 'dep_' THEN 1 ELSE 0 END) AS BIGINT),
			CAST(SUM(hourly_price) AS BIGINT)
		FROM meter WHERE next_at IS NOT NULL AND account_id IN `+db.In(1, len(accounts))+` GROUP BY account_id`,
		db.Args(accounts)...)
	if err != nil {
		return nil, fmt.Errorf("sum what runs: %w", err)
	}
	return loads, nil
}
