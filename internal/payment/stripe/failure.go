package stripe

import (
	"slices"

	"github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/payment"
)

// secretDeclines are codes that the holder of the card must not learn, because a thief would. They
// are final.
var secretDeclines = []stripe.DeclineCode{
	stripe.DeclineCodeFraudulent, stripe.DeclineCodeLostCard, stripe.DeclineCodeStolenCard,
	stripe.DeclineCodePickupCard, stripe.DeclineCodeMerchantBlacklist, stripe.DeclineCodeSecurityViolation,
}

// finalDeclines are codes with which the same card will never work.
var finalDeclines = []stripe.DeclineCode{
	stripe.DeclineCodeExpiredCard, stripe.DeclineCodeRestrictedCard, stripe.DeclineCodeInvalidAccount,
	stripe.DeclineCodeCardNotSupported, stripe.DeclineCodeCurrencyNotSupported, stripe.DeclineCodeInvalidNumber,
	stripe.DeclineCodeRevocationOfAuthorization, stripe.DeclineCodeRevocationOfAllAuthorizations,
	stripe.DeclineCodeStopPaymentOrder, stripe.DeclineCodeDoNotTryAgain,
}

const codeDeclined = "card_declined"

// failure returns why a payment failed. Every error of a card is handled alike: an unknown code is
// a decline that may be tried again later.
func failure(e *stripe.Error) *payment.Failure {
	if e == nil {
		return nil
	}
	f := &payment.Failure{Code: string(e.DeclineCode), Message: cut(e.Msg)}
	if f.Code == "" {
		f.Code = string(e.Code)
	}
	if f.Code == "" {
		f.Code = codeDeclined
	}
	if f.Message == "" {
		f.Message = "The payment was declined."
	}
	f.Final = e.Code == stripe.ErrorCodeExpiredCard || slices.Contains(finalDeclines, e.DeclineCode)
	if slices.Contains(secretDeclines, e.DeclineCode) {
		f.Code, f.Message, f.Final = codeDeclined, "The card was declined.", true
	}
	return f
}

// needsCustomer reports whether the bank wants the customer to authenticate.
func needsCustomer(e *stripe.Error) bool {
	return e != nil && (e.Code == stripe.ErrorCodeAuthenticationRequired ||
		e.DeclineCode == stripe.DeclineCodeAuthenticationRequired)
}
