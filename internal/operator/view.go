package operator

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// ViewTime is how long a view lasts unless the operator asks for another time, and MaxViewTime the
// longest.
const (
	ViewTime    = 30 * time.Minute
	MaxViewTime = time.Hour
)

// Source is where a call came from, for the audit log.
type Source struct {
	Address string
	Request id.ID
}

// The actions of a view in the audit logs: the operationIds of the calls.
const (
	actionViewStarted = "startAccountView"
	actionViewEnded   = "endAccountView"
)

// StartView lets an operator's session read an account as a viewer of it. Both the account's audit
// log and that of the operator's own have an entry with the operator's name and the reason. It
// returns INVALID_REQUEST, NOT_FOUND, or CONFLICT for the session's own account and while the
// session views an account.
func (s *Service) StartView(
	ctx context.Context, tx *db.Tx, n account.Session, of id.ID, reason string, length time.Duration, from Source,
) (account.View, error) {
	if err := checkReason(reason); err != nil {
		return account.View{}, err
	}
	if length <= 0 || length > MaxViewTime {
		return account.View{}, apierr.Invalid([]apierr.FieldError{{
			Field: "minutes", Message: "must be from 1 to 60.",
		}})
	}
	last, found, err := s.cfg.Accounts.ViewOf(ctx, tx, n.ID)
	if err == nil && found && !tx.Now.Before(last.EndsAt) { // it is not swept yet
		err = s.endOverdue(ctx, tx, last, "The time was over.")
	}
	if err != nil {
		return account.View{}, err
	}
	v, err := s.cfg.Accounts.StartView(ctx, tx, n, of, reason, length)
	if err != nil {
		return account.View{}, err
	}
	return v, s.recordView(ctx, tx, v, actionViewStarted, reason, from)
}

// EndView ends the view of a session, and reports whether there was one. why is for the audit logs.
func (s *Service) EndView(ctx context.Context, tx *db.Tx, session id.ID, why string, from Source) (bool, error) {
	v, found, err := s.cfg.Accounts.EndView(ctx, tx, session)
	if err != nil || !found {
		return false, err
	}
	return true, s.recordView(ctx, tx, v, actionViewEnded, why, from)
}

// EndOverdueViews records the end of views whose time is over or whose session has ended. It writes
// nothing where there are none.
func (s *Service) EndOverdueViews(ctx context.Context, d *db.DB) error {
	overdue, err := s.cfg.Accounts.OverdueViews(ctx, d)
	if err != nil || len(overdue) == 0 {
		return err
	}
	return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, v := range overdue {
			why := "The session ended."
			if v.Expired {
				why = "The time was over."
			}
			if err := s.endOverdue(ctx, tx, v, why); err != nil {
				return err
			}
		}
		return nil
	})
}

// endOverdue ends that view, and records it once.
func (s *Service) endOverdue(ctx context.Context, tx *db.Tx, v account.View, why string) error {
	ended, found, err := s.cfg.Accounts.EndThisView(ctx, tx, v)
	if err != nil || !found {
		return err
	}
	return s.recordView(ctx, tx, ended, actionViewEnded, why, Source{})
}

func (s *Service) recordView(
	ctx context.Context, tx *db.Tx, v account.View, action, detail string, from Source,
) error {
	e := audit.Entry{
		Account: v.Account, Actor: audit.Actor{Kind: audit.Operator, ID: v.User, Name: v.UserName}, Action: action,
		Subject: v.Account, Address: from.Address, RequestID: from.Request, Detail: detail,
	}
	own := e
	own.Account = v.Home
	return s.cfg.Audit.Append(ctx, tx, e, own)
}
