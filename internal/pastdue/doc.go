// Package pastdue owns what happens to an account whose available money is below zero: the account
// is warned, its deployments are terminated after a grace period, and its volumes are deleted after
// a longer one.
//
// It does not own when an account is below zero (package wallet keeps that instant, in the same
// change as the money), nor how a deployment or volume ends; it calls those packages. New
// deployments and volumes are refused meanwhile because they need holds.
//
// Invariants: each stage happens once for one period below zero, despite retries, because the row
// that records it is written in the same transaction. Money that arrives in time stops everything.
// A charge is recorded even when no money covers it, because the machine ran.
package pastdue
