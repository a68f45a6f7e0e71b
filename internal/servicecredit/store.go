package servicecredit

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

var credits = db.NewTable("service_credit", func(c *OperatorServiceCredit) []db.Column {
	return []db.Column{
		db.Col("id", &c.ID), db.Col("account_id", &c.AccountID), db.Col("deployment_id", &c.DeploymentID),
		db.Col("name", &c.DeploymentName), db.Col("state", &c.State), db.Col("cause", &c.Cause),
		db.Col("from_at", &c.From), db.Col("to_at", &c.To), db.Col("seen_at", &c.SeenAt),
		db.Col("failed", &c.FailedGPUs), db.Col("gpus", &c.GPUs), db.Col("hourly_price", &c.HourlyPrice),
		db.Col("factor", &c.FactorPercent), db.Col("amount", &c.Amount), db.Col("note", &c.Note),
		db.Col("automatic", &c.Automatic), db.Col("reason", &c.Reason), db.Col("created_at", &c.CreatedAt),
		db.Col("decided_at", &c.DecidedAt), db.Col("decided_by", &c.decider), db.Col("entered_by", &c.enterer),
		db.Col("decider_name", &c.DecidedBy), db.Col("enterer_name", &c.EnteredBy),
	}
})

// shown sets what follows from the columns.
func (c OperatorServiceCredit) shown() OperatorServiceCredit {
	c.Formula, c.CreditedAt = c.formula(), nil
	if c.State == Approved {
		c.CreditedAt = c.DecidedAt
	}
	return c
}

// hourRow is an hour of a service credit.
type hourRow struct {
	credit id.ID
	CreditedHour
}

var hourRows = db.NewTable("service_credit_hour", func(h *hourRow) []db.Column {
	return []db.Column{
		db.Col("service_credit_id", &h.credit), db.Col("hour", &h.CreditedHour.Hour), db.Col("from_at", &h.From),
		db.Col("charged", &h.Charged), db.Col("refunded", &h.Refunded), db.Col("hourly_price", &h.HourlyPrice),
		db.Col("seconds", &h.Seconds), db.Col("credited_before", &h.CreditedBefore), db.Col("amount", &h.Amount),
	}
})

// insert writes a proposal, and reports whether the same downtime had none.
func insert(ctx context.Context, tx *db.Tx, c OperatorServiceCredit) (bool, error) {
	n, err := credits.InsertNew(ctx, tx, "", c)
	return n == 1, err
}

// decided writes a decision about a proposal, and reports whether it was one.
func decided(ctx context.Context, tx *db.Tx, c OperatorServiceCredit) (bool, error) {
	columns := []string{"state", "amount", "reason", "decided_at", "decided_by", "decider_name"}
	n, err := credits.Update(ctx, tx, &c, columns,
		db.Is("id", c.ID), db.Is("state", Proposed))
	return n == 1, err
}

// needsReview records that a proposal was not booked without a review.
func needsReview(ctx context.Context, tx *db.Tx, credit id.ID) error {
	_, err := credits.Update(ctx, tx, &OperatorServiceCredit{}, []string{"automatic"}, db.Is("id", credit))
	return err
}

// putHours replaces the hours of a service credit.
func putHours(ctx context.Context, tx *db.Tx, credit id.ID, hours []CreditedHour) error {
	if _, err := hourRows.Delete(ctx, tx, db.Is("service_credit_id", credit)); err != nil {
		return err
	}
	rows := make([]hourRow, len(hours))
	for i, h := range hours {
		rows[i] = hourRow{credit, h}
	}
	return hourRows.Insert(ctx, tx, rows...)
}

func hoursOf(ctx context.Context, r db.Reader, credit id.ID) ([]CreditedHour, error) {
	rows, err := hourRows.Select(ctx, r, `WHERE service_credit_id = $1 ORDER BY hour`, credit)
	out := make([]CreditedHour, len(rows))
	for i, h := range rows {
		out[i] = h.CreditedHour
	}
	return out, err
}

// find returns a service credit. Its wallet's lock orders what changes it.
func find(ctx context.Context, r db.Reader, credit id.ID) (OperatorServiceCredit, bool, error) {
	c, found, err := credits.Find(ctx, r, `WHERE id = $1`, credit)
	return c.shown(), found, err
}

func countOf(ctx context.Context, r db.Reader, of id.ID) (n int, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM service_credit WHERE deployment_id = $1`, of).Scan(&n)
	return n, err
}

// bookedAlone returns the sum of what operators entered for the account, and approved without
// another one, at or after an instant.
func bookedAlone(ctx context.Context, r db.Reader, account id.ID, since time.Time) (sum money.Micros, err error) {
	err = r.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM service_credit
		WHERE account_id = $1 AND state = $2 AND seen_at IS NULL AND decided_at > $3
		AND (decided_by = '' OR decided_by = entered_by)`, account, Approved, since).Scan(&sum)
	return sum, err
}

// bookedClaims returns what the deployment has been credited for.
func bookedClaims(ctx context.Context, r db.Reader, of id.ID) ([]Claim, error) {
	return db.Collect(ctx, r, func(row db.Row) (c Claim, err error) {
		err = row.Scan(&c.From, &c.To, &c.Failed, &c.GPUs)
		return c, err
	}, `SELECT from_at, to_at, failed, gpus FROM service_credit WHERE deployment_id = $1 AND state = $2`, of, Approved)
}

// creditedBefore returns what was booked for each of the deployment's hours from first to last,
// counted from 1.
func creditedBefore(
	ctx context.Context, r db.Reader, of id.ID, first, last int64,
) (map[int64]money.Micros, error) {
	return db.CollectMap(ctx, r, db.Pair[int64, money.Micros], `SELECT h.hour, CAST(SUM(h.amount) AS BIGINT)
		FROM service_credit c JOIN service_credit_hour h ON h.service_credit_id = c.id
		WHERE c.deployment_id = $1 AND c.state = $2 AND h.hour BETWEEN $3 AND $4 GROUP BY h.hour`,
		of, Approved, first, last)
}

func list(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]OperatorServiceCredit, db.Listed, error) {
	l := credits.List()
	l.Order, l.Down = db.NewestFirst.Sorting()
	add := func(column string, value any) { l.Where = append(l.Where, db.Is(column, value)) }
	if f.Deployment != "" {
		add("deployment_id", f.Deployment)
	}
	if f.Account != "" {
		add("account_id", f.Account)
	}
	if f.State != "" {
		add("state", f.State)
	}
	out, of, err := l.Page(ctx, r, p)
	for i := range out {
		out[i] = out[i].shown()
	}
	return out, of, err
}
