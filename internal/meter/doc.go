// Package meter owns the billed hours of everything that runs: when each begins, that it is charged
// then, and what is refunded when the subject stops.
//
// It does not know what runs (a subject is the ID of a deployment or a volume, with a price and a
// description), who may start or stop it, or what a debt leads to: it enqueues KindPastDue for the
// account and continues. Money moves in package wallet.
//
// # Hours
//
// The n-th hour, counted from 0, begins n·3600 s after the start, regardless of the calendar, and
// is charged when it begins, at the agreed price. An instant on a boundary belongs to the hour that
// begins there; a stop at that instant does not pay it. All instants of a meter are whole seconds:
// starts and stops are truncated to the second, so a tenant can recompute a bill.
//
// # Stopping
//
// Hours that began before the stop are charged, also if they are not booked yet. The Rule decides
// whether the unused seconds of the current hour are refunded: rate × seconds / 3600, rounded
// half-up to the micro-dollar, once. A stop may become known late: an hour that was booked although
// it begins at or after the stop is refunded in full, whatever the rule.
//
// # Auto-termination
//
// Where it is known when a subject will be stopped, its meter knows it too. An hour that begins
// then or later is never booked, not even to be refunded when a late stop becomes known: a limit
// that ends a subject is not passed for an instant.
//
// # Refused hours
//
// A meter may be configured to ask before an hour after the first begins. An hour that is refused
// is not booked, and its meter books nothing more: the subject is to be stopped at that instant.
//
// # Margins
//
// What a tenant pays ahead is earned by the second, as a provider's cost is counted: after s
// started seconds of an hour, its rate × s / 3600, rounded half-up, but at most what is not
// refunded of it. When the subject stops, the rest of what it paid and is not refunded is earned at
// that instant. So revenue and cost cover the same time: at equal rates they are equal to the
// micro-dollar while a subject runs.
//
// # Invariants
//
//   - A running meter's next_at is started_at + hours · 3600 s, and exactly the hours 0 to hours −
//     1 are charged.
//   - An hour is charged once: by the transaction that raises hours with the guarded UPDATE of the
//     meter's row. The wallet's own unique key is a second guard. Any number of sweeps may run at
//     once.
//   - cost is the sum of the subject's charges less its refunds.
//   - Every change is in one transaction with what it belongs to.
//
// Locks are taken in this order: meters, then what package wallet takes, then jobs.
package meter
