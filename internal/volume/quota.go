package volume

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/quota"
)

// Usage returns how many volumes the account has that are not deleted, and their size: the new one
// of a volume that grows.
func (s *Service) Usage(ctx context.Context, r db.Reader, account id.ID) (u quota.Usage, err error) {
	u.Volumes, u.VolumeGB, _, err = usage(ctx, r, account)
	return u, err
}

// Committed returns what an hour of everything that the account has costs, deployments included.
// What has not started is on hold. What a volume grows by is neither charged nor on hold until it
// has grown.
func (s *Service) Committed(ctx context.Context, r db.Reader, account id.ID) (money.Micros, error) {
	loads, err := meter.Loads(ctx, r, []id.ID{account})
	if err != nil {
		return 0, err
	}
	w, err := s.cfg.Wallet.Get(ctx, r, account)
	if err != nil {
		return 0, err
	}
	_, _, growth, err := usage(ctx, r, account)
	return loads[account].HourlyCost + w.Held + growth, err
}

// checkQuota returns QUOTA_EXCEEDED if the account may not have that in addition. The account is
// locked.
func (s *Service) checkQuota(ctx context.Context, tx *db.Tx, account id.ID, want quota.Usage) error {
	limits, err := quota.Of(ctx, tx, account)
	if err != nil || limits == (quota.Limits{}) {
		return err
	}
	used, err := s.Usage(ctx, tx, account)
	if err != nil {
		return err
	}
	if used.HourlySpend, err = s.Committed(ctx, tx, account); err != nil {
		return err
	}
	return limits.Admit(used, want)
}
