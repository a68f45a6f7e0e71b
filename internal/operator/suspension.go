package operator

import (
	"context"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

// Termination is what happens to the deployments of an account that is suspended.
type Termination string

// The terminations.
const (
	TerminateNever    Termination = "never"
	TerminateEarliest Termination = "earliest" // when the minimum runtime of each is met
	TerminateNow      Termination = "now"
)

// Enum lists every termination.
func (Termination) Enum() []Termination {
	return []Termination{TerminateNever, TerminateEarliest, TerminateNow}
}

// Suspend suspends an account, so that it can start nothing new, and ends its deployments as asked.
// All of it is one change. The account is locked, as by every deploy, so that none is left behind.
// Suspending a suspended account can change the reason and end deployments, and otherwise changes
// nothing. It returns INVALID_REQUEST or NOT_FOUND.
func (s *Service) Suspend(
	ctx context.Context, tx *db.Tx, of id.ID, reason string, terminate Termination,
) (a Account, changed bool, err error) {
	if err := checkReason(reason); err != nil {
		return Account{}, false, err
	}
	if changed, err = s.cfg.Accounts.Suspend(ctx, tx, of, reason); err != nil {
		return Account{}, false, err
	}
	ended, scheduled := 0, 0
	switch terminate {
	case TerminateNever:
	case TerminateEarliest, TerminateNow:
		ended, scheduled, err = s.cfg.Deployments.EndForSuspension(ctx, tx, of, reason, terminate == TerminateEarliest)
	default:
		err = apierr.Invalid([]apierr.FieldError{{Field: "terminate", Message: "must be never, earliest or now."}}).
			OrNil()
	}
	if err != nil {
		return Account{}, false, err
	}
	if a, err = s.Account(ctx, tx, of); err != nil {
		return Account{}, false, err
	}
	if !changed && ended+scheduled == 0 {
		return a, false, nil
	}
	return a, true, s.cfg.Events.Append(ctx, tx, event.Event{
		Account: of, Subject: of, Type: "account.suspended", Data: map[string]any{
			"reason": reason, "since": *a.SuspendedAt, "terminate": terminate, "ended": ended, "scheduled": scheduled,
		},
	})
}

// Resume ends the suspension of an account. Terminations that were scheduled with it stay until
// the account changes the auto-terminate time. It reports whether anything changed, and returns
// NOT_FOUND.
func (s *Service) Resume(ctx context.Context, tx *db.Tx, of id.ID) (a Account, changed bool, err error) {
	if changed, err = s.cfg.Accounts.Resume(ctx, tx, of); err != nil {
		return Account{}, false, err
	}
	if a, err = s.Account(ctx, tx, of); err != nil || !changed {
		return a, false, err
	}
	return a, true, s.cfg.Events.Append(ctx, tx, event.Event{
		Account: of, Subject: of, Type: "account.resumed", Data: map[string]any{},
	})
}
