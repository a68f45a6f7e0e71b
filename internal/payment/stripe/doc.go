// Package stripe takes payments with Stripe: hosted pages (Checkout Sessions), saved methods that
// are charged while the customer is away (PaymentIntents), refunds, disputes and webhooks.
//
// It does not own top-ups or what a payment does to a wallet (payment), nor where the keys are
// stored.
//
// Invariants:
//   - State is read from objects that are fetched, never from an event's contents. Of an event,
//     only its type and the ID of its payment are used, after its signature is verified.
//   - Every request that changes something has an idempotency key made of our own ID and the
//     attempt. Stripe keeps a key for 24 hours only, and repeats an internal error with it. So
//     charges and refunds are first searched by their metadata, and made only if none is found.
//     After a kept internal error, a charge that is not found a quarter of an hour after the error
//     was first seen is made with another key: an account must not wait a day for its money.
//   - Amounts are whole cents of US dollars. Nothing is rounded: other amounts are refused.
//   - Objects are ours if their metadata names this installation. Others are not read further.
//   - The library's retries and telemetry are off. Jobs repeat what failed.
//   - A key of test mode accepts no events of live mode, and a live key none of test mode.
//
// # Inferred
//
// Written from Stripe's documentation and library, and tested against its OpenAPI document and the
// fake in stripetest, not against Stripe: that Checkout refuses expires_at outside of 30 minutes to
// 24 hours, that an intent's metadata is copied to its charge, that amount_refunded of a charge
// falls when a refund fails, and which decline codes are final.
package stripe
