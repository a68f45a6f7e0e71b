package pricerule

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var rules = db.NewTable("price_rule", func(r *Rule) []db.Column {
	return []db.Column{
		db.Col("id", &r.ID), db.Col("position", &r.Position), db.Col("provider", &r.Provider),
		db.Col("gpu_type", &r.GPUType), db.Col("region", &r.Region), db.Col("account_id", &r.Account),
		db.Col("percent", &r.Percent), db.Col("fixed_per_gpu", &r.FixedPerGPU),
		db.Col("floor_per_gpu", &r.FloorPerGPU), db.Col("round_up_to", &r.RoundUpTo), db.Col("hidden", &r.Hidden),
		db.Col("created_at", &r.CreatedAt), db.Col("changed_at", &r.ChangedAt),
	}
})

// selectAll returns all rules in their order.
func selectAll(ctx context.Context, r db.Reader) (Set, error) {
	return rules.Select(ctx, r, `ORDER BY position, id`)
}

func find(ctx context.Context, r db.Reader, rule id.ID) (Rule, bool, error) {
	return rules.Find(ctx, r, `WHERE id = $1`, rule)
}

func insert(ctx context.Context, tx *db.Tx, r Rule) error { return rules.Insert(ctx, tx, r) }

func update(ctx context.Context, tx *db.Tx, r Rule) error {
	_, err := rules.Update(ctx, tx, &r, []string{
		"position", "provider", "gpu_type", "region", "account_id", "percent", "fixed_per_gpu", "floor_per_gpu",
		"round_up_to", "hidden", "changed_at",
	}, db.Is("id", r.ID))
	return err
}

func remove(ctx context.Context, tx *db.Tx, rule id.ID) error {
	_, err := rules.Delete(ctx, tx, db.Is("id", rule))
	return err
}

// shift moves the rules from one position to another, both included, by one.
func shift(ctx context.Context, tx *db.Tx, from, to, by int64) error {
	_, err := tx.Exec(ctx, `UPDATE price_rule SET position = position + $1 WHERE position BETWEEN $2 AND $3`, by, from,
		to)
	if err != nil {
		return fmt.Errorf("move price rules: %w", err)
	}
	return nil
}

// raiseVersion also locks the rules until the transaction ends.
func raiseVersion(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE price_rule_version SET version = version + 1 WHERE id = 1`)
	return err
}

// lock keeps the rules as they are until the transaction ends, as raiseVersion does. It does
// nothing outside a writing transaction.
func lock(ctx context.Context, r db.Reader) error {
	end := db.ForUpdate(r)
	if end == "" {
		return nil
	}
	var version int64
	err := r.QueryRow(ctx, `SELECT version FROM price_rule_version WHERE id = 1`+end).Scan(&version)
	if err != nil {
		return fmt.Errorf("lock price rules: %w", err)
	}
	return nil
}

func readVersion(ctx context.Context, r db.Reader) (version int64, err error) {
	err = r.QueryRow(ctx, `SELECT version FROM price_rule_version WHERE id = 1`).Scan(&version)
	return version, err
}
