// Package event owns the append-only history of every subject: what happened, when, and why, as a
// tenant may read it. It is also the outbox of deliveries: the stream of an account's events
// continues exactly where its reader stopped.
//
// It decides nothing: other packages append in the transaction of the change itself, so an event
// exists exactly if its change does. Nothing edits an event. Package retention deletes those that
// are older than the operator keeps them, from the beginning of all histories.
//
// Invariants:
//   - Each event has a sequence number in its account's history, from 1, without gaps, in the order
//     of commits. A reader that has seen a number could see every lower one, also if replicas write
//     at the same time.
//   - Events are read in the order of their numbers, which for one subject is the order in which
//     they were appended.
//   - A reader is never given less than all events after its last one: where some of them were
//     deleted, it gets EVENT_EXPIRED. The position of the newest deleted event is kept, so a reader
//     that had read all of them continues.
//   - The counter of the numbers is the last row that a transaction locks, so it takes part in no
//     deadlock. Only the function that OnAppend registers locks rows after it, and nothing else
//     locks those rows before it.
package event
