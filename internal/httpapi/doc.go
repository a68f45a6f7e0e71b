// Package httpapi owns the wire: routes, who may call them and how often, what a request must look
// like, the envelope of every answer, the replay of repeated requests, and the OpenAPI document,
// which is generated from the same route table that serves.
//
// It does not own any rule of the product: rooms decide, this package decodes, asks and encodes. It
// keeps nothing and has no SQL. Statuses of HTTP live here only (fault.go).
//
// The huma library supplies the OpenAPI types and derives JSON Schema from Go types. Its request
// pipeline is not used, for three rules that it cannot keep: every fault of a request is told at
// once, those of the schema together with those that only a room can find; a POST, its effect and
// its kept answer are one transaction; and one writer makes every answer.
//
// Invariants:
//   - Every answer is an envelope with X-Request-Id and X-RateLimit-*, whatever failed, but for the
//     CSV statement, the docs page, the OpenAPI document, streams of events and what is served
//     elsewhere, which bear the headers only. An incoming X-Request-Id is ignored: ours are unique
//     and safe to log. That goes for requests that net/http itself refuses, too (Guard).
//   - An error that is not a fault.Error is answered as INTERNAL_ERROR with the request id, and
//     logged.
//   - Neither Authorization, cookies nor bodies are logged; metrics are labelled by route, never by
//     URL.
//   - A write runs in one transaction with its idempotency key and its entry in the audit; handlers
//     of writes have no effect outside it.
//   - A session's call is checked against its role as a key's is against its scopes. A change by a
//     session comes from our own pages.
package httpapi
