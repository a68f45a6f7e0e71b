// Package apierr owns the errors that a user may read: a stable code, a message
// that says what to do, the faulty fields, and how long to wait.
//
// It does not own HTTP statuses: httpapi alone knows which status a code has,
// so that no room ties itself to the transport. An error that is not a
// fault.Error is internal; its text never leaves the server.
//
// Invariant: a Cause is for the log only and is never shown.
package apierr
