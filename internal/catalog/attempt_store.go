package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var attempts = db.NewTable("catalog_attempt", (*attemptRow).columns)

type attemptRow struct {
	Attempt
	at time.Time
}

func (a *attemptRow) columns() []db.Column {
	return []db.Column{
		db.Col("deployment_id", &a.Deployment),
		db.Col("offer_id", &a.Offer),
		db.Col("provider", &a.Provider),
		db.Col("instance_type", &a.InstanceType),
		db.Col("at", &a.at),
		db.Col("outcome", &a.Outcome),
		db.Col("seconds", db.Seconds(&a.Took)),
	}
}

func insertAttempt(ctx context.Context, tx *db.Tx, a Attempt) error {
	a.Took = max(0, a.Took)
	_, err := attempts.InsertNew(ctx, tx, "deployment_id, offer_id", attemptRow{a, tx.Now})
	return err
}

func readAttempts(ctx context.Context, r db.Reader, after time.Time) ([]attemptRow, error) {
	all, err := attempts.Select(ctx, r, `WHERE at > $1`, after)
	if err != nil {
		return nil, fmt.Errorf("read launch attempts: %w", err)
	}
	return all, nil
}

// readAttemptRegions returns the regions of the offers that were tried after the instant, also of
// withdrawn ones.
func readAttemptRegions(ctx context.Context, r db.Reader, after time.Time) (map[id.ID]string, error) {
	return db.CollectMap(ctx, r, db.Pair[id.ID, string], `SELECT id, region FROM catalog_offer
		WHERE id IN (SELECT offer_id FROM catalog_attempt WHERE at > $1)`, after)
}

func pruneAttempts(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := attempts.Delete(ctx, tx, db.Cond{Text: `at <= ?`, Args: []any{before}})
	return err
}
