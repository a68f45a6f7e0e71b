package deployment

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
)

// begin asks whether the key may spend what the dearest plan costs. A dry run asks too, and leaves nothing behind.
func (s *Service) begin(ctx context.Context, tx *db.Tx, r *row, req CreateRequest, price money.Micros, plans []plan) error {
	if req.Key == "" {
		return nil
	}
	types := make([]string, len(plans))
	for i, p := range plans {
		types[i] = p.GPUType
	}
	kept, err := spendlimit.Begin(ctx, tx, req.Key, spendlimit.Use{Subject: r.ID, HourlyPrice: price, From: r.CreatedAt, Until: r.AutoTerminateAt}, types...)
	if kept {
		r.limitedKey = req.Key
	}
	if err != nil || !kept || !req.DryRun {
		return err
	}
	return spendlimit.End(ctx, tx, r.ID, nil)
}

// spends tells the allowance of the deployment's key, where that has one, what it spends from now on. key is whoever changes it; only the limited key itself is refused.
func (r *row) spends(ctx context.Context, tx *db.Tx, key id.ID) error {
	if r.limitedKey == "" {
		return nil
	}
	if key != r.limitedKey {
		key = ""
	}
	u := spendlimit.Use{Subject: r.ID, HourlyPrice: r.HourlyPrice, From: r.CreatedAt}
	for _, p := range r.plans {
		u.HourlyPrice = max(u.HourlyPrice, p.HourlyPrice)
	}
	if r.StartedAt != nil {
		u.HourlyPrice, u.From, u.Started = r.HourlyPrice, *r.StartedAt, true
	}
	r.finish()
	if due, planned := r.terminateDue(); planned {
		u.Until = &due
	}
	return spendlimit.Change(ctx, tx, key, u)
}

// mayLengthen refuses a limited key the end of what another has begun.
func (s *Service) mayLengthen(ctx context.Context, tx *db.Tx, x row, u UpdateRequest) error {
	if u.Key == "" || u.Key == x.limitedKey || (u.AutoTerminateAt == nil && !u.ClearAutoTerminateAt) {
		return nil
	}
	return spendlimit.Foreign(ctx, tx, u.Key)
}

// spent tells the allowance that nothing is spent any more after that instant.
func (r *row) spent(ctx context.Context, tx *db.Tx, at time.Time) error {
	if r.limitedKey == "" {
		return nil
	}
	if r.StartedAt == nil {
		return spendlimit.End(ctx, tx, r.ID, nil)
	}
	return spendlimit.End(ctx, tx, r.ID, &at)
}
