// Package webhook owns the addresses to which a tenant has events sent, what is sent to each, how it is signed, and when it is tried
// again. It follows the Standard Webhooks specification.
//
// It does not own the events, nor the connection (outbound does, which reaches public addresses only).
//
// Invariants:
//   - Every event of the account that comes after an endpoint was made becomes one delivery of it, unless its type is not wanted: the
//     endpoint remembers up to which event that is done, in the transaction that writes the deliveries. Whoever appends an event
//     leaves a job behind in the same transaction, and an endpoint is made and enabled under the lock that orders the account's
//     events, so none falls between.
//   - A delivery is tried until it was answered with 2xx, or for three days. First attempts are made one after the other, in the order of the
//     events. A crash may send the same again, with the same id and body; it leaves nothing out.
//   - One run at a time sends for an endpoint: its job is leased. A run whose lease was lost changes nothing of what another has written.
//   - Endpoints that do not answer cannot keep the workers from everything else: sending has a bounded part of them, and
//     endpoints that fail a smaller one. No account can have all of either.
//   - Secrets are sealed in the database and shown once.
package webhook
