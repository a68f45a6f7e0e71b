package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// MaxAmount is the most money that one transaction may move, a billion US dollars. A larger amount
// is a mistake, and sums stay far from the end of an int64.
const MaxAmount = 1_000_000_000 * money.USD

// Type is the type of a transaction.
type Type string

// The types of transactions.
const (
	TypeTopUp      Type = "top_up"     // paid in by the tenant
	TypeCredit     Type = "credit"     // given by the operator
	TypeHold       Type = "hold"       // money held for a subject
	TypeRelease    Type = "release"    // a hold released
	TypeCharge     Type = "charge"     // an hour charged
	TypeRefund     Type = "refund"     // the unused part of an hour refunded
	TypeAdjustment Type = "adjustment" // a correction by the operator, up or down
)

// Types are all types of transactions.
var Types = []Type{TypeTopUp, TypeCredit, TypeHold, TypeRelease, TypeCharge, TypeRefund, TypeAdjustment}

// Enum lists every type of transaction.
func (Type) Enum() []Type { return Types }

// ErrNoWallet is returned for an account that Open was never called for.
var ErrNoWallet = errors.New("wallet: the account has no wallet")

// InsufficientError is returned for a hold that exceeds the available money.
type InsufficientError struct {
	// Available may be below zero.
	Available money.Micros
	// Required is the larger of the hold's amount and its minimum.
	Required money.Micros
}

// Error returns both amounts.
func (e *InsufficientError) Error() string {
	return fmt.Sprintf("wallet: %s available, %s required", e.Available, e.Required)
}

// Labels describe what a charge is for. Usage is grouped by them. Any may be empty.
type Labels struct{ Provider, Region, GPUType, Name string }

// Wallet is an account's money.
type Wallet struct {
	Account id.ID `json:"-"`
	// Balance is Available plus Held.
	Balance money.Micros `json:"balance"`
	// Held is held for subjects that do not run yet. It is at least zero.
	Held money.Micros `json:"held"`
	// Available can be spent. Below zero it is a debt.
	Available money.Micros `json:"available"`
	// NegativeSince is when Available fell below zero; nil while it is not.
	NegativeSince *time.Time `json:"negativeSince"`
}

// Config configures a Ledger. DB and IDs are required.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// CrossedZero is called in the transaction of every change that takes an account's available
	// money below zero, or back to zero or more. It is optional.
	CrossedZero func(ctx context.Context, tx *db.Tx, account id.ID) error
	// BelowMark is called in the transaction of every change that takes available money and leaves
	// less than the account's low mark. It is optional.
	BelowMark func(ctx context.Context, tx *db.Tx, account id.ID) error
}

// Ledger keeps the wallets of all accounts. It is safe for concurrent use.
type Ledger struct {
	db           *db.DB
	ids          *id.Maker
	crossed, low func(ctx context.Context, tx *db.Tx, account id.ID) error
}

// New returns a Ledger.
func New(c Config) *Ledger {
	if c.CrossedZero == nil {
		c.CrossedZero = func(context.Context, *db.Tx, id.ID) error { return nil }
	}
	if c.BelowMark == nil {
		c.BelowMark = func(context.Context, *db.Tx, id.ID) error { return nil }
	}
	return &Ledger{db: c.DB, ids: c.IDs, crossed: c.CrossedZero, low: c.BelowMark}
}

// Open creates the account's wallet, empty. It does nothing if the account has one.
func (l *Ledger) Open(ctx context.Context, tx *db.Tx, account id.ID) error {
	if account == "" {
		return errors.New("wallet: Open needs an account")
	}
	return insertWallet(ctx, tx, account)
}

// Get returns the account's wallet, or ErrNoWallet.
func (l *Ledger) Get(ctx context.Context, r db.Reader, account id.ID) (Wallet, error) {
	return selectWallet(ctx, r, account)
}

// SetLowMark sets the amount below which BelowMark is called; nil for never.
func (l *Ledger) SetLowMark(ctx context.Context, tx *db.Tx, account id.ID, mark *money.Micros) error {
	return setLowMark(ctx, tx, account, mark)
}

// Lock returns the account's wallet, or ErrNoWallet, and keeps it as it is until the transaction
// ends.
func (l *Ledger) Lock(ctx context.Context, tx *db.Tx, account id.ID) (Wallet, error) {
	return lockWallet(ctx, tx, account)
}

// GivenAfter returns what was given, or corrected in the account's favor, after a time, without
// top-ups and without the credits of the dedupe keys in except.
func (l *Ledger) GivenAfter(
	ctx context.Context, r db.Reader, account id.ID, t time.Time, except []string,
) (money.Micros, error) {
	references := make([]string, len(except))
	for i, key := range except {
		references[i] = reference(key)
	}
	return givenAfter(ctx, r, account, t, references)
}

// Credit is money added to a wallet, or an adjustment, which may also take money out.
type Credit struct {
	Account id.ID
	// Type is TypeTopUp, TypeCredit or TypeAdjustment.
	Type Type
	// Amount is above zero, or below zero for an adjustment.
	Amount      money.Micros
	Description string
	// Dedupe identifies the one event that brings the money, such as a payment's ID. It is unique
	// among all accounts.
	Dedupe string
}

// Credit adds money to a wallet, once for each Dedupe: if that key was used before, made is false
// and nothing changes. If it was used for another amount or account, Credit returns CONFLICT: the
// caller would believe that the money was added.
func (l *Ledger) Credit(ctx context.Context, tx *db.Tx, c Credit) (made bool, err error) {
	switch {
	case c.Account == "" || c.Dedupe == "":
		return false, errors.New("wallet: Credit needs an account and a dedupe key")
	case c.Type != TypeTopUp && c.Type != TypeCredit && c.Type != TypeAdjustment:
		return false, fmt.Errorf("wallet: %q is not a type of credit", c.Type)
	case c.Amount == 0 || c.Amount > MaxAmount || c.Amount < -MaxAmount || (c.Amount < 0 && c.Type != TypeAdjustment):
		return false, fmt.Errorf("wallet: a %s of %s is out of bounds", c.Type, c.Amount)
	}
	first, claimed, err := claimCredit(ctx, tx, c)
	switch {
	case err != nil:
		return false, err
	case !claimed && (first.Account != c.Account || first.Amount != c.Amount):
		return false, &apierr.Error{
			Code: apierr.Conflict,
			Message: "This reference was used before, for another amount or another account. " +
				"Use a new reference for a new credit.",
			Details: map[string]any{"account": first.Account, "amount": first.Amount},
		}
	case !claimed:
		return false, nil
	}
	_, err = l.post(ctx, tx, []*line{{
		account: c.Account, kind: c.Type, amount: c.Amount, description: c.Description, reference: reference(c.Dedupe),
	}}, anyAmount)
	return err == nil, err
}
