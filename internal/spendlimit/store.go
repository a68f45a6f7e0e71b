package spendlimit

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var (
	limits = db.NewTable("spending_limit", (*limitRow).columns)
	uses   = db.NewTable("spending_use", (*useRow).columns)
)

type limitRow struct {
	key id.ID
	SpendingLimits
}

func (l *limitRow) columns() []db.Column {
	return []db.Column{
		db.Col("key_id", &l.key),
		db.Col("max_hourly_price", &l.MaxHourlyPrice),
		db.Col("max_per_day", &l.MaxSpendPerDay),
		db.Col("max_per_month", &l.MaxSpendPerMonth),
		db.Col("max_deployments", &l.MaxDeployments),
		db.Col("gpu_types", db.JSON(&l.GPUTypes)),
	}
}

type useRow struct {
	key id.ID
	Use
}

func (u *useRow) columns() []db.Column {
	return []db.Column{
		db.Col("subject", &u.Subject),
		db.Col("key_id", &u.key),
		db.Col("hourly_price", &u.HourlyPrice),
		db.Col("from_at", &u.From),
		db.Col("until_at", &u.Until),
		db.Col("started", &u.Started),
		db.Col("over", &u.Over),
		db.Col("most_hours", &u.MostHours),
	}
}

func putLimits(ctx context.Context, tx *db.Tx, key id.ID, l SpendingLimits) error {
	return limits.Put(ctx, tx, []string{"key_id"}, limitRow{key, l})
}

func deleteLimits(ctx context.Context, tx *db.Tx, key id.ID) error {
	_, err := limits.Delete(ctx, tx, db.Is("key_id", key))
	return err
}

// lockLimits returns the key's limits, and makes other transactions that spend with the key wait
// until this one ends.
func lockLimits(ctx context.Context, tx *db.Tx, key id.ID) (SpendingLimits, bool, error) {
	l, found, err := db.Find(ctx, tx, limits.Scan,
		`UPDATE spending_limit SET turns = turns + 1 WHERE key_id = $1 RETURNING `+limits.Columns(), key)
	return l.SpendingLimits, found, err
}

// Any is the condition that the key has limits.
func Any(key id.ID) db.Cond {
	return db.Cond{Text: `EXISTS (SELECT 1 FROM spending_limit WHERE key_id = ?)`, Args: []any{key}}
}

func selectLimits(ctx context.Context, r db.Reader, keys []id.ID) (map[id.ID]SpendingLimits, error) {
	rows, err := limits.Select(ctx, r, `WHERE key_id IN `+db.In(1, len(keys)), db.Args(keys)...)
	if err != nil {
		return nil, fmt.Errorf("read spending limits: %w", err)
	}
	out := make(map[id.ID]SpendingLimits, len(rows))
	for _, l := range rows {
		out[l.key] = l.SpendingLimits
	}
	return out, nil
}

func insertUse(ctx context.Context, tx *db.Tx, key id.ID, u Use) error {
	return uses.Insert(ctx, tx, useRow{key, u})
}

func updateUse(ctx context.Context, tx *db.Tx, u Use) error {
	_, err := uses.Update(ctx, tx, &useRow{Use: u}, []string{"hourly_price", "from_at", "until_at", "started"},
		db.Is("subject", u.Subject), db.Is("over", false))
	return err
}

func endUse(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time) error {
	_, err := uses.Update(ctx, tx, &useRow{Use: Use{Until: &at, Over: true}}, []string{"until_at", "over"},
		db.Is("subject", subject), db.Is("over", false))
	return err
}

func deleteUse(ctx context.Context, tx *db.Tx, subject id.ID) error {
	_, err := uses.Delete(ctx, tx, db.Is("subject", subject))
	return err
}

// selectUses returns the key's uses that go on, or end after that instant.
func selectUses(ctx context.Context, r db.Reader, key id.ID, after time.Time) ([]Use, error) {
	rows, err := uses.Select(ctx, r, `WHERE key_id = $1 AND (until_at IS NULL OR until_at > $2 OR over = 0)`, key,
		after)
	if err != nil {
		return nil, fmt.Errorf("read the uses of a key: %w", err)
	}
	out := make([]Use, len(rows))
	for i, u := range rows {
		out[i] = u.Use
	}
	return out, nil
}

func findUse(ctx context.Context, r db.Reader, subject id.ID) (u Use, key id.ID, found bool, err error) {
	row, found, err := uses.Find(ctx, r, `WHERE subject = $1`, subject)
	return row.Use, row.key, found, err
}
