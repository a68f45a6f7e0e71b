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

// MaxAmount is the most money that one line may move, a billion US dollars: an
// amount beyond it is a mistake, and sums stay far from the end of an int64.
const MaxAmount = 1_000_000_000 * money.USD

// Type is the kind of a line of the statement.
type Type string

// The kinds of lines.
const (
	TypeTopUp      Type = "top_up"     // paid in by the tenant
	TypeCredit     Type = "credit"     // given by the operator
	TypeHold       Type = "hold"       // set aside
	TypeRelease    Type = "release"    // set aside no longer
	TypeCharge     Type = "charge"     // an hour paid
	TypeRefund     Type = "refund"     // the unused part of an hour given back
	TypeAdjustment Type = "adjustment" // a correction by the operator, up or down
)

// Types are all kinds of lines.
var Types = []Type{TypeTopUp, TypeCredit, TypeHold, TypeRelease, TypeCharge, TypeRefund, TypeAdjustment}

// ErrNoWallet is returned for an account that Open was never called for.
var ErrNoWallet = errors.New("wallet: the account has no wallet")

// InsufficientError tells that a hold found too little available money.
type InsufficientError struct {
	// Available is what there was; it may be below zero.
	Available money.Micros
	// Required is what there had to be: the larger of the hold's amount and its minimum.
	Required money.Micros
}

// Error tells both amounts.
func (e *InsufficientError) Error() string {
	return fmt.Sprintf("wallet: %s available, %s required", e.Available, e.Required)
}

// Labels say what a charge was for, so that usage can be grouped by them. Any may be empty.
type Labels struct{ Provider, Region, GPUType, Name string }

// Wallet is what an account has now.
type Wallet struct {
	Account id.ID `json:"-"`
	// Balance is Available plus Held.
	Balance money.Micros `json:"balance"`
	// Held is set aside for subjects that do not run yet; at least zero.
	Held money.Micros `json:"held"`
	// Available may be spent; below zero it is a debt.
	Available money.Micros `json:"available"`
	// NegativeSince is when Available fell below zero; nil while it is not.
	NegativeSince *time.Time `json:"negativeSince"`
}

// Config is what a Ledger needs. DB and IDs are required.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Turned is called in the transaction of every change that takes an account's available money below zero, or back from there.
	// Without it nobody is told at once: whoever must know has to look.
	Turned func(ctx context.Context, tx *db.Tx, account id.ID) error
}

// Ledger keeps the wallets of all accounts. It is safe for concurrent use.
type Ledger struct {
	db     *db.DB
	ids    *id.Maker
	turned func(ctx context.Context, tx *db.Tx, account id.ID) error
}

// New returns a Ledger. It panics when a dependency is missing.
func New(c Config) *Ledger {
	if c.DB == nil || c.IDs == nil {
		panic("wallet: New needs a database and a maker of ids")
	}
	if c.Turned == nil {
		c.Turned = func(context.Context, *db.Tx, id.ID) error { return nil }
	}
	return &Ledger{db: c.DB, ids: c.IDs, turned: c.Turned}
}

// Open makes the account's wallet, empty. It does nothing where there is one.
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

// Negative returns the wallets with a debt, the oldest debt first.
func (l *Ledger) Negative(ctx context.Context, r db.Reader) ([]Wallet, error) {
	return selectNegative(ctx, r)
}

// Credit is money that comes into a wallet, or an adjustment that may also take some out.
type Credit struct {
	Account id.ID
	// Type is TypeTopUp, TypeCredit or TypeAdjustment.
	Type Type
	// Amount is above zero; an adjustment's may be below. Never zero.
	Amount      money.Micros
	Description string
	// Dedupe names the one event that brings the money, such as a payment's id. It is unique among all accounts.
	Dedupe string
}

// Credit puts money into a wallet, once for each Dedupe: made is false, and nothing
// changes, when that key has been used before. It answers CONFLICT where it was used for another amount or
// account: that is no repetition, and whoever asks believes that the money has come.
func (l *Ledger) Credit(ctx context.Context, tx *db.Tx, c Credit) (made bool, err error) {
	switch {
	case c.Account == "" || c.Dedupe == "":
		return false, errors.New("wallet: Credit needs an account and a dedupe key")
	case c.Type != TypeTopUp && c.Type != TypeCredit && c.Type != TypeAdjustment:
		return false, fmt.Errorf("wallet: %q is no kind of credit", c.Type)
	case c.Amount == 0 || c.Amount > MaxAmount || c.Amount < -MaxAmount || (c.Amount < 0 && c.Type != TypeAdjustment):
		return false, fmt.Errorf("wallet: a %s of %s is out of bounds", c.Type, c.Amount)
	}
	first, claimed, err := claimCredit(ctx, tx, c)
	switch {
	case err != nil:
		return false, err
	case !claimed && (first.Account != c.Account || first.Amount != c.Amount):
		return false, &apierr.Error{
			Code: apierr.Conflict, Message: "This reference was used before, for another amount or another account. Use a new reference for a new credit.",
			Details: map[string]any{"account": first.Account, "amount": first.Amount},
		}
	case !claimed:
		return false, nil
	}
	_, err = l.post(ctx, tx, []*line{{account: c.Account, kind: c.Type, amount: c.Amount, description: c.Description}}, anyAmount)
	return err == nil, err
}
