package account

import (
	"cmp"
	"context"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// View is an operator's session that reads another account as a viewer of it, for a limited time.
type View struct {
	Session id.ID
	// User is the operator, with their name when it began: never their email address, since tenants
	// read it.
	User     id.ID
	UserName string
	// Home is the account that the session works in otherwise.
	Home    id.ID
	Account id.ID
	Reason  string

	StartedAt, EndsAt time.Time
	// Expired reports that EndsAt has passed, and not that the session has ended.
	Expired bool
}

// StartView lets an operator's session read the account as a viewer of it, until then or until
// EndView. It returns NOT_FOUND, and CONFLICT for the account that the session works in and while
// the session has a view, also one that was started at the same time.
func (s *Service) StartView(
	ctx context.Context, tx *db.Tx, n Session, account id.ID, reason string, length time.Duration,
) (View, error) {
	if _, err := s.Get(ctx, tx, account); err != nil {
		return View{}, err
	}
	if n.Account == account {
		return View{}, apierr.New(apierr.Conflict, "Your session already works in this account.")
	}
	v := View{
		Session: n.ID, User: n.User.ID, UserName: cmp.Or(n.User.Name, "operator"), Home: n.Account,
		Account: account, Reason: reason,
		StartedAt: tx.Now, EndsAt: tx.Now.Add(length),
	}
	inserted, err := insertView(ctx, tx, v)
	if err == nil && !inserted {
		err = apierr.New(apierr.Conflict, "Your session is already viewing an account. Leave that view first.")
	}
	return v, err
}

// ViewOf returns the view of a session, also if its time is over.
func (s *Service) ViewOf(ctx context.Context, r db.Reader, session id.ID) (View, bool, error) {
	return viewOf(ctx, r, session)
}

// EndView ends the view of a session. It reports whether there was one, also if its time was over.
func (s *Service) EndView(ctx context.Context, tx *db.Tx, session id.ID) (View, bool, error) {
	return deleteView(ctx, tx, session)
}

// EndThisView is EndView of a view that was read before, and not of one that the session has begun
// since.
func (s *Service) EndThisView(ctx context.Context, tx *db.Tx, v View) (View, bool, error) {
	return deleteThisView(ctx, tx, v)
}

// OverdueViews returns up to a hundred views whose time is over or whose session has ended.
func (s *Service) OverdueViews(ctx context.Context, r db.Reader) ([]View, error) {
	now := s.now()
	all, err := overdueViews(ctx, r, now)
	for i := range all {
		all[i].Expired = !now.Before(all[i].EndsAt)
	}
	return all, err
}

// viewed returns the session as it is while it views an account: that of a viewer of the account,
// who is no operator.
func (s *Service) viewed(ctx context.Context, r db.Reader, n Session) (Session, error) {
	if !n.User.Operator {
		return n, nil
	}
	v, found, err := viewOf(ctx, r, n.ID)
	if err != nil || !found || !s.now().Before(v.EndsAt) {
		return n, err
	}
	n.View, n.Account, n.Role, n.User.Operator = &v, v.Account, Viewer, false
	return n, nil
}
