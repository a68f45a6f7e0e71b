// Package job owns one durable sentence: "look at this subject again, not before then".
//
// A job is a kind and a subject; there is at most one of each pair. It is
// enqueued in the transaction that makes it necessary, so it exists exactly if that change
// does, and is run by any replica, at least once. What it does is the handler's
// business, which must be repeatable; this package knows no noun.
//
// Invariants:
//   - A job is claimed with a lease of real time (a hung handler hangs in real seconds,
//     however far the simulated clock is moved), by the database's clock and no replica's own, and
//     a raised attempt; no transaction of a run whose attempt is no longer the row's is committed, and
//     Holds tells the handler so before it does anything outside the database.
//   - A run that cannot extend its lease is ended before the lease is over.
//   - What is due is claimed in turns of its owners, the accounts: of each the first before any one's second. A quarter of
//     the workers is kept for owners that have none at work. However much one account has due, another's job is among the next claimed.
//   - Enqueue during a run is never lost: it raises the generation, and a run that began
//     before it does not delete the row.
//   - An error is "could not ask" and is tried again, ever later, for ever: giving up is a decision for a handler.
package job
