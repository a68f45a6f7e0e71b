// Package console owns who has the serial console of a deployment open: one session at a time,
// across all replicas, with its begin and its end in the audit log.
//
// It does not own the connection (httpapi), what a console is connected to (provider), nor who may
// open it (deployment).
//
// Invariants:
//   - A deployment has at most one session. Another one begins when the first has ended, or takes
//     its place.
//   - A session that is not renewed for Lease has ended: its server is gone. A job ends it.
//   - The end of a session is written to the audit log in the transaction that deletes it, once,
//     with how long it was open. Nothing of what was shown or typed is stored.
//
// # Tables
//
//   - console_session: a row for each session that is open. The end of the session deletes it.
package console
