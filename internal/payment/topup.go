package payment

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Status is the status of a top-up.
type Status string

// The statuses.
const (
	Pending   Status = "pending"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Expired   Status = "expired"
	Refunded  Status = "refunded"
	Disputed  Status = "disputed"
)

// Enum lists every status.
func (Status) Enum() []Status {
	return []Status{Pending, Succeeded, Failed, Expired, Refunded, Disputed}
}

// transitions are the statuses that can follow; doc.go draws them.
var transitions = map[Status][]Status{
	Pending:   {Succeeded, Failed, Expired, Refunded, Disputed},
	Failed:    {Succeeded, Refunded, Disputed},
	Expired:   {Succeeded, Refunded, Disputed},
	Succeeded: {Refunded, Disputed},
	Refunded:  {Succeeded, Disputed},
	Disputed:  {Succeeded, Refunded},
}

// May reports whether the status can follow.
func (s Status) May(next Status) bool { return slices.Contains(transitions[s], next) }

// Bounds of top-ups.
const (
	// MaxPending is the most pending top-ups of an account.
	MaxPending = 20
	// PageTime is how long a page for a payment is open.
	PageTime = 24 * time.Hour
	// maxURL is the most characters of a return URL.
	maxURL = 2000
)

// TopUp is money that an account pays in.
type TopUp struct {
	ID        id.ID        `json:"id" doc:"Id of the top-up, top_…"`
	Account   id.ID        `json:"-"`
	Status    Status       `json:"status" doc:"pending until the money has arrived or will not; refunded once all of it was refunded; disputed while the payer's bank disputes it, and permanently if the dispute is lost."`
	Automatic bool         `json:"automatic" doc:"Whether it is an automatic top-up."`
	Amount    money.Micros `json:"amount" doc:"Requested amount in US dollars."`
	Received  money.Micros `json:"received" doc:"US dollars that were credited; 0 before."`
	Refunded  money.Micros `json:"refunded" doc:"US dollars that were refunded, or are being refunded."`
	Disputed  money.Micros `json:"disputed" doc:"US dollars that the payer's bank disputes or has taken back."`
	Currency  string       `json:"currency" enum:"USD" doc:"Currency of every amount."`
	Processor string       `json:"processor" example:"stripe" doc:"How it is paid: stripe, transfer (bank transfer) or demo (simulated)."`
	// CheckoutURL is nil until the processor has made the page, and once the page is closed.
	CheckoutURL    *string         `json:"checkoutUrl" doc:"Page to pay on; null while it is being created, for automatic top-ups, and once the top-up is no longer pending."`
	ExpiresAt      *time.Time      `json:"expiresAt" doc:"When the page closes; null once the top-up is no longer pending."`
	FailureCode    *string         `json:"failureCode" doc:"Code of the processor for the last failure, such as card_declined; null if there was none."`
	FailureMessage *string         `json:"failureMessage" doc:"Why the last payment failed; null if none did."`
	CreatedBy      creator.Creator `json:"createdBy" doc:"Who created it."`
	CreatedAt      time.Time       `json:"createdAt" doc:"When it was created."`
	CompletedAt    *time.Time      `json:"completedAt" doc:"When the money was credited, or the top-up failed or expired; null before."`
	Refunds        []TopUpRefund   `json:"refunds" doc:"Refunds that were made, oldest first."`
}

// TopUpRefund is money of a top-up that was returned to the payer.
type TopUpRefund struct {
	ID     id.ID        `json:"id" doc:"Id of the refund, ref_…"`
	Amount money.Micros `json:"amount" doc:"US dollars."`
	Reason string       `json:"reason" doc:"Reason."`
	At     time.Time    `json:"at" doc:"When it was made."`
}

// OperatorTopUp is a top-up as operators see it.
type OperatorTopUp struct {
	TopUp
	AccountID id.ID        `json:"accountId" doc:"Id of the account, acc_…"`
	Reference string       `json:"reference" doc:"The processor's id of the payment, or the reference that the customer writes on the bank transfer; empty while there is none."`
	Fee       money.Micros `json:"fee" doc:"US dollars that the processor keeps; 0 if unknown."`
	Problem   string       `json:"problem" doc:"Why money that was paid is not credited; empty if it is, or none was paid."`
}

// Request is a top-up to be made.
type Request struct {
	// Amount is in US dollars, without fractions of a cent.
	Amount money.Micros
	// ReturnURL is where the browser goes after the payment; "" for the wallet's page.
	ReturnURL string
	// SaveMethod keeps the method for automatic top-ups.
	SaveMethod bool
}

// Limits are the smallest and the largest top-up.
type Limits struct{ Minimum, Maximum money.Micros }

func (l Limits) check(field string, amount money.Micros) []apierr.FieldError {
	if amount < l.Minimum || amount > l.Maximum {
		return []apierr.FieldError{{
			Field: field, Message: fmt.Sprintf("must be from %s to %s.", l.Minimum, l.Maximum),
		}}
	}
	if amount%Cent != 0 {
		return []apierr.FieldError{{Field: field, Message: "must have no fractions of a cent."}}
	}
	return nil
}

func (r Request) check(l Limits) error {
	errs := l.check("amount", r.Amount)
	if r.ReturnURL != "" {
		u, err := url.Parse(r.ReturnURL)
		if err != nil || len(r.ReturnURL) > maxURL || !apierr.Printable(r.ReturnURL) || u.Host == "" ||
			u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
			errs = append(errs, apierr.FieldError{
				Field: "returnUrl", Message: "must be a URL that begins with https:// or http://.",
			})
		}
	}
	return apierr.Invalid(errs).OrNil()
}
