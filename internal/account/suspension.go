package account

import (
	"context"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Suspension is why an account may start nothing new.
type Suspension struct {
	Since  time.Time `json:"since" doc:"Since when the account is suspended."`
	Reason string    `json:"reason" doc:"Reason of the operator."`
}

// Suspension returns why the account may start nothing new; nil if it may.
func (a Account) Suspension() *Suspension {
	if a.SuspendedAt == nil {
		return nil
	}
	return &Suspension{*a.SuspendedAt, a.SuspendedReason}
}

// Enter is called first by every transaction that adds something that an account pays for. It locks
// the account's row until the end of the transaction, so that what is counted afterwards stays
// true, and returns ACCOUNT_SUSPENDED if the account is suspended.
func Enter(ctx context.Context, tx *db.Tx, account id.ID) error {
	a, found, err := lockedAccount(ctx, tx, account)
	if err != nil || !found || a.SuspendedAt == nil {
		return err
	}
	reason := a.SuspendedReason
	if !strings.HasSuffix(reason, ".") {
		reason += "."
	}
	return &apierr.Error{
		Code: apierr.AccountSuspended,
		Message: "The account is suspended: " + reason +
			" What exists can be read and terminated. Contact the operator to resume the account.",
		Details: map[string]any{"reason": a.SuspendedReason, "since": *a.SuspendedAt},
	}
}

// Suspend suspends an account; since it was first. It reports whether that changed anything, and
// returns NOT_FOUND.
func (s *Service) Suspend(ctx context.Context, tx *db.Tx, account id.ID, reason string) (changed bool, err error) {
	a, found, err := lockedAccount(ctx, tx, account)
	if err == nil && !found {
		err = errNoAccount
	}
	if err != nil || a.SuspendedAt != nil && a.SuspendedReason == reason {
		return false, err
	}
	if a.SuspendedAt == nil {
		a.SuspendedAt = &tx.Now
	}
	a.SuspendedReason = reason
	return true, setSuspension(ctx, tx, a)
}

// Resume ends the suspension of an account. It reports whether there was one, and returns
// NOT_FOUND.
func (s *Service) Resume(ctx context.Context, tx *db.Tx, account id.ID) (changed bool, err error) {
	a, found, err := lockedAccount(ctx, tx, account)
	if err == nil && !found {
		err = errNoAccount
	}
	if err != nil || a.SuspendedAt == nil {
		return false, err
	}
	a.SuspendedAt, a.SuspendedReason = nil, ""
	return true, setSuspension(ctx, tx, a)
}
