package operator

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/quota"
)

// Quotas are an account's own limits, those of the installation, and what the account uses.
type Quotas struct {
	quota.Limits
	Defaults quota.Limits `json:"defaults" doc:"Limits of the installation, in place of those that are null."`
	Used     quota.Usage  `json:"used" doc:"What the account uses now."`
}

// Quotas returns the quotas of an account, or NOT_FOUND.
func (s *Service) Quotas(ctx context.Context, r db.Reader, of id.ID) (q Quotas, err error) {
	if _, err = s.cfg.Accounts.Get(ctx, r, of); err != nil {
		return q, err
	}
	if q.Limits, q.Defaults, err = quota.Get(ctx, r, of); err != nil {
		return q, err
	}
	q.Used, err = s.Used(ctx, r, of)
	return q, err
}

// Used returns what an account uses of its quotas.
func (s *Service) Used(ctx context.Context, r db.Reader, of id.ID) (quota.Usage, error) {
	used, err := s.cfg.Deployments.Usage(ctx, r, of)
	if err != nil {
		return used, err
	}
	stored, err := s.cfg.Volumes.Usage(ctx, r, of)
	if err != nil {
		return used, err
	}
	used.Volumes, used.VolumeGB = stored.Volumes, stored.VolumeGB
	used.HourlySpend, err = s.cfg.Deployments.Committed(ctx, r, of)
	return used, err
}

// SetQuotas replaces an account's own limits. It returns INVALID_REQUEST or NOT_FOUND.
func (s *Service) SetQuotas(ctx context.Context, tx *db.Tx, of id.ID, l quota.Limits) (Quotas, error) {
	if _, err := s.cfg.Accounts.Get(ctx, tx, of); err != nil {
		return Quotas{}, err
	}
	if err := quota.Set(ctx, tx, of, l); err != nil {
		return Quotas{}, err
	}
	return s.Quotas(ctx, tx, of)
}
