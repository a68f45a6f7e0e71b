package budget_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
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
	"pgregory.net/rapid"
)

// hour is a charged hour of a subject, as the statement has it.
type hour struct {
	subject id.ID
	from    time.Time
	amount  money.Micros
}

// However time passes, whatever starts and whenever the sweep runs, what is charged in a period for
// what a budget counts is never more than its amount. An hour was refused only if it would have
// been more.
func TestNoHourPassesABudget(t *testing.T) {
	f := flag.Lookup("rapid.checks")
	if f.Value.String() == f.DefValue { // a number of the command line wins
		if err := flag.Set("rapid.checks", "20"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set("rapid.checks", f.DefValue) })
	}
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := enginetest.New(t, d, c)
		budgets := budget.New(budget.Config{IDs: k.IDs, Clock: c, Events: k.Events, Jobs: k.Jobs})
		meters := meter.New(meter.Config{
			DB: d, Wallet: k.Wallet, Events: k.Events, Jobs: k.Jobs, Admit: budgets.AdmitHours,
		})
		rapid.Check(t, func(t *rapid.T) { oneAccount(t, k, budgets, meters) })
	})
}

func oneAccount(t *rapid.T, k *enginetest.Kit, budgets *budget.Service, meters *meter.Service) {
	account := k.NewAccount(money.Dollars(1_000_000))
	set := budget.Settings{
		Name: "b", Mode: budget.Terminate, Thresholds: []int{50, 100},
		Period: rapid.SampledFrom(budget.Period("").Enum()).Draw(t, "period"),
		Amount: money.Dollars(rapid.Int64Range(20, 400).Draw(t, "amount")),
	}
	if rapid.Bool().Draw(t, "tag") {
		set.Scope.Tag = new("a")
	}
	k.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := budgets.Create(ctx, tx, account, creator.ByOperator, set)
		return err
	})
	counts := map[id.ID]bool{}
	for range rapid.IntRange(1, 8).Draw(t, "steps") {
		if rapid.Bool().Draw(t, "start") {
			subject, tagged := start(t, k, meters, account)
			if subject != "" {
				counts[subject] = tagged || set.Scope.Tag == nil
			}
		}
		k.Clock.Advance(time.Duration(rapid.IntRange(1, 10*60).Draw(t, "minutes")) * time.Minute)
		if rapid.Bool().Draw(t, "sweep") {
			if _, err := meters.Sweep(k.Context(), meter.Fleet); err != nil {
				t.Fatal(err)
			}
		}
		check(t, k, account, set, counts)
	}
	refused := map[id.ID]time.Time{}
	for subject := range counts {
		k.MustTx(func(ctx context.Context, tx *db.Tx) error {
			f, err := meters.BookUntil(ctx, tx, subject, tx.Now)
			if f != nil {
				refused[subject] = f.At
			}
			return err
		})
	}
	all := check(t, k, account, set, counts)
	for subject, at := range refused {
		sum, price := money.Micros(0), money.Micros(0)
		for _, h := range all {
			if counts[h.subject] && samePeriod(set.Period, h.from, at) {
				sum += h.amount
			}
			if h.subject == subject {
				price = h.amount
			}
		}
		if !counts[subject] || sum+price <= set.Amount {
			t.Fatalf("%s was refused at %s, with %s of %s charged: %v", subject, at, sum, set, all)
		}
	}
}

// start deploys what the budget admits.
func start(t *rapid.T, k *enginetest.Kit, meters *meter.Service, account id.ID) (subject id.ID, tagged bool) {
	subject = k.IDs.New(id.Deployment)
	price := money.Dollars(rapid.Int64Range(1, 30).Draw(t, "price"))
	of := wallet.Subject{ID: subject, Account: account, Tags: []string{"b"}}
	if tagged = rapid.Bool().Draw(t, "tagged"); tagged {
		of.Tags = []string{"a", "b"}
	}
	err := k.Tx(func(ctx context.Context, tx *db.Tx) error {
		if _, err := budget.Admit(ctx, tx, budget.Cost{Of: of, Amount: price}); err != nil {
			return err
		}
		if err := k.Wallet.Describe(ctx, tx, of); err != nil {
			return err
		}
		if err := k.Wallet.Hold(ctx, tx, wallet.Hold{Account: account, Subject: subject, Amount: price}); err != nil {
			return err
		}
		return meters.Start(ctx, tx, meter.Start{
			Subject: subject, Account: account, HourlyPrice: price, At: tx.Now, Description: "1 × GPU",
		})
	})
	if err != nil {
		return "", false
	}
	return subject, tagged
}

func samePeriod(p budget.Period, a, b time.Time) bool {
	switch p {
	case budget.Day:
		return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
	case budget.Month:
		return a.UTC().Format("2006-01") == b.UTC().Format("2006-01")
	}
	return true
}

// check adds up the statement by period, and returns its hours.
func check(
	t *rapid.T, k *enginetest.Kit, account id.ID, set budget.Settings, counts map[id.ID]bool,
) (all []hour) {
	err := k.Wallet.Export(k.Context(), k.DB, account, wallet.Filter{}, func(l wallet.Transaction) error {
		if l.Type == wallet.TypeCharge {
			all = append(all, hour{*l.DeploymentID, *l.From, -l.Amount})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	for _, h := range all {
		sum := money.Micros(0)
		for _, other := range all {
			if counts[other.subject] && samePeriod(set.Period, h.from, other.from) {
				sum += other.amount
			}
		}
		if counts[h.subject] && sum > set.Amount {
			t.Fatalf("%s were charged in the period of %s, more than %s: %s", sum, h.from, set, fmt.Sprint(all))
		}
	}
	return all
}
