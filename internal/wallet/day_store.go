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

// dayChange is what a charge or refund changes of the totals of a day: the day in UTC on which the
// hour began.
type dayChange struct {
	account, subject        id.ID
	from                    time.Time
	provider, gpuType, name string
	cost                    money.Micros
}

// changeDays changes the totals of days. It is called with the wallets locked, so that no other
// transaction changes these rows.
func changeDays(ctx context.Context, tx *db.Tx, all []dayChange) error {
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
	type total struct {
		name string
		cost money.Micros
	}
	byAccount, bySubject := map[accountDay]money.Micros{}, map[subjectDay]total{}
	for _, c := range all {
		day := c.from.UnixMicro() / dayMicros
		byAccount[accountDay{c.account, day, c.provider, c.gpuType}] += c.cost
		key := subjectDay{c.account, day, c.subject}
		s := bySubject[key]
		bySubject[key] = total{max(s.name, c.name), s.cost + c.cost}
	}
	var accounts, subjects [][]any
	for k, cost := range byAccount {
		accounts = append(accounts, []any{string(k.account), k.day, k.provider, k.gpuType, cost})
	}
	for k, s := range bySubject {
		subjects = append(subjects, []any{string(k.account), k.day, string(k.subject), s.name, s.cost})
	}
	if err := addDays(ctx, tx, `wallet_day (account_id, day, provider, gpu_type, cost)`,
		`(account_id, day, provider, gpu_type) DO UPDATE SET cost = wallet_day.cost + excluded.cost`,
		accounts); err != nil {
		return err
	}
	err := addDays(ctx, tx, `wallet_day_subject (account_id, day, subject, name, cost)`,
		`(account_id, day, subject) DO UPDATE SET cost = wallet_day_subject.cost + excluded.cost,
			name = CASE WHEN excluded.name`+db.ByBytes(tx)+` > wallet_day_subject.name THEN excluded.name
				ELSE wallet_day_subject.name END`, subjects)
	if err != nil {
		return err
	}
	return addSpent(ctx, tx, all)
}

func addDays(ctx context.Context, tx *db.Tx, into, conflict string, rows [][]any) error {
	slices.SortFunc(rows, func(a, b []any) int { // in the order of the key, which an index writes faster
		return cmp.Or(strings.Compare(a[0].(string), b[0].(string)), cmp.Compare(a[1].(int64), b[1].(int64)),
			strings.Compare(a[2].(string), b[2].(string)))
	})
	for chunk := range slices.Chunk(rows, db.ChunkRows) {
		args := make([]any, 0, len(chunk)*len(chunk[0]))
		for _, row := range chunk {
			args = append(args, row...)
		}
		values := db.Tuples(1, len(chunk), len(chunk[0]))
		if _, err := tx.Exec(ctx, `INSERT INTO `+into+` VALUES `+values+` ON CONFLICT `+conflict, args...); err != nil {
			return fmt.Errorf("add up days: %w", err)
		}
	}
	return nil
}

// span is an interval as whole days, from first to before end, and the rest before and after them.
type span struct {
	first, end int64 // days since 1970
	rest       [][2]int64
}

// wholeDays divides an interval into whole days in UTC and the rest, which is shorter than two
// days.
func wholeDays(from, to time.Time) span {
	a, b := max(from.UnixMicro(), 0), max(to.UnixMicro(), 0) // nothing was charged before 1970
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

// hours returns a query for the cost of the interval's hours, with its arguments. It reads the
// totals of the whole days, and the hours of the rest. totals are columns of the table of totals,
// lines the same columns of the charges. where narrows both.
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
		add(`SELECT `+lines+`, amount - refunded AS cost FROM wallet_charge
			WHERE `+where+` from_at >= $%d AND from_at < $%d`, rest[0], rest[1])
	}
	return strings.Join(parts, " UNION ALL "), args
}

const lineDay = `from_at / 86400000000 AS day`

// usageKeys are the columns that usage is grouped by. Days are whole days since 1970 in UTC: both
// engines divide integers alike, but have no date function in common.
var usageKeys = map[GroupBy]string{
	ByDay: "day", ByDeployment: "subject", ByGPUType: "gpu_type", ByProvider: "provider",
	ByTag: "tags", ByProject: "project", ByMember: "creator_id", ByAPIKey: "creator_id",
}

// usageRow is what a group cost, on a day if the query is for days.
type usageRow struct {
	UsageGroup
	day int64
}

