package budget

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// tally is what counts toward budgets in the periods that one instant is in.
type tally struct {
	at               time.Time
	spent, committed map[id.ID]money.Micros // by budget
}

// read adds up what counts toward the budgets, in one statement: what becomes a charge meanwhile is
// counted once.
func read(ctx context.Context, r db.Reader, rows []row, at time.Time) (tally, error) {
	t := tally{at, map[id.ID]money.Micros{}, map[id.ID]money.Micros{}}
	if len(rows) == 0 {
		return t, nil
	}
	from := at
	var of []id.ID
	var ever wallet.Ever
	for i := range rows {
		b := &rows[i]
		of = append(of, b.Account)
		if b.Period == Total { // which is kept, not added up
			ever.Accounts = append(ever.Accounts, b.Account)
			ever.Project = ever.Project || b.Scope.Project != nil
			ever.Tags = ever.Tags || b.Scope.Tag != nil
			ever.Creator = ever.Creator || b.Scope.APIKeyID != nil
		} else if begins, _ := b.Period.interval(at); begins.Before(from) {
			from = begins
		}
	}
	slices.Sort(of)
	slices.Sort(ever.Accounts)
	ever.Accounts = slices.Compact(ever.Accounts)
	all, err := wallet.Spending(ctx, r, slices.Compact(of), from, at, ever)
	if err != nil {
		return t, err
	}
	for _, s := range all {
		for i := range rows {
			if b := &rows[i]; b.Account == s.Of.Account && b.Scope.has(s.Of) {
				switch {
				case s.Committed:
					t.committed[b.ID] += s.Amount
				case b.Period == Total && s.Ever, b.Period == Month && s.InMonth, b.Period == Day && s.OnDay:
					t.spent[b.ID] += s.Amount
				}
			}
		}
	}
	return t, nil
}

func (t tally) used(r *row) money.Micros { return t.spent[r.ID] + t.committed[r.ID] }

// add counts an hour toward the budgets whose present period it begins in. One of a minimum runtime
// was committed until now.
func (t tally) add(rows []row, of wallet.Subject, c meter.Due) {
	for i := range rows {
		r := &rows[i]
		if c.Minimum && r.Account == c.Account && r.Scope.has(of) {
			t.committed[r.ID] -= c.Amount
		}
		began, _ := r.Period.interval(c.From)
		if now, _ := r.Period.interval(t.at); r.Account == c.Account && r.Scope.has(of) && began.Equal(now) {
			t.spent[r.ID] += c.Amount
		}
	}
}

// refuses returns the first budget that does not let the hour begin; nil if it may.
func (t tally) refuses(rows []row, of wallet.Subject, c wallet.Charge) *row {
	if c.Subject.Kind() != id.Deployment || c.Amount == 0 {
		return nil
	}
	for i := range rows {
		r := &rows[i]
		if r.Mode == Terminate && r.Account == c.Account && r.Scope.has(of) && t.used(r)+c.Amount > r.Amount {
			return r
		}
	}
	return nil
}

func (t tally) view(r row) Budget {
	b := r.Budget
	b.Spent, b.Committed = t.spent[r.ID], t.committed[r.ID]
	_, b.ResetsAt = r.Period.interval(t.at)
	return b
}

// refusal returns BUDGET_EXCEEDED with every budget that the cost would pass. Of budgets that the
// caller may not see, it names only the id of one.
func (t tally) refusal(rows []row, c Cost) error {
	var over []string
	var first, hidden *row
	for i := range rows {
		r := &rows[i]
		if r.Mode == Alert || c.Amount == 0 || !r.Scope.has(c.Of) || t.used(r)+c.Amount <= r.Amount {
			continue
		}
		if c.Within != "" && (r.Scope.Project == nil || *r.Scope.Project != c.Within) {
			hidden = r
			continue
		}
		over = append(over, fmt.Sprintf("%s: %s spent, %s committed", r.Settings, t.spent[r.ID], t.committed[r.ID]))
		if first == nil {
			first = r
		}
	}
	if first == nil && hidden == nil {
		return nil
	}
	if first == nil {
		return &apierr.Error{
			Code: apierr.BudgetExceeded,
			Message: "A budget of the account does not allow this. Terminate something, choose something cheaper, " +
				"or ask an owner of the account to change the budget.",
			Details: map[string]any{"budgetId": hidden.ID, "wanted": c.Amount},
		}
	}
	return &apierr.Error{
		Code: apierr.BudgetExceeded,
		Message: fmt.Sprintf("This costs at least %s, which would pass a budget (%s). Terminate something, "+
			"choose something cheaper, or change the budget.", c.Amount, strings.Join(over, "; ")),
		Details: map[string]any{
			"budgetId": first.ID, "amount": first.Amount, "spent": t.spent[first.ID],
			"committed": t.committed[first.ID], "wanted": c.Amount,
		},
	}
}

// alert returns the event of the highest threshold that is reached, if it was not told yet in the
// present period, and notes that it is told now.
func (t tally) alert(r *row) (e event.Event, told bool) {
	switch begins, _ := r.Period.interval(t.at); {
	case begins.After(r.toldSince):
		r.told, r.toldSince = 0, begins
	case begins.Before(r.toldSince): // an hour of a period before is charged late
		return e, false
	}
	reached := r.reached(t.used(r))
	if reached <= r.told {
		return e, false
	}
	r.told = reached
	return event.Event{
		Account: r.Account, Subject: r.Account, Type: "account.budget_reached", Data: map[string]any{
			"budgetId": r.ID, "name": r.Name, "threshold": reached, "period": r.Period, "mode": r.Mode,
			"amount": r.Amount, "spent": t.spent[r.ID], "committed": t.committed[r.ID],
		},
	}, true
}

// alerts writes and returns the alerts of the budgets.
func (t tally) alerts(ctx context.Context, tx *db.Tx, rows []row) ([]event.Event, error) {
	var alerts []event.Event
	for i := range rows {
		r := &rows[i]
		alert, told := t.alert(r)
		if !told {
			continue
		}
		if err := update(ctx, tx, *r); err != nil {
			return nil, err
		}
		alerts = append(alerts, alert)
	}
	return alerts, nil
}
