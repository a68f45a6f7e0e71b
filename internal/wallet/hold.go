package wallet

import (
	"context"
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Hold is money to be held for a subject.
type Hold struct {
	Account, Subject id.ID
	// Amount is at least zero.
	Amount money.Micros
	// Minimum must be available even if Amount is less.
	Minimum money.Micros
	// Bound is what the subject will be charged at least, if that is more than Amount.
	Bound money.Micros
	// Of describes a subject that is new, which saves a call of Describe. One without an ID leaves
	// the description as it is.
	Of          Subject
	Description string
	Labels
}

// Hold holds money. There is one hold for each subject: a repetition changes nothing, also after
// the hold was released or captured. If less than the larger of Amount and Minimum is available,
// Hold returns an *InsufficientError and changes nothing.
func (l *Ledger) Hold(ctx context.Context, tx *db.Tx, h Hold) error {
	if h.Account == "" || h.Subject == "" || h.Amount < 0 || h.Amount > MaxAmount {
		return fmt.Errorf("wallet: a hold of %s for %q and %q is out of bounds", h.Amount, h.Account, h.Subject)
	}
	if h.Of.ID != "" && (h.Of.ID != h.Subject || h.Of.Account != h.Account) {
		return fmt.Errorf("wallet: a hold for %q of %q describes another subject", h.Subject, h.Account)
	}
	if claimed, err := claimHold(ctx, tx, h); err != nil || !claimed {
		return err
	}
	_, err := l.post(ctx, tx, []*line{{
		account: h.Account, kind: TypeHold, amount: -h.Amount, description: h.Description, subject: h.Subject,
		labels: h.Labels,
	}}, max(h.Amount, h.Minimum))
	if _, insufficient := errors.AsType[*InsufficientError](err); insufficient {
		// The caller may commit something else: the claim must not stay without its money.
		if failed := deleteHold(ctx, tx, h.Subject); failed != nil {
			return failed
		}
	}
	if err != nil {
		return err
	}
	of := h.Of
	if of.ID == "" {
		of = Subject{ID: h.Subject, Account: h.Account}
	}
	return bind(ctx, tx, of, max(h.Amount, h.Bound))
}

// Held returns the money that is held for the subject now.
func (l *Ledger) Held(ctx context.Context, r db.Reader, subject id.ID) (money.Micros, error) {
	return selectHeld(ctx, r, subject)
}

// HeldAll returns what is held for each of the subjects that have a hold.
func (l *Ledger) HeldAll(ctx context.Context, r db.Reader, subjects []id.ID) (map[id.ID]money.Micros, error) {
	if len(subjects) == 0 {
		return map[id.ID]money.Micros{}, nil
	}
	return selectHeldAll(ctx, r, subjects)
}

// Release releases the hold of a subject, and reports whether it did. Without a hold, or after it
// was released or captured, nothing changes.
func (l *Ledger) Release(ctx context.Context, tx *db.Tx, subject id.ID) (released bool, err error) {
	holds, err := settleHolds(ctx, tx, []id.ID{subject})
	if err != nil || len(holds) == 0 {
		return false, err
	}
	if _, err = l.post(ctx, tx, []*line{holds[subject].release()}, anyAmount); err != nil {
		return false, err
	}
	return true, l.Bind(ctx, tx, holds[subject].Account, subject, 0)
}

// release returns the line that releases the hold.
func (h Hold) release() *line {
	return &line{
		account: h.Account, kind: TypeRelease, amount: h.Amount, description: "Released: " + h.Description,
		subject: h.Subject,
		labels:  h.Labels,
	}
}
