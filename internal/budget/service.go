package budget

import (
	"context"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// Config configures a Service. Every field is required.
type Config struct {
	IDs    *id.Maker
	Clock  clock.Clock
	Events *event.Service
	Jobs   *job.Queue
}

// Service owns the budgets of accounts.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// Update is what to change about a budget. A nil field leaves its value as it is.
type Update struct {
	Name       *string
	Scope      *BudgetScope
	Period     *Period
	Amount     *money.Micros
	Thresholds *[]int
	Mode       *Mode
}

var errNotFound = apierr.New(apierr.NotFound, "No budget has this id. List yours with GET /budgets.")

// List returns a page of the account's budgets, newest first.
func (s *Service) List(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]Budget, db.Listed, error) {
	rows, of, err := list(ctx, r, account, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	t, err := read(ctx, r, rows, s.cfg.Clock.Now())
	out := make([]Budget, len(rows))
	for i := range rows {
		out[i] = t.view(rows[i])
	}
	return out, of, err
}

// Get returns a budget, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, budget id.ID) (Budget, error) {
	x, found, err := findOwn(ctx, r, account, budget)
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return Budget{}, err
	}
	t, err := read(ctx, r, []row{x}, s.cfg.Clock.Now())
	return t.view(x), err
}

// Create creates a budget. A threshold that is reached already is told. It returns INVALID_REQUEST
// with every problem, ACCOUNT_SUSPENDED or LIMIT_REACHED.
func (s *Service) Create(
	ctx context.Context, tx *db.Tx, account id.ID, by creator.Creator, set Settings,
) (Budget, error) {
	if err := set.check(); err != nil {
		return Budget{}, err
	}
	if err := accounts.Enter(ctx, tx, account); err != nil { // so that parallel calls count each other
		return Budget{}, err
	}
	if n, err := count(ctx, tx, account); err != nil || n >= MaxPerAccount {
		if err == nil {
			err = apierr.New(apierr.LimitReached, "An account can have %d budgets. Delete one first.", MaxPerAccount)
		}
		return Budget{}, err
	}
	r := row{Budget: Budget{
		ID: s.cfg.IDs.New(id.Budget), Account: account, Settings: set, CreatedBy: by, CreatedAt: tx.Now,
	}}
	r.Thresholds = append([]int{}, set.Thresholds...)
	r.toldSince, _ = set.Period.interval(tx.Now)
	if err := insert(ctx, tx, r); err != nil {
		return Budget{}, err
	}
	return s.tellNow(ctx, tx, r)
}

// Update changes a budget, for the present period too. What it ended stays ended. It returns
// INVALID_REQUEST with every problem, or NOT_FOUND.
func (s *Service) Update(ctx context.Context, tx *db.Tx, account, budget id.ID, u Update) (Budget, error) {
	r, found, err := findOwn(ctx, tx, account, budget)
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return Budget{}, err
	}
	set(&r.Name, u.Name)
	set(&r.Scope, u.Scope)
	if u.Period != nil && *u.Period != r.Period {
		r.Period, r.told = *u.Period, 0
		r.toldSince, _ = r.Period.interval(tx.Now)
	}
	set(&r.Amount, u.Amount)
	set(&r.Thresholds, u.Thresholds)
	set(&r.Mode, u.Mode)
	if err := r.check(); err != nil {
		return Budget{}, err
	}
	return s.tellNow(ctx, tx, r)
}

func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}

// tellNow writes a budget that is new or was changed. A threshold is told if it is reached now, and
// was not before in the period. Those above what is used now will be told again.
func (s *Service) tellNow(ctx context.Context, tx *db.Tx, r row) (Budget, error) {
	t, err := read(ctx, tx, []row{r}, tx.Now)
	if err != nil {
		return Budget{}, err
	}
	reached := r.reached(t.used(&r))
	r.told = min(r.told, reached)
	alert, told := t.alert(&r)
	if err := update(ctx, tx, r); err != nil {
		return Budget{}, err
	}
	if told {
		if err := s.cfg.Events.Append(ctx, tx, alert); err != nil {
			return Budget{}, err
		}
	}
	return t.view(r), nil
}

// Delete deletes a budget and returns it. What it ended stays ended. It returns NOT_FOUND.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, account, budget id.ID) (Budget, error) {
	b, err := s.Get(ctx, tx, account, budget)
	if err != nil {
		return Budget{}, err
	}
	return b, remove(ctx, tx, account, budget)
}

// Cost is what something that is about to be created costs at least.
type Cost struct {
	Of wallet.Subject
	// Amount is the first hour, or all hours that begin in the minimum runtime.
	Amount money.Micros
	// Within is the only project of which the caller may know what is spent; "" for all.
	Within string
	// DryRun only checks.
	DryRun bool
}

// Admit returns BUDGET_EXCEEDED, with every budget, if the cost would pass a budget of mode block
// or terminate, and else the events that its thresholds cause, for the caller to append. It locks
// the account's budgets until the end of the transaction.
func Admit(ctx context.Context, tx *db.Tx, c Cost) ([]event.Event, error) {
	rows, err := locked(ctx, tx, []id.ID{c.Of.Account})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	t, err := read(ctx, tx, rows, tx.Now)
	if err != nil {
		return nil, err
	}
	if err := t.refusal(rows, c); err != nil || c.DryRun {
		return nil, err
	}
	for i := range rows {
		if r := &rows[i]; r.Scope.has(c.Of) {
			t.committed[r.ID] += c.Amount
		}
	}
	return t.alerts(ctx, tx, rows)
}
