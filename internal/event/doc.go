// Package event owns the append-only history of every subject: what happened,
// when, and why, as a tenant may read it. It is also the outbox that deliveries will read.
//
// It does not decide anything: rooms append in the transaction of the change itself, so an event
// exists exactly if its change does. Nothing edits or deletes an event.
//
// Invariant: events of a subject are read in the order of their ids, which is the order of their making in one process.
package event
