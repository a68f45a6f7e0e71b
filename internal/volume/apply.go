package volume

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/meter"
)

// makeAvailable turns the hold into the first hour and starts the meter.
func (s *Service) makeAvailable(ctx context.Context, tx *db.Tx, r *record) error {
	now := tx.Now.Truncate(time.Second)
	r.availableAt = &now
	if err := s.setStatus(ctx, tx, r, StatusAvailable, ""); err != nil {
		return err
	}
	return s.cfg.Meter.Start(ctx, tx, meter.Start{
		Subject: r.id, Account: r.account, HourlyPrice: r.hourlyPrice(), HourlyCost: r.hourlyCost(), At: now,
		Description: describe(r.sizeGB), Labels: r.labels(),
	})
}

// failCreate ends a creation. Nothing was paid. What exists upstream, or lands late, is cleaned up.
func (s *Service) failCreate(
	ctx context.Context, tx *db.Tx, r *record, reason string, settleTime time.Duration,
) error {
	until := tx.Now.Add(max(cleanFor, settleTime))
	r.cleanUntil = &until
	if _, err := s.cfg.Wallet.Release(ctx, tx, r.id); err != nil {
		return err
	}
	return s.setStatus(ctx, tx, r, StatusFailed, reason)
}

// lose records that the provider no longer has the volume. The rest of the hour is refunded.
func (s *Service) lose(ctx context.Context, tx *db.Tx, r *record, reason string) error {
	if _, err := s.cfg.Meter.Stop(ctx, tx, r.id, tx.Now, meter.CurrentHour); err != nil {
		return err
	}
	if err := s.cfg.Meter.CostEnds(ctx, tx, r.id, tx.Now); err != nil {
		return err
	}
	r.deployment, r.mountPath, r.wantedSizeGB = "", "", r.sizeGB
	return s.setStatus(ctx, tx, r, StatusFailed, reason)
}

// confirmDelete records that the volume is gone upstream.
func (s *Service) confirmDelete(ctx context.Context, tx *db.Tx, r *record) error {
	now := tx.Now.Truncate(time.Second)
	r.deletedAt, r.deployment, r.mountPath = &now, "", ""
	// A create may still be under way, for example of a worker that lost the job long ago.
	if now.Sub(r.createdAt) < createLimit+cleanFor {
		until := tx.Now.Add(cleanFor)
		r.cleanUntil = &until
	}
	if err := s.cfg.Meter.CostEnds(ctx, tx, r.id, tx.Now); err != nil {
		return err
	}
	return s.setStatus(ctx, tx, r, StatusDeleted, r.reason)
}

// confirmGrowth records the volume's new size, and has the next hours charged by it.
func (s *Service) confirmGrowth(ctx context.Context, tx *db.Tx, r *record, sizeGB int64) error {
	r.sizeGB, r.reason = sizeGB, ""
	if err := s.reprice(ctx, tx, r); err != nil {
		return err
	}
	if err := s.cfg.Meter.CostChanges(ctx, tx, r.id, r.hourlyCost()); err != nil {
		return err
	}
	return s.saved(ctx, tx, r, "grown")
}

// saved writes a change that is not one of status, and appends its event.
func (s *Service) saved(ctx context.Context, tx *db.Tx, r *record, what string) error {
	if err := save(ctx, tx, r); err != nil {
		return err
	}
	return s.appendEvent(ctx, tx, r, what)
}
