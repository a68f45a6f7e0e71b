// Package audit owns the record of who changed what: one entry for each successful change and each
// sign-in, with the actor, the address and the request.
//
// It does not own when an entry is due (the API writes one with each change), nor an account's
// business events, which describe what happened and not who did it (package event).
//
// Invariants:
//   - An entry is written in the transaction of its change, so neither exists without the other.
//   - Entries are never changed. Those without an account are deleted after a day, and the others
//     by package retention when they are older than the operator keeps them. An entry has the name
//     that its actor had at the time.
//   - No entry contains a secret or a request body.
//   - Every query is by account, so no tenant sees an entry without one.
package audit
