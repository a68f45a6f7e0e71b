// Package quote owns prices that were promised for a short time: what an offer costs an account, whatever the provider
// asks meanwhile.
//
// It does not own what is made of a quote: a deployment takes one in its own transaction.
//
// Invariants:
//   - A quote is good for one deployment, of the account that it was made for, until it expires.
//   - It fixes the price, not the stock: no provider keeps a machine back for us.
//   - Quotes that nobody can use any more are forgotten.
package quote
