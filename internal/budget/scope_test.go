package budget_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// newBudgets returns a kit with a deployment that has had an hour for $10, and its description.
func newBudgets(t *testing.T, d *db.DB, c *clock.Simulated) (*enginetest.Kit, *budget.Service, wallet.Subject) {
	t.Helper()
	k := enginetest.New(t, d, c)
	s := budget.New(budget.Config{IDs: k.IDs, Clock: c, Events: k.Events, Jobs: k.Jobs})
	meters := meter.New(meter.Config{DB: d, Wallet: k.Wallet, Events: k.Events, Jobs: k.Jobs})
	of := wallet.Subject{
		ID: k.IDs.New(id.Deployment), Account: k.NewAccount(money.Dollars(1000)),
		Project: "vision", Tags: []string{"a"},
		CreatedBy: creator.Creator{Type: creator.APIKey, ID: k.IDs.New(id.APIKey)},
	}
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		if err := k.Wallet.Describe(ctx, tx, of); err != nil {
			return err
		}
		return meters.Start(ctx, tx, meter.Start{
			Subject: of.ID, Account: of.Account, HourlyPrice: money.Dollars(10), At: tx.Now, Description: "1 × GPU",
		})
	})
	return k, s, of
}

func create(k *enginetest.Kit, s *budget.Service, account id.ID, set budget.Settings) (b budget.Budget) {
	k.MustTx(func(ctx context.Context, tx *db.Tx) (err error) {
		b, err = s.Create(ctx, tx, account, creator.ByOperator, set)
		return err
	})
	return b
}

// What is spent counts toward a budget of each scope and period alone, without others beside it.
func TestSpentByScope(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k, s, of := newBudgets(t, d, c)
		for _, period := range budget.Period("").Enum() {
			for name, x := range map[string]struct {
				scope budget.BudgetScope
				want  money.Micros
			}{
				"everything":      {budget.BudgetScope{}, money.Dollars(10)},
				"project":         {budget.BudgetScope{Project: new("vision")}, money.Dollars(10)},
				"another project": {budget.BudgetScope{Project: new("speech")}, 0},
				"tag":             {budget.BudgetScope{Tag: new("a")}, money.Dollars(10)},
				"another tag":     {budget.BudgetScope{Tag: new("b")}, 0},
				"key":             {budget.BudgetScope{APIKeyID: &of.CreatedBy.ID}, money.Dollars(10)},
				"another key":     {budget.BudgetScope{APIKeyID: new(k.IDs.New(id.APIKey))}, 0},
			} {
				b := create(k, s, of.Account, budget.Settings{
					Name: "b", Mode: budget.Alert, Period: period, Amount: money.Dollars(100), Scope: x.scope,
				})
				b, err := s.Get(t.Context(), d, of.Account, b.ID)
				if err != nil || b.Spent != x.want || b.Committed != 0 {
					t.Errorf("%s, %s: %s spent, %s committed, %v; want %s", period, name, b.Spent, b.Committed, err,
						x.want)
				}
				k.MustTx(func(ctx context.Context, tx *db.Tx) error {
					_, err := s.Delete(ctx, tx, of.Account, b.ID)
					return err
				})
			}
		}
	})
}

// Of several budgets the one that refuses first ends the deployment.
func TestEnds(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k, s, of := newBudgets(t, d, c)
		at := c.Now().Add(time.Hour)
		ends := func(hourly money.Micros, within string) int64 {
			t.Helper()
			first, err := budget.Ends(t.Context(), d, budget.Cost{Of: of, Within: within}, hourly, 1, at)
			k.Must(err)
			if first == nil {
				return -1
			}
			return int64(first.Sub(at) / time.Hour)
		}
		price := money.Dollars(10)
		if got := ends(price, ""); got != -1 {
			t.Errorf("without budgets it ends after %d hours", got)
		}
		total := func(mode budget.Mode, dollars int64, scope budget.BudgetScope) budget.Settings {
			return budget.Settings{
				Name: "b", Mode: mode, Period: budget.Total, Amount: money.Dollars(dollars), Scope: scope,
			}
		}
		create(k, s, of.Account, total(budget.Block, 20, budget.BudgetScope{}))
		create(k, s, of.Account, total(budget.Terminate, 20, budget.BudgetScope{Project: new("speech")}))
		if got := ends(price, ""); got != -1 {
			t.Errorf("with other budgets it ends after %d hours", got)
		}
		for _, x := range []struct{ dollars, hours int64 }{{60, 5}, {40, 3}, {80, 3}} {
			create(k, s, of.Account, total(budget.Terminate, x.dollars, budget.BudgetScope{}))
			if got := ends(price, ""); got != x.hours {
				t.Errorf("with one of $%d more it ends after %d hours, want %d", x.dollars, got, x.hours)
			}
		}
		create(k, s, of.Account, total(budget.Terminate, 70, budget.BudgetScope{Project: new("vision")}))
		if got := ends(price, "vision"); got != 6 {
			t.Errorf("within the project it ends after %d hours, want 6", got)
		}
		if got := ends(0, ""); got != -1 {
			t.Errorf("free of charge it ends after %d hours", got)
		}
	})
}
