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

// Margin is what was earned with one group of subjects, and what their providers cost. It is the operator's alone.
type Margin struct {
	// Key is the provider, the account, the GPU type ("" for volumes) or the day in UTC ("2028-02-29").
	Key string
	// Revenue is what was charged less what was refunded; Cost what the provider asked for. Either may be zero.
	Revenue, Cost money.Micros
	// Seconds are those that the provider's price was reckoned for.
	Seconds int64
}

// Margin is Revenue less Cost; below zero it is a loss.
func (m Margin) Margin() money.Micros { return m.Revenue - m.Cost }

// Margins returns, by key, what the hours that began at or after from and before to have earned, net of refunds whenever these were
// made, and what the same interval has cost so far. Groups in which neither is known are left out. Groups of any kind have the same
// sums, to the micro-dollar. It should be given a transaction, so that both are of one instant.
func (m *Service) Margins(ctx context.Context, r db.Reader, from, to, now time.Time, by wallet.GroupBy) ([]Margin, error) {
	revenue, err := m.c.Wallet.Revenue(ctx, r, from, to, by)
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
		rows = append(rows, Margin{Key: key, Revenue: earned})
	}
	slices.SortFunc(rows, func(a, b Margin) int {
		if by == wallet.ByDay {
			return cmp.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(b.Revenue, a.Revenue), cmp.Compare(a.Key, b.Key))
	})
	return rows, nil
}

// CostChanges says that the subject costs something else at its provider from now on. One that costs nothing is left as it is.
func (m *Service) CostChanges(ctx context.Context, tx *db.Tx, subject id.ID, hourly money.Micros) error {
	if hourly < 0 || hourly > wallet.MaxAmount {
		return fmt.Errorf("meter: a cost of %s an hour is out of bounds", hourly)
	}
	return changeCost(ctx, tx, subject, hourly, tx.Now.Truncate(time.Second))
}

// CostEnds says that the subject costs nothing any more: its provider has confirmed its end. To say it again changes nothing.
func (m *Service) CostEnds(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time) error {
	return endCost(ctx, tx, subject, at)
}

// CostGoesOn says that the subjects' costs have not ended after all.
func (m *Service) CostGoesOn(ctx context.Context, tx *db.Tx, subjects []id.ID) error {
	if len(subjects) == 0 {
		return nil
	}
	return resumeCost(ctx, tx, subjects)
}

// Load is what runs on an account now.
type Load struct {
	// Deployments run, or are stopped and kept.
	Deployments int64
	// HourlyCost is what all of it costs the tenant in an hour, volumes included.
	HourlyCost money.Micros
}

// Loads returns what runs on each of the accounts, with one query; an account on which nothing runs is left out.
func Loads(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Load, error) {
	if len(accounts) == 0 {
		return map[id.ID]Load{}, nil
	}
	return selectLoads(ctx, r, accounts)
}
