// Package pastdue owns what happens to an account whose available money ends: it is warned a day,
// six hours and an hour before, and when the money is below zero its deployments are terminated
// after a grace period, and its volumes are deleted after a longer one.
//
// It does not own when an account is below zero (package wallet keeps that instant, in the same
// change as the money), nor how a deployment or volume ends; it calls those packages. New
// deployments and volumes are refused meanwhile because they need holds.
//
// Invariants: each stage happens once for one period below zero, despite retries, because the row
// that records it is written in the same transaction. Each threshold before is warned of once until
// the runway is longer again, because its row is unique. Money that arrives in time stops
// everything. A charge is recorded even when no money covers it, because the machine ran.
package pastdue
