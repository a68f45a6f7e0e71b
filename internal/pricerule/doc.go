// Package pricerule owns the operator's price rules: which offers each is for, what they cost by
// it, and the order that decides between rules.
//
// It does not own offers or which of them a tenant sees at which price (catalog), the markups,
// which apply where no rule does (provideraccount, account), or prices that were agreed: quotes and
// deployments keep theirs.
//
// # Precedence
//
// Rules are a list. The first rule that matches an offer and an account decides the price, in place
// of all markups, and no other rule is read. Rules are for offers: prices of volumes have no rules.
//
// # Computing
//
// A rule turns a provider's price into a tenant's in this order, in whole micro-dollars:
//
//	percent    cost × (100 + percent) / 100, rounded half-up
//	fixed      plus the amount per GPU × GPUs; not below zero
//	floor      at least the floor per GPU × GPUs
//	rounding   up to a multiple
//
// The result is at most MaxPrice, or the largest multiple below it.
//
// # Invariants
//
//   - A price is never below zero, never overflows, and never falls when the cost rises.
//   - Positions are 1 to n, without gaps. A change of a rule locks their version first.
//   - The version is raised by every change, in its transaction.
//   - There are at most MaxRules rules.
package pricerule
