package payment

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Currency is the currency of every amount, in lower case as processors write it.
const Currency = "usd"

// Cent is the smallest amount that a card can be charged. The amount of a top-up is a multiple.
const Cent money.Micros = 10_000

// Processor takes money from customers. Its calls are made outside transactions, with a deadline in
// the context. Every call is safe to repeat. An error means that the outcome is unknown or that
// nothing was done: the call is made again. What the processor decided, such as a decline, is a
// result and no error.
//
// A reference is the processor's own ID of a page, an intent or an object below one, such as a
// dispute. Payment takes every reference that Checkout, Charge, Event and Events return.
type Processor interface {
	// Checkout makes a page on which the customer pays. The same TopUp and Attempt give the same
	// page.
	Checkout(ctx context.Context, r CheckoutRequest) (Checkout, error)
	// Payment returns the state of a payment as the processor has it now, never from an event's
	// contents. It returns ErrNotOurs if the object exists but was not made for a top-up of this
	// installation, and ErrUnknown if there is no such object.
	Payment(ctx context.Context, reference string) (Payment, error)
	// Charge charges a saved method while the customer is away. The same TopUp and Attempt charge
	// once. A decline is a Payment that failed or requires action, and no error. With FindOnly it
	// charges nothing, and returns ErrUnknown if nothing was charged before.
	Charge(ctx context.Context, r ChargeRequest) (Payment, error)
	// Refund returns money to the method that it came from, once for each Refund ID. A refund that
	// the processor refuses is a Refund that failed, and no error. ErrUnknown is returned if there
	// is no such payment.
	Refund(ctx context.Context, r RefundRequest) (Refund, error)
	// Methods returns the saved methods of a customer, newest first.
	Methods(ctx context.Context, customer string) ([]Method, error)
	// Detach removes a saved method of the customer. A method that is gone already is no error; one
	// of another customer is ErrUnknown.
	Detach(ctx context.Context, customer, method string) error
	// Event verifies and reads a webhook's body. header returns a request header by name. It
	// returns ErrForged, ErrStale, or ErrIgnored for an event that nothing follows from.
	Event(header func(name string) string, body []byte) (Event, error)
	// Events lists what happened since a time, oldest first, without what Event would ignore.
	Events(ctx context.Context, since time.Time) iter.Seq2[Event, error]
	// Movements lists what changed the operator's balance at the processor, with from <= time < to.
	Movements(ctx context.Context, from, to time.Time) iter.Seq2[Movement, error]
}

// Errors of processors.
var (
	// ErrForged is returned for an event that the processor did not sign.
	ErrForged = errors.New("payment: the event's signature is wrong")
	// ErrStale is returned for an event that was signed too long ago.
	ErrStale = errors.New("payment: the event was signed too long ago")
	// ErrIgnored is returned for an event of a type from which nothing follows.
	ErrIgnored = errors.New("payment: nothing follows from the event")
	// ErrNotOurs is returned for an object of the processor that was not made for a top-up.
	ErrNotOurs = errors.New("payment: the object does not belong to a top-up")
	// ErrUnknown is returned for a reference that the processor does not know.
	ErrUnknown = errors.New("payment: the processor does not know the reference")
	// ErrUnsupported is returned for what a processor cannot do, such as charging a saved method by
	// bank transfer.
	ErrUnsupported = errors.New("payment: the processor cannot do this")
	// ErrNoAnswer is returned by this package where a processor returned another error.
	ErrNoAnswer = errors.New("payment: the processor did not answer")
)

// unanswered adds ErrNoAnswer to an error that is none of a processor's answers.
func unanswered(err error) error {
	if err == nil || errors.Is(err, ErrNotOurs) || errors.Is(err, ErrUnknown) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, err)
}

// CheckoutRequest asks for a page.
type CheckoutRequest struct {
	TopUp, Account id.ID
	// Attempt counts the pages of a top-up, from 1.
	Attempt int64
	// Customer is the processor's own ID of the account; "" if it has none yet.
	Customer string
	// Email is suggested for the receipt; may be "".
	Email string
	// Amount is above zero and a multiple of Cent.
	Amount   money.Micros
	Currency string
	// ReturnURL is where the browser goes after the payment, and CancelURL without one.
	ReturnURL, CancelURL string
	// SaveMethod keeps the method for automatic top-ups.
	SaveMethod bool
	// ExpiresAt is when the page should end. The processor may choose another time.
	ExpiresAt time.Time
}

// Checkout is a page on which the customer pays.
type Checkout struct {
	// Reference identifies the page and its payment.
	Reference string
	URL       string
	// Customer is the processor's own ID of the account.
	Customer  string
	ExpiresAt time.Time
}

// ChargeRequest asks for a payment with a saved method.
type ChargeRequest struct {
	TopUp, Account id.ID
	Attempt        int64
	// Customer and Method are the processor's own IDs.
	Customer, Method string
	// Amount is above zero and a multiple of Cent.
	Amount   money.Micros
	Currency string
	// FindOnly only looks for what an earlier call charged.
	FindOnly bool
}

// PaymentStatus is the state of a payment.
type PaymentStatus string