func selectUsage(ctx context.Context, r db.Reader, account id.ID, q UsageQuery) ([]usageRow, error) {
	key := usageKeys[q.By]
	table, totals, lines := `wallet_day`, `day, '' AS name, gpu_type, provider`,
		lineDay+`, '' AS name, gpu_type, provider`
	if q.By == ByDeployment {
		table, totals, lines = `wallet_day_subject`, `day, subject, name`, lineDay+`, subject, name`
	}
	described := q.By == ByTag || q.By == ByProject || creatorTypes[q.By] != ""
	if described {
		table, totals, lines = `wallet_day_subject`, `day, subject`, lineDay+`, subject`
	}
	hours, args := wholeDays(q.From, q.To).hours(table, totals, lines, `account_id = $1 AND`, []any{account})
	if described {
		args = append(args, creatorTypes[q.By])
		hours = withSubjects(hours, len(args))
	}
	day, group := `0`, key
	if q.Daily {
		day, group = `day`, key+`, day`
	}
	scan := func(row db.Row) (g usageRow, err error) {
		var name string
		err = row.Scan(&g.Key, &name, &g.Cost, &g.day)
		switch {
		case err != nil:
		case q.By == ByDay:
			g.Key = Day(g.Key)
		case q.By == ByDeployment || creatorTypes[q.By] != "" && g.Key != "":
			g.Name = &name
		}
		return g, err
	}
	return db.Collect(ctx, r, scan, `SELECT `+key+`, MAX(name`+db.ByBytes(r)+`), CAST(SUM(cost) AS BIGINT) AS cost, `+
		day+` FROM (`+hours+`) AS hours GROUP BY `+group+` ORDER BY `+group, args...)
}

var revenueKeys = map[GroupBy]string{ByDay: "CAST(day AS TEXT)", ByGPUType: "gpu_type", ByProvider: "provider",
	ByAccount: "account_id"}

// selectBegun sums the hours that begin in the interval.
func selectBegun(ctx context.Context, r db.Reader, from, to time.Time, by GroupBy,
	key string) (map[string]money.Micros, error) {
	const columns = `account_id, gpu_type, provider`
	hours, args := wholeDays(from, to).hours(`wallet_day`, `day, `+columns, lineDay+`, `+columns, ``, nil)
	scan := func(row db.Row) (string, money.Micros, error) {
		k, earned, err := db.Pair[string, money.Micros](row)
		if err == nil && by == ByDay {
			k = Day(k)
		}
		return k, earned, err
	}
	out, err := db.CollectMap(ctx, r, scan, `SELECT `+key+` AS k, CAST(SUM(cost) AS BIGINT)
		FROM (`+hours+`) AS hours GROUP BY `+key, args...)
	if err != nil {
		return nil, fmt.Errorf("sum revenue: %w", err)
	}
	return out, nil
}

// unearned is what hours that have begun before an instant earn after it.
type unearned struct {
	at     int64
	key    string
	amount money.Micros
}

// selectUnearned reads the hours that begin less than an hour before each of the instants: the
// others are over by then, or have not begun. The CROSS JOIN keeps SQLite from reading all hours
// first.
func selectUnearned(ctx context.Context, r db.Reader, at []int64, key string) ([]unearned, error) {
	key = strings.Replace(key, "day", "''", 1) // the instant says which day it is
	args, cuts := make([]any, len(at)), make([]string, len(at))
	for i := range at {
		args[i], cuts[i] = at[i], fmt.Sprintf("(CAST($%d AS BIGINT))", i+1)
	}
	all, err := db.Collect(ctx, r, func(row db.Row) (u unearned, err error) {
		err = row.Scan(&u.at, &u.key, &u.amount)
		return u, err
	}, `WITH cut (at) AS (VALUES `+strings.Join(cuts, ", ")+`),
		divided AS (
			SELECT at, `+key+` AS k, amount - refunded AS net,
				(amount * ((at - from_at + 999999) / 1000000) + 1800) / 3600 AS earned
			FROM cut CROSS JOIN wallet_charge
			WHERE from_at > at - CAST(3600000000 AS BIGINT) AND from_at < at AND (ended_at IS NULL OR ended_at > at))
		SELECT at, k, CAST(SUM(net - earned) AS BIGINT) FROM divided WHERE earned < net GROUP BY at, k`, args...)
	if err != nil {
		return nil, fmt.Errorf("sum what is not earned yet: %w", err)
	}
	return all, nil
}

// endHours marks the subject's hours from that one on as ended.
func endHours(ctx context.Context, tx *db.Tx, subject id.ID, hour int64, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE wallet_charge SET ended_at = $1
		WHERE subject = $2 AND hour >= $3 AND ended_at IS NULL`, at, subject, hour)
	if err != nil {
		return fmt.Errorf("end the hours of %s: %w", subject, err)
	}
	return nil
}
