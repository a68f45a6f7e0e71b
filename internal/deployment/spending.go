package deployment

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
)

// beginSpending checks that the API key may spend what the most expensive plan costs, and counts it
// toward the key's limits. A dry run checks too, and leaves nothing behind.
func (r *row) beginSpending(
	ctx context.Context, tx *db.Tx, req CreateRequest, price money.Micros, plans []plan,
) error {
	if req.Key == "" {
		return nil
	}
	types := make([]string, len(plans))
	for i, p := range plans {
		types[i] = p.GPUType
	}
	use := spendlimit.Use{Subject: r.id, HourlyPrice: price, From: r.createdAt, Until: r.autoTerminateAt,
		MostHours: r.mostHours(price)}
	limited, err := spendlimit.Begin(ctx, tx, req.Key, use, types...)
	if limited {
		r.spendingKeyID = req.Key
	}
	if err != nil || !limited || !req.DryRun {
		return err
	}
	return spendlimit.End(ctx, tx, r.id, nil)
}

// updateSpending counts a change of status toward the limits of the deployment's key.
func (r *row) updateSpending(ctx context.Context, tx *db.Tx) error {
	switch {
	case r.cause == CauseReady:
		return r.changeSpending(ctx, tx, "")
	case r.spendingKeyID == "" || r.billedUntil == nil:
		return nil
	case r.startedAt == nil:
		return spendlimit.End(ctx, tx, r.id, nil)
	default:
		return spendlimit.End(ctx, tx, r.id, r.billedUntil)
	}
}

// changeSpending counts what the deployment spends from now on toward the limits of its key. key is
// the API key that changes it: only the deployment's own key is refused.
func (r *row) changeSpending(ctx context.Context, tx *db.Tx, key id.ID) error {
	if r.spendingKeyID == "" {
		return nil
	}
	if key != r.spendingKeyID {
		key = ""
	}
	use := spendlimit.Use{Subject: r.id, HourlyPrice: r.hourlyPrice, From: r.createdAt}
	if r.startedAt != nil {
		use.From, use.Started = *r.startedAt, true
	} else {
		for _, p := range r.plans {
			use.HourlyPrice = max(use.HourlyPrice, p.HourlyPrice)
		}
	}
	use.Until, use.MostHours = r.endsAt(), r.mostHours(use.HourlyPrice)
	return spendlimit.Change(ctx, tx, key, use)
}

// checkForeignKey refuses a limited API key that would change the end of another key's deployment.
func (r *row) checkForeignKey(ctx context.Context, tx *db.Tx, u UpdateRequest) error {
	if u.Key == "" || u.Key == r.spendingKeyID || !u.movesEnd() {
		return nil
	}
	return spendlimit.Foreign(ctx, tx, u.Key)
}
