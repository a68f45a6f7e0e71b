package wallet

import (
	"context"
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Hold is money to be set aside for a subject.
type Hold struct {
	Account, Subject id.ID
	// Amount is at least zero.
	Amount money.Micros
	// Minimum is what must be available even if Amount is less.
	Minimum     money.Micros
	Description string
	Labels
}

// Hold sets money aside. A subject is held for once in its life: a repetition, also after the
// hold was released or captured, changes nothing. It returns *InsufficientError, and changes nothing,
// when less than the larger of Amount and Minimum is available.
func (l *Ledger) Hold(ctx context.Context, tx *db.Tx, h Hold) error {
	if h.Account == "" || h.Subject == "" || h.Amount < 0 || h.Amount > MaxAmount {
		return fmt.Errorf("wallet: a hold of %s for %q and %q is out of bounds", h.Amount, h.Account, h.Subject)
	}
	if claimed, err := claimHold(ctx, tx, h); err != nil || !claimed {
		return err
	}
	_, err := l.post(ctx, tx, []*line{{
		account: h.Account, kind: TypeHold, amount: -h.Amount, description: h.Description, subject: h.Subject, labels: h.Labels,
	}}, max(h.Amount, h.Minimum))
	if insufficient := (*InsufficientError)(nil); errors.As(err, &insufficient) {
		// The caller may go on and commit something else: the claim must not stay without its money.
		if failed := deleteHold(ctx, tx, h.Subject); failed != nil {
			return failed
		}
	}
	return err
}

// Held is what is set aside for the subject now; 0 where nothing is.
func (l *Ledger) Held(ctx context.Context, r db.Reader, subject id.ID) (money.Micros, error) {
	return selectHeld(ctx, r, subject)
}

// Release gives the hold of a subject back. It tells whether it did: a subject
// without a hold, or whose hold was released or captured before, changes nothing.
func (l *Ledger) Release(ctx context.Context, tx *db.Tx, subject id.ID) (released bool, err error) {
	holds, err := settleHolds(ctx, tx, []id.ID{subject})
	if err != nil || len(holds) == 0 {
		return false, err
	}
	_, err = l.post(ctx, tx, []*line{holds[subject].release()}, anyAmount)
	return err == nil, err
}

// release is the line that gives the hold back.
func (h Hold) release() *line {
	return &line{account: h.Account, kind: TypeRelease, amount: h.Amount, description: "Released: " + h.Description, subject: h.Subject, labels: h.Labels}
}
