package meter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// Margin is the revenue of one group of subjects and what their providers cost. It is for the
// operator only.
type Margin struct {
	// Key is the provider, the account, the GPU type ("" for volumes) or the day in UTC
	// ("2028-02-29").
	Key string
	// Revenue is what was earned, Cost is what the provider charges. Either may be zero.
	Revenue, Cost money.Micros
	// Seconds is how long the provider charges for.
	Seconds int64
}

// Margin returns Revenue less Cost. Below zero it is a loss.
func (m Margin) Margin() money.Micros { return m.Revenue - m.Cost }

// Margins returns, by key, what was earned from from to to, net of refunds whenever these were
// made, and the cost of the same time, both not after now. A paid hour is earned by the second, and
// all of it when its subject stops. Groups with neither are left out. The sums of all groupings are
// equal to the micro-dollar. Pass a transaction as r, so that both are of one instant.
func (m *Service) Margins(
	ctx context.Context, r db.Reader, from, to, now time.Time, by wallet.GroupBy,
) ([]Margin, error) {
	revenue, err := m.cfg.Wallet.Revenue(ctx, r, from, to, now, by)
	if err != nil {
		return nil, err
	}
	rows, err := selectCost(ctx, r, from, to, now, by)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Revenue = revenue[rows[i].Key]
		delete(revenue, rows[i].Key)
	}
	for key, earned := range revenue {
		if earned != 0 {
			rows = append(rows, Margin{Key: key, Revenue: earned})
		}
	}
	slices.SortFunc(rows, func(a, b Margin) int {
		if by == wallet.ByDay {
			return cmp.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(b.Revenue, a.Revenue), cmp.Compare(a.Key, b.Key))
	})
	return rows, nil
}

// CostChanges changes what the subject costs at its provider from now on. A subject without a cost
// is left unchanged.
func (m *Service) CostChanges(ctx context.Context, tx *db.Tx, subject id.ID, hourly money.Micros) error {
	if hourly < 0 || hourly > wallet.MaxAmount {
		return fmt.Errorf("meter: a cost of %s an hour is out of bounds", hourly)
	}
	return changeCost(ctx, tx, subject, hourly, tx.Now.Truncate(time.Second))
}

// CostEnds ends the subject's cost: its provider has confirmed its end. A repetition changes
// nothing.
func (m *Service) CostEnds(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time) error {
	return endCost(ctx, tx, subject, at)
}

// CostGoesOn resumes the subjects' costs, which have not ended after all.
func (m *Service) CostGoesOn(ctx context.Context, tx *db.Tx, subjects []id.ID) error {
	if len(subjects) == 0 {
		return nil
	}
	return resumeCost(ctx, tx, subjects)
}

// Load is what runs on an account now.
type Load struct {
	// Deployments are running, or stopped and kept.
	Deployments int64
	// HourlyCost is the tenant's cost of an hour, volumes included.
	HourlyCost money.Micros
}

// Loads returns what runs on each of the accounts, by one query. An account on which nothing runs
// is left out.
func Loads(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Load, error) {
	if len(accounts) == 0 {
		return map[id.ID]Load{}, nil
	}
	return selectLoads(ctx, r, accounts)
}
