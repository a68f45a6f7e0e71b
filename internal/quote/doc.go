// Package quote owns prices that are fixed for a short time: what an offer costs an account,
// whatever the provider asks meanwhile.
//
// It does not own what a quote is used for: a deployment takes one in its own transaction.
//
// Invariants:
//   - A quote is good for one deployment of the account that it was created for, until it expires.
//   - It fixes the price, not the capacity: no provider reserves a machine for Billet.
//   - Quotes that can no longer be used are deleted.
package quote
