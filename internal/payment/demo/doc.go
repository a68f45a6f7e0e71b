// Package demo is a payment processor for the simulator: a page on which one chooses what becomes
// of a payment. No money moves.
//
// It owns the simulated payments, which are kept as long as the simulator's database. Its page is
// found by a random token only. Its saved cards are charged without a page: what such a charge
// returns follows from the card that was chosen.
package demo
