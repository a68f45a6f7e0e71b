// Package stripemock starts stripe-mock, Stripe's own double, which compares each request with
// Stripe's OpenAPI document and refuses unknown parameters. It keeps nothing: what follows from
// requests is tested with internal/payment/stripe/stripetest. It is built from the module in the
// directory stripe-mock, which pins it.
package stripemock
