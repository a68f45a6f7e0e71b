package pricerule

import (
	"context"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Service stores the rules.
type Service struct{ ids *id.Maker }

// New returns a Service.
func New(ids *id.Maker) *Service { return &Service{ids} }

// Version returns the version of the rules, which every change raises.
func (s *Service) Version(ctx context.Context, r db.Reader) (int64, error) {
	return readVersion(ctx, r)
}

// List returns all rules in their order.
func (s *Service) List(ctx context.Context, r db.Reader) (Set, error) { return selectAll(ctx, r) }

// Get returns the rule, or NOT_FOUND. In the transaction of a change it locks all rules first, so
// that the rule stays as it was read until the commit. Its own row alone would not do: another
// change may hold it and wait for this one.
func (s *Service) Get(ctx context.Context, r db.Reader, rule id.ID) (Rule, error) {
	if err := lock(ctx, r); err != nil {
		return Rule{}, err
	}
	out, found, err := find(ctx, r, rule)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No price rule has this id. List them with GET /operator/price-rules.")
	}
	return out, err
}

// Check returns everything that is wrong with a rule, as an INVALID_REQUEST.
func (s *Service) Check(r Rule) error { return r.check() }

// Add stores a rule at its position; the ones from there on move back by one. Position 0, or one
// beyond the end, is the end. It returns LIMIT_REACHED if there are MaxRules.
func (s *Service) Add(ctx context.Context, tx *db.Tx, r Rule) (Rule, error) {
	if err := r.check(); err != nil {
		return Rule{}, err
	}
	if err := raiseVersion(ctx, tx); err != nil {
		return Rule{}, err
	}
	all, err := selectAll(ctx, tx)
	if err != nil {
		return Rule{}, err
	}
	n := int64(len(all))
	if n >= MaxRules {
		return Rule{}, apierr.Full("price rules", MaxRules,
			"There are %d price rules, which is the maximum. Delete one that is no longer needed.", n)
	}
	r.Position = place(r.Position, n+1)
	if err := shift(ctx, tx, r.Position, n, 1); err != nil {
		return Rule{}, err
	}
	r.ID, r.CreatedAt, r.ChangedAt = s.ids.New(id.PriceRule), tx.Now, tx.Now
	return r, insert(ctx, tx, r)
}

// Change replaces the rule with the same ID and moves it to its position. Position 0 leaves it
// where it is. It returns NOT_FOUND for a rule that does not exist.
func (s *Service) Change(ctx context.Context, tx *db.Tx, r Rule) (Rule, error) {
	if err := r.check(); err != nil {
		return Rule{}, err
	}
	before, n, err := s.toChange(ctx, tx, r.ID)
	if err != nil {
		return Rule{}, err
	}
	if r.Position == 0 {
		r.Position = before.Position
	}
	r.Position = place(r.Position, n)
	if r.Position < before.Position {
		err = shift(ctx, tx, r.Position, before.Position-1, 1)
	} else if r.Position > before.Position {
		err = shift(ctx, tx, before.Position+1, r.Position, -1)
	}
	if err != nil {
		return Rule{}, err
	}
	r.CreatedAt, r.ChangedAt = before.CreatedAt, tx.Now
	return r, update(ctx, tx, r)
}

// Remove deletes the rule and returns it, or NOT_FOUND.
func (s *Service) Remove(ctx context.Context, tx *db.Tx, rule id.ID) (Rule, error) {
	r, n, err := s.toChange(ctx, tx, rule)
	if err != nil {
		return Rule{}, err
	}
	if err := remove(ctx, tx, rule); err != nil {
		return Rule{}, err
	}
	return r, shift(ctx, tx, r.Position+1, n, -1)
}

// toChange locks all rules and returns one, and how many there are.
func (s *Service) toChange(ctx context.Context, tx *db.Tx, rule id.ID) (r Rule, n int64, err error) {
	if err := raiseVersion(ctx, tx); err != nil {
		return Rule{}, 0, err
	}
	if r, err = s.Get(ctx, tx, rule); err != nil {
		return Rule{}, 0, err
	}
	all, err := selectAll(ctx, tx)
	return r, int64(len(all)), err
}

// place is the position itself, or the last one if it is 0 or beyond that.
func place(position, last int64) int64 {
	if position < 1 || position > last {
		return last
	}
	return position
}
