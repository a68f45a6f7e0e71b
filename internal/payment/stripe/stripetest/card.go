package stripetest

// Card is one of Stripe's test cards.
type Card struct {
	Number string
	// Decline is the code with which payments are declined; "" for none.
	Decline string
	// DeclineLater is the same for payments while the customer is away.
	DeclineLater string
	// Authenticate means that the customer must authenticate at the page, and AuthenticateLater
	// that each payment while the customer is away needs it, too.
	Authenticate, AuthenticateLater bool
	// Delayed means that the money comes later, as from a bank account: see Server.Settle.
	Delayed bool
	// Disputed means that each payment is disputed at once.
	Disputed bool
	// RefundsPend means that refunds stay pending: see Server.EndRefund.
	RefundsPend bool
}

// Test cards, by Stripe's numbers where it has one.
var (
	Visa              = Card{Number: "4242424242424242"}
	Declined          = Card{Number: "4000000000000002", Decline: "generic_decline"}
	InsufficientFunds = Card{Number: "4000000000009995", Decline: "insufficient_funds"}
	LostCard          = Card{Number: "4000000000009987", Decline: "lost_card"}
	ExpiredCard       = Card{Number: "4000000000000069", Decline: "expired_card"}
	// DeclinedLater can be saved and is declined when it is charged.
	DeclinedLater = Card{Number: "4000000000000341", DeclineLater: "generic_decline"}
	LostLater     = Card{Number: "4000000000000342", DeclineLater: "lost_card"}
	// AuthenticateOnce needs 3-D Secure when it is saved.
	AuthenticateOnce   = Card{Number: "4000002500003155", Authenticate: true}
	AuthenticateAlways = Card{Number: "4000002760003184", Authenticate: true, AuthenticateLater: true}
	DisputedCard       = Card{Number: "4000000000000259", Disputed: true}
	PendingRefund      = Card{Number: "4000000000007726", RefundsPend: true}
	BankAccount        = Card{Number: "000123456789", Delayed: true}
)

var allCards = []Card{
	Visa, Declined, InsufficientFunds, LostCard, ExpiredCard, DeclinedLater, LostLater, AuthenticateOnce,
	AuthenticateAlways, DisputedCard, PendingRefund, BankAccount,
}
