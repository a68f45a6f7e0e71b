package budget_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/money"
)

// However many budgets in total by tag there are, what counts toward them is one query, which reads
// no whole table.
func TestTotalsByTagAreOneQuery(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	d, recorder := dbtest.Recorded(t, db.SQLite, c)
	k, s, of := newBudgets(t, d, c)
	tables := []string{"wallet_spent", "wallet_subject", "wallet_day_subject"}
	aliases := map[string]string{"s": "wallet_subject"}
	asked := func(want int) (all int) {
		t.Helper()
		recorder.Take()
		list, _, err := s.List(t.Context(), d, of.Account, enginetest.FirstPage)
		k.Must(err)
		if len(list) != want {
			t.Fatalf("%d budgets, want %d", len(list), want)
		}
		for _, b := range list {
			spent := money.Dollars(0)
			if *b.Scope.Tag == "a" {
				spent = money.Dollars(10)
			}
			if b.Spent != spent {
				t.Errorf("%s of the tag %s was spent, want %s", b.Spent, *b.Scope.Tag, spent)
			}
		}
		sums := 0
		queries := recorder.Take()
		for _, q := range queries {
			if !strings.Contains(q.Text, "wallet_spent") {
				continue
			}
			sums++
			if scans, plan := dbtest.Scans(t, d, q, tables, aliases); len(scans) > 0 {
				t.Errorf("reads all of %v:\n%s", scans, plan)
			}
		}
		if sums != 1 {
			t.Errorf("%d queries for what was spent", sums)
		}
		return len(queries)
	}
	add := func(tag string) {
		create(k, s, of.Account, budget.Settings{
			Name: tag, Scope: budget.BudgetScope{Tag: &tag}, Mode: budget.Alert, Period: budget.Total,
			Amount: money.Dollars(100), Thresholds: []int{90},
		})
	}
	add("a")
	one := asked(1)
	for i := range 14 {
		add(fmt.Sprint("t", i))
	}
	if many := asked(15); many != one {
		t.Errorf("%d queries for 15 budgets, %d for one", many, one)
	}
}
