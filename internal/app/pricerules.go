package app

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/pricerule"
)

// AddPriceRule stores a price rule. It returns NOT_FOUND if it is for an account that does not
// exist.
func (o *Operator) AddPriceRule(ctx context.Context, r pricerule.Rule) (pricerule.Rule, error) {
	err := o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if r.Account != "" {
			if _, err := o.Accounts.Get(ctx, tx, r.Account); err != nil {
				return err
			}
		}
		if r, err = o.PriceRules.Add(ctx, tx, r); err != nil {
			return err
		}
		return o.record(ctx, tx, "", "createPriceRule", r.ID)
	})
	return r, err
}

// ChangePriceRule changes a price rule by a function, which may be called twice.
func (o *Operator) ChangePriceRule(
	ctx context.Context, rule id.ID, change func(r *pricerule.Rule) error,
) (r pricerule.Rule, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if r, err = o.PriceRules.Get(ctx, tx, rule); err != nil {
			return err
		}
		before := r.Account
		if err := change(&r); err != nil {
			return err
		}
		if r.Account != "" && r.Account != before {
			if _, err := o.Accounts.Get(ctx, tx, r.Account); err != nil {
				return err
			}
		}
		if r, err = o.PriceRules.Change(ctx, tx, r); err != nil {
			return err
		}
		return o.record(ctx, tx, "", "updatePriceRule", r.ID)
	})
	return r, err
}

// RemovePriceRule deletes a price rule and returns it.
func (o *Operator) RemovePriceRule(ctx context.Context, rule id.ID) (r pricerule.Rule, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if r, err = o.PriceRules.Remove(ctx, tx, rule); err != nil {
			return err
		}
		return o.record(ctx, tx, "", "deletePriceRule", r.ID)
	})
	return r, err
}
