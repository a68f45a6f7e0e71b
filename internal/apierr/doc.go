// Package apierr owns the errors that a user may read: a stable code, a message that says what to
// do, the invalid fields, and how long to wait.
//
// It does not own HTTP statuses: only the HTTP API knows which status a code has. An error that is
// not an apierr.Error is internal; its text never leaves the server.
//
// Invariant: a Cause is for the log only and is never shown.
package apierr
