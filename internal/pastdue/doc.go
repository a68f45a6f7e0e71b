// Package pastdue owns what happens to an account whose available money is below
// zero: it is warned, its deployments end after a grace period, its volumes are kept for a while
// longer and then deleted.
//
// It does not own when an account is below zero (wallet keeps that instant, in the same change as the money) nor
// how a deployment or volume ends; it leads those rooms. That no new deployment or volume can be made
// meanwhile follows from the holds that these need.
//
// Invariants: each stage happens once for one stretch below zero, whatever is retried, because the row that
// remembers it is written in the transaction that does it; money that arrives in time stops everything; a
// charge is recorded even when nothing covers it, for the machine ran.
package pastdue
