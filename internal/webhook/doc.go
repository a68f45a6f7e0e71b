// Package webhook owns the endpoints to which a tenant's events are sent: what is sent to each, how
// it is signed, and when it is retried. It follows the Standard Webhooks specification.
//
// It does not own the events, nor the connection: package outbound does, which only connects to
// public addresses.
//
// Invariants:
//   - Every event of the account after the creation of an endpoint becomes one delivery, unless the
//     endpoint does not want its type. The endpoint records the last processed event in the
//     transaction that writes the deliveries. A transaction that appends an event enqueues a job,
//     and an endpoint is created and enabled under the lock that orders the account's events, so no
//     event is missed.
//   - A delivery is tried until it is answered with 2xx, or for three days. First attempts are made
//     one after the other, in the order of the events. A crash may send the same again, with the
//     same ID and body, but skips nothing.
//   - One run at a time sends to an endpoint: its job is leased. A run that lost its lease changes
//     nothing.
//   - Endpoints that do not answer cannot occupy all workers: sending uses a limited number of
//     them, and failing endpoints a smaller one. No account can have all of either.
//   - Secrets are sealed in the database and shown once.
package webhook
