package deployment

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/quota"
)

// Usage returns how many deployments of the account have not ended, and how many GPUs they have: a
// deployment with candidates counts for the one with the most, until it runs.
func (s *Service) Usage(ctx context.Context, r db.Reader, account id.ID) (u quota.Usage, err error) {
	if u.Machines, u.GPUs, err = countUnended(ctx, r, account); err != nil {
		return u, err
	}
	undecided, err := withCandidates(ctx, r, account)
	for i := range undecided {
		row := &undecided[i]
		u.GPUs += int64(mostGPUs(row.gpuCount, row.plans) - row.gpuCount)
	}
	return u, err
}

// Committed returns what an hour of everything that the account has costs, also of what has not
// started: that is on hold.
func (s *Service) Committed(ctx context.Context, r db.Reader, account id.ID) (money.Micros, error) {
	return s.cfg.Volumes.Committed(ctx, r, account)
}

func mostGPUs(n int, plans []plan) int {
	for _, p := range plans {
		n = max(n, p.GPUCount)
	}
	return n
}

// checkQuota returns QUOTA_EXCEEDED if the account may not have the deployment in addition, with
// the most expensive and the largest of its candidates. The account is locked.
func (s *Service) checkQuota(ctx context.Context, tx *db.Tx, r *row, price money.Micros, plans []plan) error {
	limits, err := quota.Of(ctx, tx, r.account)
	if err != nil || limits == (quota.Limits{}) {
		return err
	}
	used, err := s.Usage(ctx, tx, r.account)
	if err != nil {
		return err
	}
	if used.HourlySpend, err = s.Committed(ctx, tx, r.account); err != nil {
		return err
	}
	want := quota.Usage{Machines: 1, GPUs: int64(mostGPUs(r.gpuCount, plans)), HourlySpend: price}
	return limits.Admit(used, want)
}
