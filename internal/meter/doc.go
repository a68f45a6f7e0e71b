// Package meter owns the hours of whatever runs: when each begins, that it is
// charged then, and what of it is given back when the subject stops.
//
// It does not know what runs (a subject is any id of a deployment or a volume, with a
// price and words for the bill), who may start or stop it, or what a debt leads to: it enqueues
// KindPastDue for the account and goes on. Money itself moves in package wallet.
//
// # Hours
//
// The n-th hour, counted from 0, begins n·3600 s after the start, whatever the calendar does, and is
// charged when it begins, at the price agreed for it. An instant on a boundary belongs to the
// hour that begins there; a stop at that instant does not pay it. All instants of a meter
// are whole seconds: starts and stops are cut to the second, so a bill can be recomputed from what the tenant sees.
//
// # Stopping
//
// Hours that began before the stop are paid, also if nobody has booked them yet. Of the hour that runs at the
// stop the Rule says whether the unused seconds are refunded: rate × seconds / 3600, rounded half-up to the
// micro-dollar, once. An hour that had been booked although it begins at or after the stop (which was
// learned of late) is refunded whole, whatever the rule.
//
// # Invariants
//
//   - A running meter's next_at is started_at + hours · 3600 s, and exactly the hours 0 to hours − 1 are charged.
//   - An hour happens once: whoever raises hours by the guarded UPDATE of the meter's row charges it, and the
//     wallet's own key stands behind that. Any number of sweeps may run at once.
//   - cost is the sum of the subject's charges less that of its refunds.
//   - Everything here happens in one transaction with what it belongs to.
//
// Locks are taken in this order: meters, then what package wallet takes, then jobs.
package meter
