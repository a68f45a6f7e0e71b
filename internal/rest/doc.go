// Package rest is the router of the API. It knows no resource of the product.
//
// It owns everything that operations have in common: how an operation is declared, authentication
// modes and rate limits, decoding a request and finding everything that is wrong with it, the
// envelope of every response, pages and cursors of lists, the replay of a repeated request, the
// table from error code to HTTP status, client addresses behind proxies, compression, access log
// and metrics, and the OpenAPI document, which is generated from the same declarations that serve.
//
// It does not own the resources, and it does not know who a caller is: package httpapi declares the
// operations and passes in the functions that authenticate, authorize and record a call (Config).
//
// The huma library supplies the OpenAPI types and derives JSON Schema from Go types. Its request
// pipeline is not used, because it cannot keep three rules: every error of a request is reported at
// once, those of the schema together with those that only a service can find; a write, its effect
// and its kept response are one transaction; and one function writes every response.
//
// Invariants:
//   - Every response is an envelope with X-Request-Id and X-RateLimit-*, whatever failed.
//     Exceptions are responses that stream, files and pages: they have the headers only. An
//     incoming X-Request-Id is ignored: ours are unique and safe to log. This holds for requests
//     that net/http itself refuses, too (Guard).
//   - An error that is not an apierr.Error is answered as INTERNAL_ERROR with the request id, and
//     logged.
//   - Neither Authorization, cookies nor bodies are logged. Metrics are labeled by route, never by
//     URL.
//   - A Write runs in one transaction with its idempotency key and its audit entry. Its handler has
//     no effect outside the transaction, because it may run again or be rolled back.
//   - A request of another site's page changes nothing, even where the browser sends a session
//     cookie.
package rest
