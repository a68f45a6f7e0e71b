package wallet

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Spent is what was charged or is committed for things that are described alike.
type Spent struct {
	// Of has the account, project, tags and creator.
	Of Subject
	// Committed is true for what things that have not ended will be charged at least, and have not
	// been. For charges, Ever is true for the sum of all; the others are of hours that began on the
	// day, OnDay, or in its month, InMonth.
	Committed, Ever, OnDay, InMonth bool
	Amount                          money.Micros
}

// Ever says of which accounts Spending returns the sum of all hours, and divided by what. There is
// a sum for each description that subjects ever had, so what is not needed is left out.
type Ever struct {
	Accounts               []id.ID
	Project, Tags, Creator bool
}

// What the rows of the query below are about.
const (
	spentBefore = iota
	spentInMonth
	spentOnDay
	spentEver
	spentCommitted
)

// Spending returns what was charged to the accounts, less refunds, and what is committed: by what
// it is for, of hours that began on the day of from or later by the day of at, its month, and the
// time before, and of all hours of the accounts that ever names. Those are sums that are kept for
// each description. All of it is read in one statement. Days and months are those of UTC.
func Spending(
	ctx context.Context, r db.Reader, accounts []id.ID, from, at time.Time, ever Ever,
) ([]Spent, error) {
	y, m, d := at.UTC().Date()
	month := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	days := func(t time.Time) int64 { return max(t.UnixMicro(), 0) / dayMicros }
	args := []any{
		days(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)), days(month), days(month.AddDate(0, 1, 0)), days(from),
	}
	of := db.In(len(args)+1, len(accounts))
	args = append(args, db.Args(accounts)...)
	scan := func(row db.Row) (s Spent, err error) {
		var when int64
		err = row.Scan(&s.Of.Account, &when, &s.Of.Project, db.JSON(&s.Of.Tags), &s.Of.CreatedBy.Type,
			&s.Of.CreatedBy.ID, &s.Amount)
		s.Committed, s.Ever, s.OnDay = when == spentCommitted, when == spentEver, when == spentOnDay
		s.InMonth = when == spentOnDay || when == spentInMonth
		return s, err
	}
	query := fmt.Sprintf(`SELECT x.account_id, x.kind, COALESCE(s.project, ''),
			COALESCE(s.tags, '[]'), COALESCE(s.creator_type, ''), COALESCE(s.creator_id, ''),
			CAST(SUM(x.cost) AS BIGINT)
		FROM (
			SELECT account_id, subject, CASE WHEN day = $1 THEN %d WHEN day >= $2 AND day < $3 THEN %d ELSE %d END
				AS kind, cost
			FROM wallet_day_subject WHERE day >= $4 AND account_id IN %s
		) AS x LEFT JOIN wallet_subject AS s ON s.subject = x.subject
		GROUP BY x.account_id, x.kind, s.project, s.tags, s.creator_type, s.creator_id
		UNION ALL
		SELECT account_id, %d, project, tags, creator_type, creator_id, CAST(SUM(bound - spent) AS BIGINT)
		FROM wallet_subject WHERE bound > 0 AND bound > spent AND account_id IN %s
		GROUP BY account_id, project, tags, creator_type, creator_id`,
		spentOnDay, spentInMonth, spentBefore, of, spentCommitted, of)
	if len(ever.Accounts) > 0 {
		query += ever.sums(len(args) + 1)
		args = append(args, db.Args(ever.Accounts)...)
	}
	out, err := db.Collect(ctx, r, scan, query, args...)
	if err != nil {
		return nil, fmt.Errorf("add up spending: %w", err)
	}
	return out, nil
}

// sums is the part of Spending's query for all hours, whose arguments begin with that number.
func (e Ever) sums(first int) string {
	columns, group := "", "account_id"
	for _, c := range []struct {
		names, none string
		wanted      bool
	}{
		{`project`, `''`, e.Project}, {`tags`, `'[]'`, e.Tags}, {`creator_type, creator_id`, `'', ''`, e.Creator},
	} {
		if c.wanted {
			columns, group = columns+`, `+c.names, group+`, `+c.names
		} else {
			columns += `, ` + c.none
		}
	}
	return fmt.Sprintf(` UNION ALL SELECT account_id, %d%s, CAST(SUM(cost) AS BIGINT)
		FROM wallet_spent WHERE account_id IN %s GROUP BY %s`, spentEver, columns, db.In(first, len(e.Accounts)), group)
}

// Described returns what Describe wrote of those subjects.
func Described(ctx context.Context, r db.Reader, of []id.ID) (map[id.ID]Subject, error) {
	out := make(map[id.ID]Subject, len(of))
	if len(of) == 0 {
		return out, nil
	}
	rows, err := subjects.Select(ctx, r, `WHERE subject IN `+db.In(1, len(of)), db.Args(of)...)
	for _, s := range rows {
		out[s.ID] = s
	}
	return out, err
}
