// Package audit owns the record of who changed what: one entry for each successful change and each sign-in, by
// whom, from where, and in which request.
//
// It does not own when an entry is due (httpapi writes one with each change that it makes), nor an account's
// business events, which tell what happened to things and not who did it (event).
//
// Invariants:
//   - An entry is written in the transaction of the change that it tells of: there is neither one without the other.
//   - Entries are only ever added, but those of no account, which go after a day. Names are those of the time, whatever the
//     actor is called later.
//   - No entry holds a secret or a body of a request.
//   - Every query is by account. Entries of no account are seen by no tenant.
package audit
