// Package stripetest is a fake of Stripe: a real HTTP server on the loopback device that keeps
// customers, pages, payments, saved cards, refunds, disputes, balance transactions and events, and
// into which faults can be injected.
//
// It behaves as Stripe's documentation says, for what package stripe uses: idempotency keys keep
// the status and body of the first request, including an internal error; test cards decline as
// Stripe's do; events are signed. Whether requests have valid parameters is not checked here but by
// stripe-mock (test/stripemock).
//
// Events are not sent by themselves. A test takes them with Take and sends them when, how often and
// in which order it wants.
package stripetest
