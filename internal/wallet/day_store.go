package wallet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// booked is what a charge or refund changes of the totals of its day, which is that on which the hour began, in UTC.
type booked struct {
	account, subject        id.ID
	from                    int64
	provider, gpuType, name string
	cost                    money.Micros
}

// book adds up days. It is called with the wallets locked, so that nobody else has these rows.
func book(ctx context.Context, tx *db.Tx, all []booked) error {
	type accountDay struct {
		account           id.ID
		day               int64
		provider, gpuType string
	}
	type subjectDay struct {
		account id.ID
		day     int64
		subject id.ID
	}
	type named struct {
		name string
		cost money.Micros
	}
	byAccount, bySubject := map[accountDay]money.Micros{}, map[subjectDay]named{}
	for _, b := range all {
		day := b.from / dayMicros
		byAccount[accountDay{b.account, day, b.provider, b.gpuType}] += b.cost
		key := subjectDay{b.account, day, b.subject}
		s := bySubject[key]
		bySubject[key] = named{max(s.name, b.name), s.cost + b.cost}
	}
	var accounts, subjects [][]any
	for k, cost := range byAccount {
		accounts = append(accounts, []any{string(k.account), k.day, k.provider, k.gpuType, int64(cost)})
	}
	for k, s := range bySubject {
		subjects = append(subjects, []any{string(k.account), k.day, string(k.subject), s.name, int64(s.cost)})
	}
	if err := addDays(ctx, tx, `wallet_day (account_id, day, provider, gpu_type, cost)`,
		`(account_id, day, provider, gpu_type) DO UPDATE SET cost = wallet_day.cost + excluded.cost`, accounts); err != nil {
		return err
	}
	return addDays(ctx, tx, `wallet_day_subject (account_id, day, subject, name, cost)`,
		`(account_id, day, subject) DO UPDATE SET cost = wallet_day_subject.cost + excluded.cost,
			name = CASE WHEN excluded.name > wallet_day_subject.name THEN excluded.name ELSE wallet_day_subject.name END`, subjects)
}

func addDays(ctx context.Context, tx *db.Tx, into, conflict string, rows [][]any) error {
	slices.SortFunc(rows, func(a, b []any) int { // in the order of the key, which is kinder to an index
		return cmp.Or(strings.Compare(a[0].(string), b[0].(string)), cmp.Compare(a[1].(int64), b[1].(int64)), strings.Compare(a[2].(string), b[2].(string)))
	})
	for chunk := range slices.Chunk(rows, chunkRows) {
		args := make([]any, 0, len(chunk)*len(chunk[0]))
		for _, row := range chunk {
			args = append(args, row...)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO `+into+` VALUES `+db.Tuples(1, len(chunk), len(chunk[0]))+` ON CONFLICT `+conflict, args...); err != nil {
			return fmt.Errorf("add up days: %w", err)
		}
	}
	return nil
}

// span is a part of an interval that is counted in whole days, from first to before end, and what is left of it before and after.
type span struct {
	first, end int64 // days since 1970
	rest       [][2]int64
}

// wholeDays cuts an interval into whole days in UTC and the rest, which is shorter than two.
func wholeDays(from, to time.Time) span {
	a, b := max(db.Micros(from), 0), max(db.Micros(to), 0) // nothing was charged before 1970
	s := span{first: (a + dayMicros - 1) / dayMicros, end: b / dayMicros}
	if s.first >= s.end {
		return span{rest: [][2]int64{{a, b}}}
	}
	for _, rest := range [][2]int64{{a, s.first * dayMicros}, {s.end * dayMicros, b}} {
		if rest[0] < rest[1] {
			s.rest = append(s.rest, rest)
		}
	}
	return s
}

// hours is a query for what the interval's hours have cost, with its arguments: of the whole days their totals, of the rest its hours.
// totals are the columns of the table of totals, lines those of the charges that mean the same; where narrows both.
func (s span) hours(table, totals, lines, where string, args []any) (string, []any) {
	var parts []string
	add := func(text string, from, to int64) {
		args = append(args, from, to)
		parts = append(parts, fmt.Sprintf(text, len(args)-1, len(args)))
	}
	if s.first < s.end {
		add(`SELECT `+totals+`, cost FROM `+table+` WHERE `+where+` day >= $%d AND day < $%d`, s.first, s.end)
	}
	for _, rest := range s.rest {
		add(`SELECT `+lines+`, amount - refunded AS cost FROM wallet_charge WHERE `+where+` from_at >= $%d AND from_at < $%d`, rest[0], rest[1])
	}
	return strings.Join(parts, " UNION ALL "), args
}

const lineDay = `from_at / 86400000000 AS day`

// usageKeys are what usage is grouped by. Days are whole days since 1970 in UTC: both engines divide integers alike, and agree on no
// function of dates.
var usageKeys = map[GroupBy]string{ByDay: "day", ByDeployment: "subject", ByGPUType: "gpu_type", ByProvider: "provider"}

func selectUsage(ctx context.Context, r db.Reader, account id.ID, from, to time.Time, by GroupBy, key string) ([]UsageGroup, error) {
	order := "cost DESC, " + key
	if by == ByDay {
		order = key
	}
	table, totals, lines := `wallet_day`, `day, '' AS name, gpu_type, provider`, lineDay+`, '' AS name, gpu_type, provider`
	if by == ByDeployment {
		table, totals, lines = `wallet_day_subject`, `subject, name`, `subject, name`
	}
	hours, args := wholeDays(from, to).hours(table, totals, lines, `account_id = $1 AND`, []any{account})
	rows, err := r.Query(ctx, `SELECT `+key+`, MAX(name), CAST(SUM(cost) AS BIGINT) AS cost FROM (`+hours+`) AS hours GROUP BY `+key+` ORDER BY `+order, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	groups := []UsageGroup{}
	for rows.Next() {
		var g UsageGroup
		var day int64
		var name string
		keyTo := any(&g.Key)
		if by == ByDay {
			keyTo = &day
		}
		if err := rows.Scan(keyTo, &name, &g.Cost); err != nil {
			return nil, err
		}
		switch by {
		case ByDay:
			g.Key = time.Unix(day*86400, 0).UTC().Format(time.DateOnly)
		case ByDeployment:
			g.Name = &name
		}
		groups = append(groups, g)
	}
	return groups, rows.Err()
}

var revenueKeys = map[GroupBy]string{ByDay: "CAST(day AS TEXT)", ByGPUType: "gpu_type", ByProvider: "provider", ByAccount: "account_id"}

func selectRevenue(ctx context.Context, r db.Reader, from, to time.Time, by GroupBy, key string) (map[string]money.Micros, error) {
	const columns = `account_id, gpu_type, provider`
	hours, args := wholeDays(from, to).hours(`wallet_day`, `day, `+columns, lineDay+`, `+columns, ``, nil)
	rows, err := r.Query(ctx, `SELECT `+key+` AS k, CAST(SUM(cost) AS BIGINT) FROM (`+hours+`) AS hours GROUP BY `+key, args...)
	if err != nil {
		return nil, fmt.Errorf("sum revenue: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]money.Micros{}
	for rows.Next() {
		var k string
		var earned money.Micros
		if err := rows.Scan(&k, &earned); err != nil {
			return nil, err
		}
		if by == ByDay {
			k = Day(k)
		}
		out[k] = earned
	}
	return out, rows.Err()
}
