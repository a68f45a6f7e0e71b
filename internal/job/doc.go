// Package job owns the queue of background work: "reconcile this subject again, not before then".
//
// A job is a kind and a subject; there is at most one of each pair. It is enqueued in the
// transaction that makes it necessary, so it exists exactly if that change does. Any replica runs
// it, at least once. What it does is up to its handler, which must be repeatable. This package
// knows nothing of subjects.
//
// Invariants:
//   - A job is claimed with a lease of real time (a handler hangs in real seconds, however far the
//     simulated clock is moved), by the database's clock and not a replica's own, and with a raised
//     attempt. A transaction of a run whose attempt is no longer the row's is not committed. Holds
//     lets the handler check that before it does anything outside the database.
//   - A run that cannot extend its lease is ended before the lease is over.
//   - Due jobs are claimed in turns of their owners, the accounts: the first of each before the
//     second of any. A quarter of the workers is reserved for owners that have no job running.
//     However much one account has due, another's job is among the next.
//   - Enqueue during a run is never lost: it raises the generation, and a run that began before
//     does not delete the row.
//   - An error means that the handler could not finish. The job is retried indefinitely with
//     exponential backoff. Only a handler can decide to stop.
package job
