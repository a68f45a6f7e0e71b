package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

func insertAttempt(ctx context.Context, tx *db.Tx, a Attempt) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO catalog_attempt (deployment_id, offer_id, provider, instance_type, at, outcome, seconds) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (deployment_id, offer_id) DO NOTHING`,
		a.Deployment, a.Offer, a.Provider, a.InstanceType, db.Micros(tx.Now), a.Outcome, max(0, int64(a.Took/time.Second)))
	if err != nil {
		return fmt.Errorf("write what became of a launch: %w", err)
	}
	return nil
}

// eachAttempt calls f for every attempt after the instant.
func eachAttempt(ctx context.Context, r db.Reader, after time.Time, f func(a Attempt, at time.Time)) error {
	rows, err := r.Query(ctx, `SELECT deployment_id, offer_id, provider, instance_type, at, outcome, seconds FROM catalog_attempt WHERE at > $1`, db.Micros(after))
	if err != nil {
		return fmt.Errorf("read what became of launches: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var a Attempt
		var at, seconds int64
		if err := rows.Scan(&a.Deployment, &a.Offer, &a.Provider, &a.InstanceType, &at, &a.Outcome, &seconds); err != nil {
			return err
		}
		a.Took = time.Duration(seconds) * time.Second
		f(a, db.At(at))
	}
	return rows.Err()
}

func pruneAttempts(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM catalog_attempt WHERE at <= $1`, db.Micros(before))
	return err
}
