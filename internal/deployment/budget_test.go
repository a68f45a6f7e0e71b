package deployment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

func (r *testKit) budget(account id.ID, s budget.Settings) (b budget.Budget) {
	r.t.Helper()
	s.Name = "research"
	r.must(r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		b, err = r.budgets.Create(ctx, tx, account, creator.ByOperator, s)
		return err
	}))
	return b
}

// reread returns the budget as it is now.
func (r *testKit) reread(account id.ID, b budget.Budget) budget.Budget {
	r.t.Helper()
	b, err := r.budgets.Get(r.t.Context(), r.db, account, b.ID)
	r.must(err)
	return b
}

// A budget that terminates lets no hour begin that would pass it, whatever books the hours, also
// after the server was down. What the hours before cost is charged.
func TestBudgetTerminatesBeforeItIsPassed(t *testing.T) {
	for name, end := range map[string]func(r *testKit, a, d id.ID){
		"the sweep": func(r *testKit, _, _ id.ID) {
			_, err := r.meter.Sweep(r.t.Context(), meter.Fleet)
			r.must(err)
		},
		"the tenant": func(r *testKit, a, d id.ID) { _, _, err := r.terminate(a, d, false); r.must(err) },
		"a rename": func(r *testKit, a, d id.ID) {
			_, err := r.update(a, d, deployment.UpdateRequest{Name: new("another")})
			r.must(err)
		},
		"jobs": func(*testKit, id.ID, id.ID) {},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(2000))
				o, _ := r.catalog.Default().Get(pageOffer)
				b := r.budget(a, budget.Settings{
					Period: budget.Total, Mode: budget.Terminate, Amount: 3*o.HourlyPrice + 1,
					Thresholds: []int{50, 100}, Scope: budget.BudgetScope{Project: new("llm")},
				})
				other := r.running(a) // of no project
				req := request(t)
				req.Project = "llm"
				d, err := r.create(a, req)
				r.must(err)
				if b = r.reread(a, b); b.Committed != o.HourlyPrice || b.Spent != 0 {
					t.Errorf("before the start: %+v", b)
				}
				d = r.await(a, d.ID, deployment.StatusRunning)
				if b = r.reread(a, b); b.Committed != 0 || b.Spent != o.HourlyPrice {
					t.Errorf("after the start: %+v", b)
				}
				r.clock.Advance(6*time.Hour + time.Minute) // the server is down
				end(r, a, d.ID)
				r.pass(time.Minute)
				x, due := r.get(a, d.ID), d.StartedAt.Add(3*time.Hour)
				if x.Status != deployment.StatusTerminated || !x.BilledUntil.Equal(due) ||
					x.CostToDate != 3*o.HourlyPrice {
					t.Errorf("due at %s: %+v", due, x)
				}
				if got := r.types(a, d.ID); got[wallet.TypeCharge] != 3 || got[wallet.TypeRefund] != 0 {
					t.Errorf("transactions: %v", got)
				}
				if x := r.get(a, other.ID); x.Status != deployment.StatusRunning || x.CostToDate < 7*o.HourlyPrice {
					t.Errorf("what does not count: %+v", x)
				}
				cause := ""
				events, _, err := r.events.List(t.Context(), r.db, a, d.ID, firstPage)
				r.must(err)
				for _, e := range events {
					if e.Type == "deployment.terminating" {
						cause = e.Data["cause"].(string)
					}
				}
				if cause != "budget" {
					t.Errorf("the cause is %q", cause)
				}
				if _, err = r.create(a, req); r.code(err) != apierr.BudgetExceeded {
					t.Errorf("a deployment in addition: %v", err)
				}
				r.checkLedger()
			})
		})
	}
}

// A day's budget ends nothing on the next day, and a threshold is told once a day.
func TestBudgetOfADayBeginsAgain(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(5000))
		midnight := r.clock.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		r.clock.AdvanceTo(midnight.Add(21*time.Hour + 10*time.Minute))
		r.drain()
		d := r.running(a)
		b := r.budget(a, budget.Settings{
			Period: budget.Day, Mode: budget.Terminate, Amount: 24 * d.HourlyPrice, Thresholds: []int{10, 12},
		})
		r.pass(4 * time.Hour)
		if x := r.get(a, d.ID); x.Status != deployment.StatusRunning || x.CostToDate != 5*d.HourlyPrice {
			t.Fatalf("%+v", x)
		}
		b = r.reread(a, b)
		if b.Spent != 2*d.HourlyPrice || b.ResetsAt == nil || !b.ResetsAt.Equal(midnight.Add(48*time.Hour)) {
			t.Errorf("on the next day: %+v", b)
		}
		r.pass(time.Hour)
		events, _, err := r.events.List(t.Context(), r.db, a, a, firstPage)
		r.must(err)
		var told []any
		for _, e := range events {
			if e.Type == "account.budget_reached" {
				told = append(told, e.Data["threshold"])
			}
		}
		if len(told) != 2 { // three hours are 12.5 percent, at once on the first day only if told late
			t.Errorf("told %v", told)
		}
	})
}

// A deploy that waits for the account while a budget is created is refused by that budget: whether
// there are any is asked once the account is locked.
func TestBudgetThatIsCreatedMeanwhileCounts(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, req := r.account(money.Dollars(2000)), request(t)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { // the row that is locked
			_, err := tx.Exec(ctx, `INSERT INTO account (id, name, created_at) VALUES ($1, '', $2)`, a, tx.Now)
			return err
		}))
		deployed := make(chan error, 1)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.budgets.Create(ctx, tx, a, creator.ByOperator, budget.Settings{
				Name: "research", Period: budget.Total, Mode: budget.Block, Amount: 1,
			})
			if err != nil {
				return err
			}
			go func() {
				_, err := r.create(a, req)
				deployed <- err
			}()
			if tx.Engine() == db.Postgres { // SQLite has one writer at a time
				waitsForLock(ctx, t, tx)
			}
			return nil
		}))
		if err := <-deployed; apierr.CodeOf(err) != apierr.BudgetExceeded {
			t.Errorf("%v, want %s", err, apierr.BudgetExceeded)
		}
	})
}

// waitsForLock returns once another transaction of the database waits for a lock, or the time is
// over.
func waitsForLock(ctx context.Context, t testing.TB, tx *db.Tx) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for waiting := 0; waiting == 0; {
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND pid IN (
			SELECT pid FROM pg_stat_activity WHERE datname = current_database())`).Scan(&waiting); err != nil {
			t.Errorf("no deploy waits: %v", err)
			return
		}
	}
}