// The states. Expired, Canceled and Failed have brought no money and will not.
const (
	PaymentPending        PaymentStatus = "pending"         // the customer has not paid yet
	PaymentProcessing     PaymentStatus = "processing"      // paid by a method that takes days
	PaymentActionRequired PaymentStatus = "action_required" // the customer must authenticate
	PaymentSucceeded      PaymentStatus = "succeeded"
	PaymentFailed         PaymentStatus = "failed"
	PaymentExpired        PaymentStatus = "expired"
	PaymentCanceled       PaymentStatus = "canceled"
)

// Payment is the state of a payment, as the processor has it.
type Payment struct {
	// Reference is the one of the page, or of the intent if there is no page.
	Reference string
	// IntentReference identifies the money, whichever object or event it was found by. It is set
	// once the payment has succeeded.
	IntentReference string
	// TopUp is what the payment was made for.
	TopUp  id.ID
	Status PaymentStatus
	// Received is what was paid, and Refunded what of it was returned. Neither has disputed money
	// taken off.
	Received, Refunded money.Micros
	// Fee is what the processor keeps, once it is known; 0 before.
	Fee      money.Micros
	Currency string
	// Customer is the processor's own ID of the account.
	Customer string
	// Method is the saved method; nil if none was saved or it is not known yet.
	Method *Method
	// Failure is why the last attempt failed; nil if none did.
	Failure *Failure
	// ActionURL is a page of the processor on which the customer authenticates; may be "".
	ActionURL string
	// Live is false for test money.
	Live      bool
	CreatedAt time.Time
	Disputes  []Dispute
	Refunds   []Refund
}

// Failure is why a payment failed.
type Failure struct {
	// Code is the processor's own, such as "card_declined" or "insufficient_funds".
	Code string
	// Message is a sentence for the customer.
	Message string
	// Final is true if the same method will never work: a lost, stolen, expired or blocked card.
	Final bool
}

// Method is a saved method of payment.
type Method struct {
	// ID is the processor's own.
	ID string
	// Type is "card", "us_bank_account", …
	Type string
	// Brand and Last4 describe it, such as "visa" and "4242".
	Brand, Last4 string
	// ExpiryMonth is from 1 to 12. Both are 0 for what does not expire.
	ExpiryMonth, ExpiryYear int64
	CreatedAt               time.Time
}

// DisputeStatus is the state of a dispute.
type DisputeStatus string

// The states.
const (
	DisputeOpen DisputeStatus = "open"
	// DisputeWon: the money stays here. Warnings that were closed are won, too.
	DisputeWon DisputeStatus = "won"
	// DisputeLost: the money is gone.
	DisputeLost DisputeStatus = "lost"
)

// Dispute is a customer's objection to a payment.
type Dispute struct {
	Reference string
	Amount    money.Micros
	Status    DisputeStatus
	// Reason is the processor's own code.
	Reason string
	// DueAt is when evidence must be submitted; zero if it cannot be.
	DueAt time.Time
}

// RefundRequest asks for money to be returned.
type RefundRequest struct {
	// Refund is this installation's own ID.
	Refund, TopUp id.ID
	// IntentReference is the one of the payment.
	IntentReference string
	// Amount is above zero, a multiple of Cent, and at most what was received and not refunded.
	Amount   money.Micros
	Currency string
}

// RefundStatus is the state of a refund.
type RefundStatus string

// The states.
const (
	RefundPending   RefundStatus = "pending"
	RefundSucceeded RefundStatus = "succeeded"
	// RefundFailed: the money is still here or was returned to us.
	RefundFailed RefundStatus = "failed"
)

// Refund is money that is returned.
type Refund struct {
	Reference string
	// Refund is this installation's own ID; "" for one that was made at the processor.
	Refund id.ID
	Amount money.Micros
	Status RefundStatus
	// Message is why it failed, for the operator.
	Message string
}

// Event says that something happened to a payment, or to the saved methods of a customer. What, is
// asked with Payment or Methods.
type Event struct {
	ID string
	// Type is the processor's own.
	Type string
	// Reference is what Payment is called with; "" for an event about saved methods.
	Reference string
	// Customer is what Methods is called with; "" for an event about a payment.
	Customer  string
	Live      bool
	CreatedAt time.Time
}

// MovementKind is why the operator's balance at the processor changed.
type MovementKind string

// The kinds.
const (
	MovementPayment MovementKind = "payment"
	MovementRefund  MovementKind = "refund"
	// MovementDispute: disputed money was taken, or given back if the amount is above zero.
	MovementDispute MovementKind = "dispute"
	// MovementOther: payouts, fees and all else that no top-up corresponds to.
	MovementOther MovementKind = "other"
)

// Movement is one change of the operator's balance at the processor.
type Movement struct {
	ID   string
	Kind MovementKind
	// IntentReference is the payment's; "" for MovementOther.
	IntentReference string
	// RefundReference is the refund's; "" for other kinds, or if there is none.
	RefundReference string
	// Amount is before the fee, negative if money left.
	Amount, Fee money.Micros
	Currency    string
	CreatedAt   time.Time
}

// MovementsOf is the answer of Movements for a processor that has read all of them.
func MovementsOf(all []Movement, err error) iter.Seq2[Movement, error] {
	return func(yield func(Movement, error) bool) {
		for _, m := range all {
			if !yield(m, nil) {
				return
			}
		}
		if err != nil {
			yield(Movement{}, err)
		}
	}
}
