// Package event owns the append-only history of every subject: what happened,
// when, and why, as a tenant may read it. It is also the outbox that deliveries read: the stream of an account's
// events goes on exactly where its reader left off.
//
// It does not decide anything: rooms append in the transaction of the change itself, so an event
// exists exactly if its change does. Nothing edits or deletes an event.
//
// Invariants:
//   - Each event has a place in its account's history, from 1, without gaps, in the order of commits: a reader that has seen
//     a place has been able to see every one before it, also where replicas write at the same time.
//   - Events are read in the order of their places, which for one subject is the order in which they were appended.
//   - The counter that gives the places is the last row that a transaction locks, so it takes part in no deadlock. Only what OnAppend was
//     given locks rows after it, and nobody else locks those before it.
package event
